package server_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// firstOverKeyRate is the number of the first of n uses that is over the key's rate; 0 if none is.
func firstOverKeyRate(t *testing.T, n int, k servertest.Key, replicas ...*servertest.Server) int {
	t.Helper()
	for i := 1; i <= n; i++ {
		r := replicas[i%len(replicas)].Me(t, k.Plain)
		if r.Status != 429 {
			r.Want(t, 200, "")
			continue
		}
		r.Want(t, 429, "too_many_requests")
		seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
		if err != nil || seconds < 1 || seconds > 3600 || !strings.Contains(r.Body, "The API key's rate limit of ") {
			t.Errorf("Retry-After: %q, %s", r.Header.Get("Retry-After"), r.Body)
		}
		return i
	}
	return 0
}

func TestKeyRateLimit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b), servertest.New(t, b)
		rs, _ := introspectors(t, s)
		u, _ := users(t, s)
		limited := func(scope, rate string) servertest.Key {
			t.Helper()
			k := s.Key(t, u, servertest.M{"scope": scope, "rate_limit": rate})
			replica.Secret(k.Plain)
			return k
		}

		t.Run("over all replicas, for a minute", func(t *testing.T) {
			if b.Server == nil {
				t.Skip("the embedded store has no replicas")
			}
			k := limited("read", "5/m")
			if got := firstOverKeyRate(t, 9, k, s, replica); got != 6 {
				t.Errorf("the first over the rate is %d, want 6", got)
			}
			b.Clock.Advance(time.Minute)
			if got := firstOverKeyRate(t, 9, k, s, replica); got != 6 {
				t.Errorf("in the next minute the first over the rate is %d, want 6", got)
			}
		})
		t.Run("every use counts, of this key alone, and a rejected one is told apart", func(t *testing.T) {
			k, free := limited("read", "3/h"), s.Key(t, u, servertest.M{"scope": "read"})
			s.API(t, http.MethodGet, apiKeysPath, k.Plain, nil).Want(t, 403, "insufficient_scope")
			s.Admin(t, http.MethodGet, "/admin/keys", nil, servertest.Bearer(k.Plain)).Want(t, 403, "insufficient_scope")
			if got := firstOverKeyRate(t, 9, k, s); got != 2 {
				t.Errorf("after two uses the first over the rate is %d, want 2", got)
			}
			s.API(t, http.MethodGet, apiKeysPath, k.Plain, nil).Want(t, 429, "too_many_requests")
			if got := usesOf(t, s, k); got != "1 accepted, 4 rejected" {
				t.Errorf("uses: %s, want 1 accepted, 4 rejected", got)
			}
			if got := firstOverKeyRate(t, 9, free, s); got != 0 {
				t.Errorf("without a rate, use %d was over", got)
			}
		})
		t.Run("a service is told the rate, and counts by itself", func(t *testing.T) {
			k := limited("read", "1/h")
			for range 3 {
				if got := s.Introspect(t, rs, k.Plain); got["active"] != true || got["rate_limit"] != "1/h" {
					t.Errorf("got %v", got)
				}
			}
			if got := firstOverKeyRate(t, 3, k, s); got != 2 {
				t.Errorf("the first over the rate is %d, want 2", got)
			}
		})
		t.Run("a change holds at once", func(t *testing.T) {
			k := limited("read", "1/h")
			firstOverKeyRate(t, 2, k, s)
			s.Admin(t, http.MethodPatch, "/admin/keys/"+k.ID, servertest.M{"rate_limit": nil}).Want(t, 200, "")
			if got := firstOverKeyRate(t, 9, k, s); got != 0 {
				t.Errorf("without a rate any more, use %d was over", got)
			}
		})
		t.Run("round trips", func(t *testing.T) {
			want := 3
			if b.Server == nil { // counted in the process
				want = 2
			}
			e := tokenEndpoint{s}
			k, free := limited("read", "1000000/h"), s.Key(t, u, servertest.M{"scope": "read"})
			if cost := e.trips(t, func() { s.Me(t, k.Plain).Want(t, 200, "") }); total(cost) != want {
				t.Errorf("a use of a key with a rate costs %v, want %d round trips", cost, want)
			}
			if cost := e.trips(t, func() { s.Me(t, free.Plain).Want(t, 200, "") }); total(cost) != 2 {
				t.Errorf("a use of a key without one costs %v, want 2 round trips", cost)
			}
		})
	})
}

// While Redis does not count, a key with a rate is not let through.
func TestKeyRateLimitWithoutRedis(t *testing.T) {
	b := storetest.Redis(t).Backend(t)
	s := servertest.New(t, b)
	u, _ := users(t, s)
	k := s.Key(t, u, servertest.M{"scope": "read", "rate_limit": "5/m"})
	b.Do("SET", "mk:r:m:"+k.ID, "not a number")
	s.Me(t, k.Plain).Want(t, 503, "temporarily_unavailable")
}
