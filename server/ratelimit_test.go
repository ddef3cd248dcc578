package server_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// firstOverRate is the number of the first of n calls for a token that is over the client's rate; 0 if none is.
func firstOverRate(t *testing.T, n int, c servertest.Client, replicas ...tokenEndpoint) int {
	t.Helper()
	for i := 1; i <= n; i++ {
		r := replicas[i%len(replicas)].send(t, grantCC, c.Basic())
		if r.Status == 429 {
			refused(t, r, 429, "too_many_requests")
			if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 3600 {
				t.Errorf("Retry-After: got %q", r.Header.Get("Retry-After"))
			}
			return i
		}
		granted(t, r)
	}
	return 0
}

func TestClientRateLimit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e, replica := newTokenEndpoint(t, b), newTokenEndpoint(t, b)
		c := e.Register(t, servertest.M{"scope": "read", "rate_limit": "5/m"})

		t.Run("over two replicas, for a minute", func(t *testing.T) {
			token := e.Token(t, c)
			if got := firstOverRate(t, 9, c, e, replica); got != 5 {
				t.Errorf("after one call the first over the rate is %d, want 5", got)
			}
			wantTooMany(t, e.send(t, grantCC, c.Basic()))
			wantTooMany(t, replica.send(t, grantCC+"&scope=read", c.Basic()))
			// It is a limit on calls for tokens, and on nothing else.
			if !e.Active(t, c, token) {
				t.Error("a token is inactive")
			}
			replica.Revoke(t, c, token).Want(t, 200, "")
			// Another's limit is another's, and a wrong secret is a wrong secret.
			e.Token(t, e.basic(t))
			refused(t, e.send(t, grantCC, servertest.Client{ID: c.ID, Secret: "wrong"}.Basic()), 401, "invalid_client")

			b.Clock.Advance(time.Minute)
			if got := firstOverRate(t, 9, c, e, replica); got != 6 {
				t.Errorf("in the next window the first over the rate is %d, want 6", got)
			}
		})
		t.Run("every call counts, but for those of others", func(t *testing.T) {
			b.Clock.Advance(time.Minute)
			for range 3 {
				refused(t, e.send(t, grantCC, servertest.Client{ID: c.ID, Secret: "wrong"}.Basic()), 401, "invalid_client")
			}
			for range 2 {
				refused(t, e.send(t, grantCC+"&scope=no", c.Basic()), 400, "invalid_scope")
				refused(t, replica.send(t, "grant_type=password", c.Basic()), 400, "unsupported_grant_type")
			}
			if got := firstOverRate(t, 3, c, e, replica); got != 2 {
				t.Errorf("after four calls that failed the first over the rate is %d, want 2", got)
			}
		})
		t.Run("changed and cleared", func(t *testing.T) {
			patch := func(rate any) {
				e.Admin(t, "PATCH", "/admin/clients/"+c.ID, servertest.M{"rate_limit": rate}).Want(t, 200, "")
			}
			shown := func() any {
				return e.Admin(t, "GET", "/admin/clients/"+c.ID, nil).Want(t, 200, "").JSON(t)["rate_limit"]
			}
			if got := shown(); got != "5/m" {
				t.Errorf("rate_limit is %v, want 5/m", got)
			}
			patch("2/h")
			if got := firstOverRate(t, 4, c, e, replica); got != 3 {
				t.Errorf("the first over the rate is %d, want 3", got)
			}
			patch(nil)
			if got := shown(); got != nil {
				t.Errorf("rate_limit is %v, want none", got)
			}
			if got := firstOverRate(t, 20, c, e, replica); got != 0 {
				t.Errorf("without a rate, %d was over", got)
			}
			for _, wrong := range []any{"5", "0/m", "5/d", 5, ""} {
				r := e.Admin(t, "PATCH", "/admin/clients/"+c.ID, servertest.M{"rate_limit": wrong}).Want(t, 400, "invalid_client_metadata")
				if !strings.Contains(r.Body, "rate_limit: must be") || !strings.Contains(r.Body, "600/m") {
					t.Errorf("%v: got %s", wrong, r.Body)
				}
			}
		})
		t.Run("round trips", func(t *testing.T) {
			want := 3
			if b.Server == nil { // counted in the process
				want = 2
			}
			for _, format := range []string{"jwt", "opaque"} {
				limited := e.Register(t, servertest.M{"scope": "read", "access_token_format": format, "rate_limit": "1000000/h"})
				free := e.Register(t, servertest.M{"scope": "read", "access_token_format": format})
				e.Token(t, limited) // and the connections are open
				if cost := e.trips(t, func() { e.Token(t, limited) }); total(cost) != want {
					t.Errorf("%s: a token of a client with a rate costs %v, want %d round trips", format, cost, want)
				}
				if cost := e.trips(t, func() { e.Token(t, free) }); total(cost) != 2 {
					t.Errorf("%s: a token of a client without one costs %v, want 2 round trips", format, cost)
				}
			}
		})
		t.Run("nothing is left behind", func(t *testing.T) {
			b.Clock.Advance(time.Hour)
			for _, key := range b.Dump(t).Keys() {
				if strings.HasPrefix(key, "mk:r:") {
					t.Errorf("a counter has no end: %q", key)
				}
			}
		})
	})
}

// A Redis out of memory cannot count a call: it could not keep the token either.
func TestClientRateLimitOutOfMemory(t *testing.T) {
	redis := storetest.Redis(t)
	e := newTokenEndpoint(t, redis.Backend(t))
	c := e.Register(t, servertest.M{"scope": "read", "rate_limit": "5/m"})
	e.Token(t, c)
	redis.Config("maxmemory", "1")
	refused(t, e.send(t, grantCC, c.Basic()), 503, "temporarily_unavailable")
}
