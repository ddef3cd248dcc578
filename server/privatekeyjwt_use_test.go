package server_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// ask presents an assertion at introspection or revocation.
func (c keyed) ask(t testing.TB, path, token, compact string) servertest.Response {
	t.Helper()
	return c.Post(t, path, url.Values{"token": {token}}.Encode()+"&"+servertest.AssertionForm(compact))
}

// An assertion is valid once, at the three endpoints together.
func TestPrivateKeyJWTSingleUse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e, other := newTokenEndpoint(t, b), newTokenEndpoint(t, b)
		c, owner := e.keyed(t), e.basic(t)
		foreign := e.Token(t, owner)
		token := granted(t, c.present(t, c.sign(t, nil, nil)))["access_token"].(string)
		uses := map[string]func(k keyed, compact string) servertest.Response{
			"token": func(k keyed, compact string) servertest.Response { return k.present(t, compact) },
			"introspect": func(k keyed, compact string) servertest.Response {
				return k.ask(t, "/oauth/introspect", foreign, compact)
			},
			"introspect nothing":    func(k keyed, compact string) servertest.Response { return k.ask(t, "/oauth/introspect", "x", compact) },
			"revoke an unknown one": func(k keyed, compact string) servertest.Response { return k.ask(t, "/oauth/revoke", "x", compact) },
		}
		for first, use := range uses {
			k := e.keyed(t, c.key)
			for second, again := range uses {
				compact := k.sign(t, nil, nil)
				use(k, compact).Want(t, 200, "")
				if answer := again(keyed{other, k.id, k.key}, compact); strings.TrimSpace(answer.Body) != invalidClient || lastRejection(t, e.Server)["reason"] != "replayed" {
					t.Errorf("%s, and then %s: got %d %s", first, second, answer.Status, answer.Body)
				}
			}
		}
		t.Run("at revocation, before anything is revoked", func(t *testing.T) {
			compact := c.sign(t, nil, nil)
			granted(t, c.present(t, compact))
			refused(t, c.ask(t, "/oauth/revoke", token, compact), 401, "invalid_client")
			if !e.Active(t, e.introspector(t), token) {
				t.Error("a replayed assertion has revoked a token")
			}
			c.ask(t, "/oauth/revoke", token, c.sign(t, nil, nil)).Want(t, 200, "")
			if e.Active(t, e.introspector(t), token) {
				t.Error("the token is still active")
			}
		})
		t.Run("a request that gets no token does not use it up", func(t *testing.T) {
			compact := c.sign(t, nil, nil)
			refused(t, c.present(t, compact, "scope=other"), 400, "invalid_scope")
			refused(t, c.present(t, compact, "resource=https%3A%2F%2Fother.example"), 400, "invalid_target")
			refused(t, c.send(t, "grant_type=password&"+servertest.AssertionForm(compact)), 400, "unsupported_grant_type")
			refused(t, c.Post(t, "/oauth/introspect", servertest.AssertionForm(compact)), 400, "invalid_request")
			granted(t, c.present(t, compact))
		})
		t.Run("one jti of two clients", func(t *testing.T) {
			second := e.keyed(t)
			for _, k := range []keyed{c, second} {
				granted(t, k.present(t, k.sign(t, nil, servertest.M{"jti": "the same"})))
			}
		})
	})
}

// One assertion, fifty times at once, at two replicas: one token, and the others are told nothing but that they are not the client.
// Each has an address of its own, since one address has ten failures a minute.
func TestPrivateKeyJWTAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e, other := newTokenEndpoint(t, b, behindProxy), newTokenEndpoint(t, b, behindProxy)
		c := e.keyed(t)
		form := grantCC + "&" + servertest.AssertionForm(c.sign(t, nil, nil))
		answers := make([]servertest.Response, 50)
		var callers sync.WaitGroup
		for i := range answers {
			callers.Go(func() {
				answers[i] = []tokenEndpoint{e, other}[i%2].Post(t, "/oauth/token", form, address("192.0.2.%d", i))
			})
		}
		callers.Wait()
		got := map[string]int{}
		for _, a := range answers {
			if a.Status == http.StatusOK {
				a.Body = "a token"
			}
			got[fmt.Sprintf("%d %s", a.Status, strings.TrimSpace(a.Body))]++
		}
		want := map[string]int{"200 a token": 1, "401 " + invalidClient: 49}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the answers (-want +got)\n%s", diff)
		}
	})
}

// TestPrivateKeyJWTBudget: the record that an assertion was used costs no round trip of its own, but at revocation.
func TestPrivateKeyJWTBudget(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		c, limited, owner := e.keyed(t), e.keyed(t), e.basic(t)
		e.Admin(t, "PATCH", "/admin/clients/"+limited.id, servertest.M{"rate_limit": "1000/m"})
		foreign := e.Token(t, owner)
		granted(t, c.present(t, c.sign(t, nil, nil))) // the connections are open
		var token string
		for _, budget := range []struct {
			what string
			most int
			do   func()
		}{
			{"a token", 2, func() { token = granted(t, c.present(t, c.sign(t, nil, nil)))["access_token"].(string) }},
			{"a token of a client with a rate", 3, func() { granted(t, limited.present(t, limited.sign(t, nil, nil))) }},
			{"introspection of its own token", 2, func() { c.ask(t, "/oauth/introspect", token, c.sign(t, nil, nil)).Want(t, 200, "") }},
			{"introspection of another's", 2, func() { c.ask(t, "/oauth/introspect", foreign, c.sign(t, nil, nil)).Want(t, 200, "") }},
			{"introspection of nothing", 2, func() { c.ask(t, "/oauth/introspect", "x", c.sign(t, nil, nil)).Want(t, 200, "") }},
			{"revocation", 3, func() { c.ask(t, "/oauth/revoke", token, c.sign(t, nil, nil)).Want(t, 200, "") }},
		} {
			if b.Name == "cluster" && budget.what == "revocation" { // where the feed may be on another node
				budget.most++
			}
			if cost := e.trips(t, budget.do); total(cost) > budget.most {
				t.Errorf("%s costs the round trips %v, want at most %d", budget.what, cost, budget.most)
			}
		}
	})
}

// A rejected assertion writes nothing that stays, and every rejection costs the same commands.
func TestPrivateKeyJWTRejectionsCost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		c, disabled, secret := e.keyed(t), e.keyed(t), e.basic(t)
		e.Admin(t, "PATCH", "/admin/clients/"+disabled.id, servertest.M{"disabled": true}).Want(t, 200, "")
		granted(t, c.present(t, c.sign(t, nil, nil))) // the connections are open
		nobody := keyed{e, "nobody", c.key}
		reject := func(k keyed, header, claims servertest.M) map[string]int {
			compact := k.sign(t, header, claims)
			return e.trips(t, func() { refused(t, k.present(t, compact, "client_id="+k.id), 401, "invalid_client") })
		}
		want := reject(nobody, nil, nil)
		for name, got := range map[string]map[string]int{
			"another key":              reject(keyed{e, c.id, servertest.NewSigner(t, "first", "ES256")}, nil, nil),
			"an unknown kid":           reject(c, servertest.M{"kid": "other"}, nil),
			"expired":                  reject(c, nil, servertest.M{"exp": 1}),
			"another audience":         reject(c, nil, servertest.M{"aud": "x"}),
			"crit":                     reject(c, servertest.M{"crit": "x"}, nil),
			"a client with secrets":    reject(keyed{e, secret.ID, c.key}, nil, nil),
			"a client that is stopped": reject(disabled, nil, nil),
		} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("commands (-unknown client +%s):\n%s", name, diff)
			}
		}
		c.rejected(t, disabled.present(t, disabled.sign(t, nil, nil)), "disabled")
		records := 0
		for key := range b.Dump(t) {
			if strings.HasPrefix(key, "mk:j:") {
				records++
			}
		}
		if b.Server != nil && records != 1 {
			t.Errorf("got %d replay records, want that of the one good assertion", records)
		}
	})
}

// Failures count by the client that an assertion names, and by address. A good assertion is accepted nevertheless.
func TestPrivateKeyJWTFailuresAreLimited(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	c := e.keyed(t)
	limited := func(answer servertest.Response) {
		t.Helper()
		refused(t, answer, 429, "too_many_requests")
		if answer.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	bad := keyed{e, c.id, servertest.NewSigner(t, "first", "ES256")}
	for range 5 {
		refused(t, bad.present(t, bad.sign(t, nil, nil)), 401, "invalid_client")
		refused(t, bad.present(t, "x.y.z", "client_id="+c.id), 401, "invalid_client")
	}
	limited(bad.present(t, bad.sign(t, nil, nil)))
	granted(t, c.present(t, c.sign(t, nil, nil)))

	e.Clock.Advance(time.Minute)
	used := c.sign(t, nil, nil)
	granted(t, c.present(t, used))
	for range 10 {
		refused(t, c.present(t, used), 401, "invalid_client")
	}
	limited(c.present(t, used)) // a replay counts too

	e.Clock.Advance(time.Minute)
	invented := func() servertest.Response {
		k := keyed{e, "invented-" + rand.Text()[:8], c.key}
		return k.present(t, k.sign(t, nil, nil))
	}
	for range 300 {
		if answer := invented(); answer.Status != 401 {
			t.Fatalf("got %d %s", answer.Status, answer.Body)
		}
	}
	limited(invented())
	granted(t, c.present(t, c.sign(t, nil, nil)))
}

// A replay is not a call of the client: it leaves no count in the client's rate limit, and the key was not used.
func TestPrivateKeyJWTReplayIsNoUse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b, behindProxy)
		c := e.keyed(t)
		e.Admin(t, "PATCH", "/admin/clients/"+c.id, servertest.M{"rate_limit": "2/h"}).Want(t, 200, "")
		lastUse := func() any {
			t.Helper()
			if err := e.Store.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			keys := e.Admin(t, "GET", "/admin/clients/"+c.id, nil).Want(t, 200, "").JSON(t)["keys"].([]any)
			return keys[0].(servertest.M)["last_used_at"]
		}
		used := c.sign(t, nil, nil)
		granted(t, c.present(t, used))
		want := lastUse()
		if want == nil {
			t.Fatal("the use of the key is not recorded")
		}
		e.Clock.Advance(30 * time.Second)
		form := grantCC + "&" + servertest.AssertionForm(used)
		var replays sync.WaitGroup
		for i := range 20 { // at once: some of them are over the limit until others are taken back
			replays.Go(func() {
				if got := e.Post(t, "/oauth/token", form, address("192.0.2.%d", i)); got.Status != 401 && got.Status != 429 {
					t.Errorf("a replay: got %d %s", got.Status, got.Body)
				}
			})
		}
		replays.Wait()
		for range 3 {
			refused(t, c.present(t, used, "scope=other"), 400, "invalid_scope")
		}
		for _, path := range []string{"/oauth/introspect", "/oauth/revoke"} {
			refused(t, c.ask(t, path, "x", used), 401, "invalid_client")
		}
		if got := lastUse(); got != want {
			t.Errorf("after replays the key was last used at %v, want %v", got, want)
		}
		granted(t, c.present(t, c.sign(t, nil, nil)))
		if got := lastUse(); got == want {
			t.Error("the next use of the key is not recorded")
		}
		refused(t, c.present(t, c.sign(t, nil, nil)), 429, "too_many_requests")
	})
}

// TestPrivateKeyJWTCanary: nothing of an assertion is kept but a kid that can be read.
func TestPrivateKeyJWTCanary(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		c := e.keyed(t)
		const canary, long = "canary7f3a", "canary7f3b" // the server's log has every level
		e.Secret(canary)
		e.Secret(long)
		for _, answer := range []servertest.Response{
			c.present(t, c.sign(t, nil, servertest.M{"jti": canary})),
			c.present(t, c.sign(t, nil, servertest.M{"jti": canary})),
			c.present(t, c.sign(t, servertest.M{"kid": long + strings.Repeat("x", 64)}, nil)),
			c.present(t, c.sign(t, servertest.M{"kid": long + "\x1b[A"}, nil)),
			c.present(t, c.sign(t, servertest.M{"alg": canary, "typ": canary}, nil)),
			c.present(t, c.sign(t, nil, servertest.M{"sub": canary, "aud": canary}), "client_id="+c.id),
			c.present(t, c.sign(t, nil, servertest.M{"sub": canary, "iss": canary})),
			c.present(t, c.sign(t, nil, servertest.M{"sub": nil, "iss": canary})),
			c.present(t, c.sign(t, nil, servertest.M{"sub": canary})),
			c.present(t, canary+"."+canary+"."+canary),
		} {
			if strings.Contains(answer.Body, "canary") {
				t.Errorf("the answer has the canary: %s", answer.Body)
			}
		}
		audit := e.Admin(t, "GET", "/admin/audit?refusals=true", nil).Want(t, 200, "")
		if strings.Contains(audit.Body, "canary") {
			t.Errorf("the audit log has the canary: %s", audit.Body)
		}
		w := httptest.NewRecorder()
		e.Metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		if strings.Contains(w.Body.String(), "canary") {
			t.Error("the metrics have the canary")
		}
	})
}

// An operator recognises by the kid in the audit log which key a client uses, and by the last use which it uses no more.
func TestPrivateKeyJWTForOperators(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	c := e.keyed(t)
	c.rejected(t, c.present(t, c.sign(t, servertest.M{"kid": "2019-old:key/1"}, nil)), "key_unknown")
	if diff := cmp.Diff(map[string]string{"reason": "key_unknown", "kid": "2019-old:key/1"}, lastRejection(t, e.Server)); diff != "" {
		t.Errorf("detail (-want +got):\n%s", diff)
	}
	granted(t, c.present(t, c.sign(t, nil, nil)))
	if err := e.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(servertest.JWKS(t, c.key))
	_, set, err := jwks.ParseRegistered(raw)
	if err != nil {
		t.Fatal(err)
	}
	uses, err := e.Store.ClientUses(t.Context(), c.id)
	if last := uses.Keys[set.Keys[0].Thumbprint]; err != nil || e.Clock.Now().Sub(last).Abs() > 10*time.Second {
		t.Errorf("the last use of the key is %v, %v", last, err)
	}
}
