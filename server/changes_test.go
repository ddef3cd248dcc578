package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// watched is a server whose store looks at the feed, and a client that may poll.
type watched struct {
	*servertest.Server
	guard servertest.Client
}

func watchedServer(t testing.TB, b *storetest.Backend, environ ...string) watched {
	t.Helper()
	s := servertest.New(t, b, environ...)
	runStore(t, s)
	return watched{s, s.Register(t, servertest.M{"client_id": "orders", "scope": "mintkeep:introspect"})}
}

// runStore runs the background of the store until the test is over.
func runStore(t testing.TB, s *servertest.Server) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); s.Store.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ran })
}

// changes are an answer of POST /oauth/changes.
type changes struct {
	Nonce  string
	Cursor string
	Reset  bool
	More   bool
	Void   []string
	Fresh  *int64
	Keys   string
}

const nonce = "k3J9xQ2mZr0a"

// pollBody is a poll with these members, and the nonce.
func pollBody(members servertest.M) servertest.M {
	body := servertest.M{"nonce": nonce}
	for name, value := range members {
		body[name] = value
	}
	return body
}

// send sends one poll.
func (s watched) send(t testing.TB, members servertest.M, edits ...servertest.Edit) servertest.Response {
	t.Helper()
	if len(edits) == 0 {
		edits = []servertest.Edit{s.guard.Basic()}
	}
	return s.Admin(t, http.MethodPost, "/oauth/changes", pollBody(members), edits...)
}

// poll sends a poll until the feed answers it: the first marks the feed, on a busy machine not within the patience of one.
func (s watched) poll(t testing.TB, members servertest.M, edits ...servertest.Edit) changes {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		r := s.send(t, members, edits...)
		if r.Status == http.StatusServiceUnavailable && time.Now().Before(deadline) {
			continue
		}
		var c changes
		if err := json.Unmarshal([]byte(r.Want(t, http.StatusOK, "").Body), &c); err != nil {
			t.Fatalf("%v: %s", err, r.Body)
		}
		return c
	}
}

// first is the cursor of a first poll.
func (s watched) first(t testing.TB) string {
	t.Helper()
	return s.poll(t, nil).Cursor
}

func TestChangesFirstPoll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := watchedServer(t, b)
		c := s.poll(t, nil)
		if c.Nonce != nonce || !c.Reset || c.More || c.Void == nil || len(c.Void) > 0 || c.Fresh == nil || len(c.Keys) != 8 {
			t.Errorf("the first answer is %+v", c)
		}
		r := s.send(t, servertest.M{"after": c.Cursor, "wait": 300})
		noStore(t, r)
		if !strings.Contains(r.Body, `"reset":false,"more":false,"void":[],"fresh":`) {
			t.Errorf("without a change the answer is %s", r.Body)
		}
	})
}

func noStore(t testing.TB, r servertest.Response) {
	t.Helper()
	if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the headers are %v", r.Header)
	}
}

// A poll that waits is answered as soon as something changes, with its handle.
func TestChangesWakes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := watchedServer(t, b)
		s.Register(t, servertest.M{"client_id": "billing"})
		s.wantWoken(t, s.first(t), s.guard.Basic())
	})
}

// wantWoken fails the test unless a poll that waits is answered by a revocation before its wait is over. On a busy machine the
// revocation may be late: then it tries again.
func (s watched) wantWoken(t testing.TB, after string, edits ...servertest.Edit) {
	t.Helper()
	const wait = 2 * time.Second
	poll := func() changes {
		c := s.poll(t, servertest.M{"after": after, "wait": wait.Milliseconds()}, edits...)
		after = c.Cursor
		return c
	}
	for range 10 {
		answered, began := make(chan changes, 1), time.Now()
		go func() { answered <- poll() }()
		waiting(t, s.Server, 1)
		s.Admin(t, http.MethodPost, "/admin/clients/billing/revoke-tokens", nil).Want(t, http.StatusNoContent, "")
		c := <-answered
		early := len(c.Void) > 0 && time.Since(began) < wait
		eventually(t, func() bool {
			if len(c.Void) == 0 && !c.Reset {
				c = poll()
			}
			return len(c.Void) > 0 || c.Reset
		})
		if want := feed.OfClient("billing").String(); c.Reset || c.Void[0] != want {
			t.Fatalf("the answer is %+v, want the void %s", c, want)
		}
		if early {
			return
		}
	}
	t.Errorf("no revocation was told before the %v were over for which a poll waits", wait)
}

// waiting waits until so many polls wait.
func waiting(t testing.TB, s *servertest.Server, n int) {
	t.Helper()
	eventually(t, func() bool { return s.Store.Feed().Status().Waiting == n })
}

func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to be within a minute")
		}
	}
}

func TestChangesBadRequests(t *testing.T) {
	s := watchedServer(t, storetest.Embedded(t))
	s.first(t)
	basic := s.guard.Basic()
	post := func(contentType, body string) servertest.Response {
		return s.Do(t, http.MethodPost, "/oauth/changes", strings.NewReader(body), servertest.Header("Content-Type", contentType), basic)
	}
	used := make([]any, 257)
	for i := range used {
		used[i] = []any{"key_1", 1, 0}
	}
	for name, tt := range map[string]struct {
		members servertest.M
		named   string
	}{
		"a wait below 0":           {servertest.M{"wait": -1}, "wait"},
		"a wait above 2000":        {servertest.M{"wait": 2001}, "wait"},
		"a wait that is a text":    {servertest.M{"wait": "x"}, "wait"},
		"a wait that is a part":    {servertest.M{"wait": 0.5}, "wait"},
		"no nonce":                 {servertest.M{"nonce": nil}, "nonce"},
		"a short nonce":            {servertest.M{"nonce": "1234567"}, "nonce"},
		"a long nonce":             {servertest.M{"nonce": strings.Repeat("a", 65)}, "nonce"},
		"a nonce with a quote":     {servertest.M{"nonce": `12345678"`}, "nonce"},
		"a nonce that is a number": {servertest.M{"nonce": 12345678}, "nonce"},
		"257 used keys":            {servertest.M{"used": used}, "used"},
		"used keys of two parts":   {servertest.M{"used": []any{[]any{"key_1", 1}}}, "used"},
		"a key used 0 times":       {servertest.M{"used": []any{[]any{"key_1", 0, 0}}}, "used"},
		"a key used too often":     {servertest.M{"used": []any{[]any{"key_1", 10_000_001, 0}}}, "used"},
		"a key used tomorrow":      {servertest.M{"used": []any{[]any{"key_1", 1, -1}}}, "used"},
		"an empty instance":        {servertest.M{"instance": ""}, "instance"},
		"a long instance":          {servertest.M{"instance": strings.Repeat("a", 129)}, "instance"},
		"an invisible instance":    {servertest.M{"instance": "a\x00b"}, "instance"},
		"a long version":           {servertest.M{"version": strings.Repeat("1", 65)}, "version"},
		"a negative lease":         {servertest.M{"lease": -1}, "lease"},
		"a lease that is too long": {servertest.M{"lease": 3_610_001}, "lease"},
		"negative entries":         {servertest.M{"entries": -1}, "entries"},
		"served in parts":          {servertest.M{"served": 1.5}, "served"},
		"refused as a text":        {servertest.M{"refused": "1"}, "refused"},
	} {
		r := s.send(t, tt.members).Want(t, http.StatusBadRequest, "invalid_request")
		if !strings.Contains(r.Body, `"`+tt.named+": ") {
			t.Errorf("%s: the answer does not name %s: %s", name, tt.named, r.Body)
		}
	}
	post("application/json", "{").Want(t, http.StatusBadRequest, "invalid_request")
	post("application/json", "[]").Want(t, http.StatusBadRequest, "invalid_request")
	post("application/json", `{"nonce":"`+strings.Repeat("a", 65<<10)+`"}`).Want(t, http.StatusRequestEntityTooLarge, "invalid_request")
	post("application/x-www-form-urlencoded", "nonce="+nonce).Want(t, http.StatusUnsupportedMediaType, "invalid_request")
}

// What is no cursor of this feed is a reset, never an error.
func TestChangesCursors(t *testing.T) {
	s := watchedServer(t, storetest.Embedded(t))
	good := s.first(t)
	for _, after := range []any{"x", good[:31], good + "A", strings.Repeat("A", 32), "", nil, 17, []any{}, "\u0000", strings.Repeat("ä", 1000)} {
		if c := s.poll(t, servertest.M{"after": after, "wait": 0}); !c.Reset || len(c.Void) > 0 {
			t.Errorf("after %v: got %+v, want a reset", after, c)
		}
	}
	if c := s.poll(t, servertest.M{"after": good, "wait": 0}); c.Reset {
		t.Errorf("the good cursor is answered %+v", c)
	}
}

func TestChangesCallers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := watchedServer(t, b)
		other := s.Register(t, servertest.M{"client_id": "other", "scope": "read"})
		s.first(t)
		wrong := servertest.Client{ID: "orders", Secret: other.Secret}
		for range 2 { // a failure is not remembered, and neither is another's success
			s.send(t, nil, wrong.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
			s.send(t, nil, other.Basic()).Want(t, http.StatusForbidden, "insufficient_scope")
			s.send(t, nil, servertest.Header("Authorization", "")).Want(t, http.StatusUnauthorized, "invalid_client")
			s.send(t, nil, servertest.Header("Sec-Fetch-Site", "cross-site"), s.guard.Basic()).Want(t, http.StatusForbidden, "access_denied")
		}
		s.poll(t, servertest.M{"client_id": s.guard.ID, "client_secret": s.guard.Secret}, func(r *http.Request) { r.Header.Del("Authorization") })
		token := s.Token(t, s.guard, "scope=mintkeep:introspect", "resource="+servertest.Issuer)
		s.poll(t, nil, servertest.Bearer(token))
		s.Revoke(t, s.guard, token).Want(t, http.StatusOK, "")
		eventually(t, func() bool {
			return s.send(t, servertest.M{"wait": 0}, servertest.Bearer(token)).Status == http.StatusUnauthorized
		})
	})
}

// A remembered authentication ends with everything that it depends on: the feed says so.
func TestChangesForgetsAuthentications(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := watchedServer(t, b)
		after := s.first(t)
		rejected := func(status int) func() bool {
			return func() bool { return s.send(t, servertest.M{"wait": 0}).Status == status }
		}
		patch := func(m servertest.M) {
			s.Admin(t, http.MethodPatch, "/admin/clients/orders", m).Want(t, http.StatusOK, "")
		}
		// It waits meanwhile, and its wait ends.
		ended := make(chan changes, 1)
		go func() { ended <- s.poll(t, servertest.M{"after": after, "wait": 2000}) }()
		waiting(t, s.Server, 1)
		patch(servertest.M{"disabled": true})
		<-ended
		eventually(t, rejected(http.StatusUnauthorized))
		patch(servertest.M{"disabled": false})
		eventually(t, rejected(http.StatusOK))
		patch(servertest.M{"scope": "read"})
		eventually(t, rejected(http.StatusForbidden))
		patch(servertest.M{"scope": "mintkeep:introspect"})
		eventually(t, rejected(http.StatusOK))
		old := s.guard
		answer := s.Admin(t, http.MethodPost, "/admin/clients/orders/secrets", servertest.M{"overlap": "1h"}).Want(t, http.StatusCreated, "").JSON(t)
		s.guard.Secret = answer["client_secret"].(string)
		s.Secret(s.guard.Secret)
		eventually(t, rejected(http.StatusOK))
		s.poll(t, servertest.M{"wait": 0}, old.Basic()) // is remembered, until it expires
		s.Clock.Advance(61 * time.Minute)
		s.send(t, servertest.M{"wait": 0}, old.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
		s.poll(t, servertest.M{"wait": 0})
		s.Admin(t, http.MethodDelete, "/admin/clients/orders", nil).Want(t, http.StatusNoContent, "")
		eventually(t, rejected(http.StatusUnauthorized))
	})
}

// The authentication is remembered: a poll sends no command to Redis. Those of the heartbeats and the looks go on.
func TestChangesCostNoCommand(t *testing.T) {
	t.Parallel()
	const callers, polls = 25, 20
	s := watchedServer(t, storetest.Redis(t).Backend(t))
	after := s.first(t)
	e := tokenEndpoint{Server: s.Server}
	for name, edit := range map[string]servertest.Edit{
		"a secret": s.guard.Basic(), "an access token": servertest.Bearer(s.Token(t, s.guard, "scope=mintkeep:introspect", "resource="+servertest.Issuer)),
	} {
		s.poll(t, servertest.M{"after": after, "wait": 0}, edit)
		cost := e.trips(t, func() {
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for range polls {
						s.poll(t, servertest.M{"after": after, "wait": 0}, edit)
					}
				})
			}
			all.Wait()
		})
		if total(cost) > callers*polls/2 {
			t.Errorf("%d polls by %s cost %v", callers*polls, name, cost)
		}
	}
}

// An assertion is valid once, at this route too, and is not remembered.
func TestChangesByAssertion(t *testing.T) {
	b := storetest.Redis(t).Backend(t)
	s := watchedServer(t, b)
	pair := servertest.NewSigner(t, "a", "ES256")
	s.Register(t, servertest.M{
		"client_id": "signer", "scope": "mintkeep:introspect", "jwks": servertest.JWKS(t, pair), "token_endpoint_auth_method": "private_key_jwt",
	})
	s.first(t)
	assertion := func() servertest.M {
		compact := pair.Sign(t, nil, servertest.AssertionClaims("signer", s.Clock.Now(), nil))
		s.Secret(compact)
		return servertest.M{"client_assertion": compact, "client_assertion_type": servertest.AssertionType, "wait": 0}
	}
	none := func(r *http.Request) { r.Header.Del("Authorization") }
	used := assertion()
	s.send(t, used, none).Want(t, http.StatusOK, "")
	s.send(t, used, none).Want(t, http.StatusUnauthorized, "invalid_client")
	s.send(t, assertion(), none).Want(t, http.StatusOK, "")
}

func TestChangesOff(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b, "MINTKEEP_FEED=off")
	s.Admin(t, http.MethodPost, "/oauth/changes", pollBody(nil)).Want(t, http.StatusNotFound, "not_found")
	if m := s.Get(t, "/.well-known/oauth-authorization-server").Body; strings.Contains(m, "mintkeep_changes_endpoint") {
		t.Errorf("the metadata names the feed: %s", m)
	}
	s.Register(t, servertest.M{"client_id": "billing"})
	s.Admin(t, http.MethodPatch, "/admin/clients/billing", servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
	if n := b.Do("EXISTS", "mk:feed"); n != int64(0) {
		t.Error("something was appended")
	}
	on := servertest.New(t, storetest.Embedded(t))
	m := on.Get(t, "/.well-known/oauth-authorization-server").JSON(t)
	if m["mintkeep_changes_endpoint"] != servertest.Issuer+"/oauth/changes" || m["mintkeep_confirm_endpoint"] != servertest.Issuer+"/oauth/confirm" {
		t.Errorf("the metadata is %v", m)
	}
}

// Whatever happened meanwhile is told in parts, in order, and only the last one says that the guard knows everything.
func TestChangesInParts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := watchedServer(t, b)
		after := s.first(t)
		const revoked = 5_000
		var want []string
		handles := make([]feed.Handle, revoked)
		for i := range handles {
			handles[i] = feed.OfClient(fmt.Sprint("client ", i))
			want = append(want, handles[i].String())
		}
		for _, cmd := range s.Store.Feed().Void(t.Context(), handles, false) {
			if err := b.Client().Process(t.Context(), cmd); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, func() bool { return s.Store.Feed().Status().Entries >= revoked/256 })
		var got []string
		for range 3 {
			c := s.poll(t, servertest.M{"after": after, "wait": 300})
			if c.Reset || len(c.Void) > 4_096 || c.More != (len(got)+len(c.Void) < revoked) {
				t.Fatalf("%d voids of %d, reset %v, more %v", len(c.Void), revoked, c.Reset, c.More)
			}
			after, got = c.Cursor, append(got, c.Void...)
			if c.More && c.Fresh != nil {
				t.Errorf("there is more, and fresh is %d", *c.Fresh)
			}
			if !c.More {
				break
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("got %d voids, want %d in their order", len(got), len(want))
		}
	})
}

// keys changes with the key set.
func TestChangesKeySet(t *testing.T) {
	s := watchedServer(t, storetest.Embedded(t))
	before := s.poll(t, nil)
	if again := s.poll(t, servertest.M{"after": before.Cursor, "wait": 0}); again.Keys != before.Keys {
		t.Errorf("keys are %q, and %q without a change", before.Keys, again.Keys)
	}
	s.Admin(t, http.MethodPost, "/admin/signing-keys/rotate", servertest.M{"compromised": true}).Want(t, http.StatusCreated, "")
	if after := s.poll(t, servertest.M{"after": before.Cursor, "wait": 0}); after.Keys == before.Keys {
		t.Errorf("keys are %q after a rotation too", after.Keys)
	}
}

// What a guard has accepted from memory counts as if it had asked.
func TestChangesUsedKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := watchedServer(t, b)
		u := s.User(t, servertest.M{"email": "ada@example.com"})
		k := s.Key(t, u, nil)
		after := s.first(t)
		const unknown = "key_019b77d5ac0vq3n5c7y2hdkmzwe"
		for range 3 {
			s.poll(t, servertest.M{"after": after, "wait": 0, "used": []any{[]any{k.ID, 17, 3}, []any{unknown, 5, 0}, []any{k.Plain, 1, 0}}})
		}
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		used := s.Admin(t, http.MethodGet, "/admin/keys/"+k.ID, nil).JSON(t)["last_used"].(servertest.M)
		if want := s.Clock.Now().Add(-3 * time.Second).UTC().Format(time.RFC3339); used["at"] != want || used["from"] != "client:orders" {
			t.Errorf("last used is %v, want %s", used, want)
		}
		days, err := s.Store.KeyDays(t.Context(), k.ID)
		if err != nil || days[len(days)-1].Uses != 51 {
			t.Errorf("uses of today: %v, %v; want 51", days[len(days)-1:], err)
		}
		for _, key := range []string{"mk:kd:" + unknown, "mk:k:" + unknown} {
			if n := b.Do("EXISTS", key); n != int64(0) {
				t.Errorf("%s was created", key)
			}
		}
		// A later use that is known already stays.
		s.Introspect(t, s.guard, k.Plain)
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.poll(t, servertest.M{"after": after, "wait": 0, "used": []any{[]any{k.ID, 1, 60}}})
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		uses, err := s.Store.KeyUses(t.Context(), []*store.APIKey{{ID: k.ID, UserID: u.ID}})
		if err != nil || s.Clock.Now().Sub(uses[0].At) > 2*time.Second {
			t.Errorf("last used is %v at %v, %v", uses, s.Clock.Now(), err)
		}
	})
}
