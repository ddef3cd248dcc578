package server_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// behindProxy trusts the loopback, from which the tests come, to say where they come from.
const behindProxy = "MINTKEEP_TRUSTED_PROXIES=127.0.0.0/8,::1/128"

// address is the address in X-Forwarded-For.
func address(format string, args ...any) servertest.Edit {
	return servertest.Header("X-Forwarded-For", fmt.Sprintf(format, args...))
}

// wrong tries a wrong secret of client id.
func wrong(t *testing.T, s *servertest.Server, id string, from servertest.Edit) servertest.Response {
	t.Helper()
	return s.Post(t, "/oauth/token", grant, servertest.Client{ID: id, Secret: "wrong"}.Basic(), from)
}

// firstOver is the number of the first of n failures that is answered 429; 0 if none is.
func firstOver(t *testing.T, n int, try func(i int) servertest.Response) int {
	t.Helper()
	for i := 1; i <= n; i++ {
		switch r := try(i); r.Status {
		case http.StatusUnauthorized:
		case http.StatusTooManyRequests:
			wantTooMany(t, r)
			return i
		default:
			t.Fatalf("failure %d: got %d %s", i, r.Status, r.Body)
		}
	}
	return 0
}

// wantTooMany holds a 429 to its shape.
func wantTooMany(t *testing.T, r servertest.Response) {
	t.Helper()
	wantRefusal(t, r.Want(t, 429, "too_many_requests"), 429)
	seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("Retry-After: got %q", r.Header.Get("Retry-After"))
	}
}

func TestFailureLimits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b, behindProxy), servertest.New(t, b, behindProxy)
		c := s.Register(t, servertest.M{"scope": "read"})
		both := func(i int) *servertest.Server { return []*servertest.Server{s, replica}[i%2] }

		t.Run("the eleventh failure, over two replicas", func(t *testing.T) {
			from := address("192.0.2.1")
			if got := firstOver(t, 12, func(i int) servertest.Response { return wrong(t, both(i), c.ID, from) }); got != 11 {
				t.Errorf("the first over the limit is %d, want 11", got)
			}
			// Another's guesses lock no client out, not even from the same address.
			s.Post(t, "/oauth/token", grant, c.Basic(), from).Want(t, 200, "")
			s.Post(t, "/oauth/token", grant, c.Basic(), address("192.0.2.2")).Want(t, 200, "")
			wantTooMany(t, wrong(t, s, c.ID, from))
		})
		t.Run("token, introspection and revocation share one limit", func(t *testing.T) {
			for _, path := range []string{"/oauth/introspect", "/oauth/revoke"} {
				r := s.Post(t, path, "token=x", servertest.Client{ID: c.ID, Secret: "wrong"}.Basic(), address("192.0.2.1"))
				wantTooMany(t, r)
				s.Post(t, path, "token=x", c.Basic(), address("192.0.2.1")).Want(t, 200, "")
			}
		})
		t.Run("failures at the admin API", func(t *testing.T) {
			from := address("192.0.2.3")
			if got := firstOver(t, 12, func(i int) servertest.Response {
				return both(i).Get(t, "/admin/clients", servertest.Bearer("wrong"), from)
			}); got != 11 {
				t.Errorf("the first over the limit is %d, want 11", got)
			}
			s.Admin(t, "GET", "/admin/clients", nil, from).Want(t, 200, "")
		})
		t.Run("a forged X-Forwarded-For does not count", func(t *testing.T) {
			// The proxy adds the address that it sees behind whatever the caller sent.
			if got := firstOver(t, 12, func(i int) servertest.Response {
				return wrong(t, s, c.ID, address("198.51.100.%d, 192.0.2.4", i))
			}); got != 11 {
				t.Errorf("the first over the limit is %d, want 11", got)
			}
		})
		t.Run("an IPv6 network counts as one address", func(t *testing.T) {
			if got := firstOver(t, 12, func(i int) servertest.Response {
				return wrong(t, s, c.ID, address("2001:db8:1:1:%x::%x", i, i))
			}); got != 11 {
				t.Errorf("of a /64, the first over the limit is %d, want 11", got)
			}
			if r := wrong(t, s, c.ID, address("2001:db8:1:2::1")); r.Status != 401 {
				t.Errorf("another /64: got %d", r.Status)
			}
		})
		t.Run("many ids from one address", func(t *testing.T) {
			name := func(i int) servertest.Response {
				return wrong(t, both(i), fmt.Sprint("unknown-", i), address("192.0.2.5"))
			}
			if got := firstOver(t, 302, name); got != 301 {
				t.Errorf("the first over the limit is %d, want 301", got)
			}
			if r := wrong(t, s, "unknown-1", address("192.0.2.6")); r.Status != 401 {
				t.Errorf("another address: got %d", r.Status)
			}
		})
		t.Run("accepted again after Retry-After", func(t *testing.T) {
			b.Clock.Advance(time.Minute)
			if r := wrong(t, s, c.ID, address("192.0.2.1")); r.Status != 401 {
				t.Errorf("in the next window: got %d", r.Status)
			}
		})
		t.Run("every counter expires", func(t *testing.T) {
			b.Clock.Advance(time.Minute)
			for _, key := range b.Dump(t).Keys() {
				if strings.HasPrefix(key, "mk:f:") {
					t.Errorf("a counter has no end: %q", key)
				}
			}
		})
	})
}

// Without a trusted proxy, X-Forwarded-For is ignored.
func TestForwardedForWithoutATrustedProxy(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	c := s.Register(t, servertest.M{"scope": "read"})
	t.Run("rotating X-Forwarded-For", func(t *testing.T) {
		if got := firstOver(t, 12, func(i int) servertest.Response {
			return wrong(t, s, c.ID, func(r *http.Request) {
				for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"} {
					r.Header.Set(name, fmt.Sprintf("198.51.100.%d", i))
				}
				r.Header.Set("Forwarded", fmt.Sprintf("for=198.51.100.%d", i))
			})
		}); got != 11 {
			t.Errorf("the first over the limit is %d, want 11", got)
		}
		s.Token(t, c)
	})
	t.Run("a flood does not fill the log, nor revoke a token", func(t *testing.T) {
		token := s.Token(t, c)
		before := strings.Count(s.Log.String(), "\n")
		start := time.Now()
		for range 300 {
			wantTooMany(t, wrong(t, s, c.ID, func(*http.Request) {}))
		}
		limit := 20*(int(time.Since(start)/time.Second)+2) + 5
		if lines := strings.Count(s.Log.String(), "\n") - before; lines > limit {
			t.Errorf("%d lines, want at most %d", lines, limit)
		}
		if !s.Active(t, c, token) {
			t.Error("the token is gone")
		}
	})
}

// Without Redis guessing stays limited.
func TestFailureLimitsWithoutRedis(t *testing.T) {
	redis := storetest.Redis(t)
	s := servertest.New(t, redis.Backend(t))
	c := s.Register(t, servertest.M{"scope": "read"})
	redis.Kill()
	t.Run("each replica counts for itself", func(t *testing.T) {
		if got := firstOver(t, 12, func(int) servertest.Response { return s.Get(t, "/admin/clients", servertest.Bearer("wrong")) }); got != 11 {
			t.Errorf("the first over the limit is %d, want 11", got)
		}
		for range 3 { // of a client nothing is known, so nothing is said
			s.Post(t, "/oauth/token", grant, servertest.Client{ID: c.ID, Secret: "wrong"}.Basic()).Want(t, 503, "temporarily_unavailable")
		}
	})
	redis.Start()
	becomes(t, s, 200) // go-redis tries to connect again after a second
}

// A Redis out of memory cannot count either, but can be read.
func TestFailureLimitsOutOfMemory(t *testing.T) {
	redis := storetest.Redis(t)
	s := servertest.New(t, redis.Backend(t))
	c := s.Register(t, servertest.M{"scope": "read"})
	redis.Config("maxmemory", "1")
	t.Run("out of memory each replica counts for itself", func(t *testing.T) {
		if got := firstOver(t, 12, func(int) servertest.Response { return wrong(t, s, c.ID, func(*http.Request) {}) }); got != 11 {
			t.Errorf("the first over the limit is %d, want 11", got)
		}
		s.Post(t, "/oauth/token", grant, c.Basic()).Want(t, 503, "temporarily_unavailable")
	})
}
