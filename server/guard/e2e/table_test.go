package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

const (
	orders = "https://orders.example.com"
	other  = "https://other.example.com"
)

// backend is a Mintkeep: the real one, or the small one of guardtest.
type backend interface {
	Token(client, audience string, scopes ...string) string
	Opaque(client, audience string, scopes ...string) string
	Key(user string, scopes ...string) string
	KeyAudience() string
	Revoke(client, credential string)
	Narrow(key string, scopes ...string)
	DisableKey(key string, disabled bool)
	DisableClient(client string, disabled bool)
	RevokeTokens(client string)
	DisableUser(user string, disabled bool)
	RotateSigningKey(compromised bool)
	Entitle(entitled bool)
	// Guard has the HTTPClient of the Config for a network with faults.
	Guard(c guard.Config) *guard.Guard
	Address() string
	GuardSecret() string
}

type small struct{ *guardtest.Server }

func (s small) Key(user string, scopes ...string) string {
	return s.Server.Key(user, orders, scopes...)
}
func (s small) KeyAudience() string         { return orders }
func (s small) Revoke(_, credential string) { s.Server.Revoke(credential) }
func (s small) Address() string             { return s.URL }
func (s small) GuardSecret() string         { return guardtest.ClientSecret }

func each(t *testing.T, f func(t *testing.T, b backend)) {
	t.Run("guardtest", func(t *testing.T) { f(t, small{guardtest.NewServer(t)}) })
	t.Run("mintkeep", func(t *testing.T) { f(t, newReal(t)) })
}

// settle waits until the guard knows of everything that was done until now.
func settle(t *testing.T, g *guard.Guard) {
	t.Helper()
	began := time.Now()
	for {
		if at, current := g.KnownAt(); current && at.After(began) {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the guard is not current: %+v", g.Stats())
		}
		time.Sleep(time.Millisecond)
	}
}

// check is the status of a check, 200 or the refusal's, and the refusal's reason.
func check(t *testing.T, g *guard.Guard, credential string, o ...guard.Option) (status int, reason string) {
	t.Helper()
	c, err := g.Check(t.Context(), guard.Presented{Authorization: []string{"Bearer " + credential}}, o...)
	var refusal *guard.Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Status, refusal.Reason
	case err != nil || c == nil:
		t.Fatal(c, err)
	}
	return 200, ""
}

// want checks a credential.
func want(t *testing.T, g *guard.Guard, what, credential string, status int, o ...guard.Option) {
	t.Helper()
	if got, reason := check(t, g, credential, o...); got != status {
		t.Errorf("%s: %d %s, want %d", what, got, reason, status)
	}
}

var read, refund = guard.Scope("read"), guard.Scope("refund")

func TestGuard(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		// A long lease: a guard on a slow machine that becomes stale asks more often.
		g := b.Guard(guard.Config{Audiences: []string{orders, b.KeyAudience()}, MaxStale: 10 * time.Second})
		settle(t, g)
		token, disabled, key, users := b.Token("billing", orders, "read"), b.Token("reports", orders, "read"), b.Key("ada", "read"), b.Key("bob", "read")
		narrowed, stopped := b.Key("ada", "read", "write"), b.Key("ada", "read")
		opaque, swept := b.Opaque("stock", orders, "read"), b.Token("sales", orders, "read")
		settle(t, g) // to register a client or a user is a change of it
		for range 3 {
			for what, c := range map[string]string{
				"token": token, "opaque token": opaque, "token of another client": disabled, "key": key, "key of another user": users, "token of a third client": swept,
				"key that will be narrowed": narrowed, "key that will be disabled": stopped,
			} {
				want(t, g, what, c, 200, read)
				want(t, g, what+" without the scope", c, 403, refund)
			}
		}
		if s := g.Stats(); s.Asks != 8 {
			t.Errorf("asked %d times about eight credentials", s.Asks)
		}
		want(t, g, "another audience", b.Token("billing", other, "read"), 401)
		want(t, g, "never issued", guardtest.Checksummed("mkt_"), 401)
		want(t, g, "a wrong checksum", "mk_0123456789012345678901234567890123456789abcdef", 401)
		want(t, g, "strict", token, 200, read, guard.Strict)

		b.Revoke("billing", token)
		b.Revoke("stock", opaque)
		b.Revoke("", key)
		b.DisableClient("reports", true)
		b.RevokeTokens("sales")
		b.DisableUser("bob", true)
		b.Narrow(narrowed, "write")
		b.DisableKey(stopped, true)
		settle(t, g)
		want(t, g, "key that was narrowed", narrowed, 403, read)
		want(t, g, "key that was narrowed, for what it kept", narrowed, 200, guard.Scope("write"))
		want(t, g, "key that was disabled", stopped, 401, read)
		for what, c := range map[string]string{
			"revoked token": token, "revoked opaque token": opaque, "revoked key": key, "client disabled": disabled, "user disabled": users, "all tokens revoked": swept,
		} {
			want(t, g, what, c, 401, read)
		}
		b.DisableUser("bob", false)
		b.DisableClient("reports", false)
		b.DisableKey(stopped, false)
		settle(t, g)
		want(t, g, "key that was enabled again", stopped, 200, read)
		want(t, g, "user enabled again", users, 200, read)
		want(t, g, "an old token of a client that was enabled again", disabled, 401, read)
		want(t, g, "a new token of that client", b.Token("reports", orders, "read"), 200, read)
		want(t, g, "a new token after all were revoked", b.Token("sales", orders, "read"), 200, read)
	})
}

// A guard whose client lacks mintkeep:introspect is misconfigured. No caller is told that its credential is bad, whether the guard
// starts so or the scope is taken away.
func TestGuardWithoutTheScope(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		c := guard.Config{Audiences: []string{orders, b.KeyAudience()}, MaxStale: 300 * time.Millisecond}
		token, key := b.Token("billing", orders, "read"), b.Key("ada", "read")
		misconfigured := func(g *guard.Guard, credential string, o ...guard.Option) {
			t.Helper()
			if status, reason := check(t, g, credential, o...); status != 503 || reason != "misconfigured" {
				t.Errorf("%d %s, want 503 misconfigured", status, reason)
			}
		}
		b.Entitle(false)
		g := b.Guard(c)
		for _, credential := range []string{token, key, guardtest.Checksummed("mkt_")} {
			misconfigured(g, credential)
		}
		eventually(t, "the poll is rejected", func() bool { return g.Stats().State == guard.Misconfigured })
		misconfigured(g, token)
		b.Entitle(true)
		settle(t, g)
		want(t, g, "with the scope", token, 200, read)
		b.Entitle(false)
		misconfigured(g, key)
		misconfigured(g, token, guard.Strict)
		eventually(t, "the poll is rejected again", func() bool { return g.Stats().State == guard.Misconfigured })
		misconfigured(g, token)
	})
}

// network is one between a guard and Mintkeep that counts, and may hold answers back.
type network struct {
	mu    sync.Mutex
	count map[string]int
	held  int                                      // answers that are held back, or were
	hold  func(path string) (late <-chan struct{}) // nil: none is held
	fault func(path string) int                    // the status in place of an answer; 0: none
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	if n.count == nil {
		n.count = map[string]int{}
	}
	n.count[r.URL.Path]++
	var late <-chan struct{}
	if n.hold != nil {
		late = n.hold(r.URL.Path)
	}
	status := 0
	if n.fault != nil {
		status = n.fault(r.URL.Path)
	}
	n.mu.Unlock()
	if status != 0 {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if late != nil {
		n.set(func() { n.held++ })
		<-late
	}
	return answer, err
}

// answers is how many were held back.
func (n *network) answers() (held int) {
	n.set(func() { held = n.held })
	return held
}

func (n *network) requests(path string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.count[path]
}

func (n *network) set(do func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	do()
}

// eventually waits for a state.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: not in a minute", what)
		}
	}
}

// An answer that a proxy holds, while the revocation is acknowledged, is not kept. Who came later gets another one.
func TestAnswerThatAProxyHolds(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		n, late := &network{}, make(chan struct{})
		g := b.Guard(guard.Config{Audiences: []string{orders}, HTTPClient: &http.Client{Transport: n}})
		settle(t, g)
		token := b.Token("billing", orders, "read")
		held := false
		n.set(func() {
			n.hold = func(path string) <-chan struct{} {
				if path != "/oauth/introspect" || held {
					return nil
				}
				held = true
				return late
			}
		})
		first, second := make(chan int, 1), make(chan int, 1)
		go func() { status, _ := check(t, g, token, read); first <- status }()
		eventually(t, "the question is asked", func() bool { return n.requests("/oauth/introspect") == 1 })
		eventually(t, "the answer is held", func() bool { return n.answers() == 1 })
		b.Revoke("billing", token)
		settle(t, g)
		go func() { status, _ := check(t, g, token, read); second <- status }()
		close(late)
		<-first
		if status := <-second; status != 401 {
			t.Errorf("who came after the revocation got %d", status)
		}
		want(t, g, "later", token, 401, read)
	})
}

// A strict route sees a revocation at once, and asks each time.
func TestStrict(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := b.Guard(guard.Config{Audiences: []string{orders}})
		settle(t, g)
		token := b.Token("billing", orders, "read")
		for range 3 {
			want(t, g, "strict", token, 200, read, guard.Strict)
		}
		if n := g.Stats().Asks; n != 3 {
			t.Errorf("asked %d times", n)
		}
		b.Revoke("billing", token)
		want(t, g, "revoked", token, 401, read, guard.Strict)
	})
}

// Without the feed a guard asks at each call, and sees a revocation at once.
func TestFeedIsAway(t *testing.T) {
	for name, status := range map[string]int{"404": 404, "503": 503} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b backend) {
				n := &network{}
				g := b.Guard(guard.Config{Audiences: []string{orders}, MaxStale: 300 * time.Millisecond, HTTPClient: &http.Client{Transport: n}})
				settle(t, g)
				token := b.Token("billing", orders, "read")
				want(t, g, "with the feed", token, 200, read)
				n.set(func() {
					n.fault = func(path string) int {
						if path == "/oauth/changes" {
							return status
						}
						return 0
					}
				})
				eventually(t, "stale", func() bool { return g.Stats().State == guard.Stale })
				want(t, g, "without the feed", token, 200, read)
				b.Revoke("billing", token)
				want(t, g, "revoked", token, 401, read)
			})
		})
	}
}

// No token is rejected because another key signs, and the guard learns of the new key by the feed.
func TestSigningKeyIsReplaced(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		n := &network{}
		g := b.Guard(guard.Config{Audiences: []string{orders}, HTTPClient: &http.Client{Transport: n}})
		settle(t, g)
		old, unseen := b.Token("billing", orders, "read"), b.Token("billing", orders, "read")
		want(t, g, "before", old, 200, read)
		fetched := n.requests("/.well-known/jwks.json")
		b.RotateSigningKey(true)
		eventually(t, "the new key is fetched", func() bool {
			want(t, g, "after", old, 200, read)
			want(t, g, "of the new key", b.Token("billing", orders, "read"), 200, read)
			time.Sleep(100 * time.Millisecond) // ten in a second may be asked about without a check
			return n.requests("/.well-known/jwks.json") > fetched
		})
		want(t, g, "of the old key, for the first time", unseen, 200, read)
	})
}

// A thousand callers with one unknown token are one question.
func TestThousandCallersAskOnce(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		n, late := &network{}, make(chan struct{})
		first, token := b.Token("billing", orders, "read"), b.Token("billing", orders, "read")
		g := b.Guard(guard.Config{Audiences: []string{orders}, MaxStale: 10 * time.Second, HTTPClient: &http.Client{Transport: n}})
		settle(t, g)
		want(t, g, "another token", first, 200) // and the keys are there
		before := n.requests("/oauth/introspect")
		n.set(func() {
			n.hold = func(path string) <-chan struct{} {
				return map[bool]<-chan struct{}{true: late}[path == "/oauth/introspect"]
			}
		})
		results := make(chan int, 1_000)
		for range cap(results) {
			go func() { status, _ := check(t, g, token, read); results <- status }()
		}
		eventually(t, "asked", func() bool { return n.requests("/oauth/introspect") > before })
		close(late)
		for range cap(results) {
			if status := <-results; status != 200 {
				t.Fatalf("got %d", status)
			}
		}
		if asked := n.requests("/oauth/introspect") - before; asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// Mintkeep takes the longest lease that a guard may be configured with.
func TestLongestLease(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := b.Guard(guard.Config{Audiences: []string{orders}, MaxStale: 10 * time.Second, WhenStale: guard.Grace(time.Hour)})
		settle(t, g)
	})
}

// Two guards of one process, for two services, have no influence on each other.
func TestTwoGuardsOfOneProcess(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		one, two := b.Guard(guard.Config{Audiences: []string{orders}}), b.Guard(guard.Config{Audiences: []string{other}})
		settle(t, one)
		settle(t, two)
		a, z := b.Token("billing", orders, "read"), b.Token("billing", other, "read")
		for range 2 {
			want(t, one, "its own", a, 200)
			want(t, one, "the other's", z, 401)
			want(t, two, "its own", z, 200)
			want(t, two, "the other's", a, 401)
		}
		_ = one.Close()
		want(t, two, "after the other was closed", z, 200)
		want(t, one, "after it was closed", a, 503)
	})
}

// A stream ends soon after the revocation of its credential.
func TestWatch(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := b.Guard(guard.Config{Audiences: []string{orders}})
		settle(t, g)
		token := b.Token("billing", orders, "read")
		c, err := g.Check(t.Context(), guard.Presented{Authorization: []string{"Bearer " + token}})
		if err != nil {
			t.Fatal(err)
		}
		watched, stop := g.Watch(t.Context(), c)
		defer stop()
		b.Revoke("billing", token)
		select {
		case <-watched.Done():
			if cause := context.Cause(watched); !errors.Is(cause, guard.ErrRevoked) {
				t.Error(cause)
			}
		case <-time.After(time.Minute):
			t.Error("the stream goes on")
		}
	})
}
