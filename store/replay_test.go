package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// lossy is a store with users and clients; part of what is done to them will be lost.
type lossy struct {
	t      *testing.T
	b      *storetest.Backend
	s      *store.Store
	people map[string]*store.User
	keys   map[string]*store.APIKey
	tokens map[string]store.Digest
}

func newLossy(t *testing.T, srv *storetest.Server) *lossy {
	t.Helper()
	b := srv.Backend(t)
	l := &lossy{t, b, b.Open(t), map[string]*store.User{}, map[string]*store.APIKey{}, map[string]store.Digest{}}
	for _, e := range ends {
		create(t, l.s, e.id())
		setKeys(t, l.s, e.id(), "", "one")
		l.tokens[e.name] = issue(t, b, l.s, e.id(), e.id())
		u := add(t, l.s, e.id()+"@example.com")
		l.signIn(u, e.name)
		l.people[e.name], l.keys[e.name] = read(t, l.s, u.ID), makeKey(t, b, l.s, u, e.name, 0)
	}
	l.s.Heartbeat(t.Context())
	l.s.Heartbeat(t.Context())
	return l
}

func (l *lossy) signIn(u *store.User, cookie string) {
	l.t.Helper()
	must(l.t, l.s.CreateSession(l.t.Context(), &store.Session{Digest: store.DigestOf(cookie), UserID: u.ID}, read(l.t, l.s, u.ID)))
}

func (l *lossy) token(e endCase) bool     { return live(l.t, l.s, e.id(), l.tokens[e.name]) }
func (l *lossy) key(e endCase) bool       { return opens(l.t, l.b, l.s, l.keys[e.name]) }
func (l *lossy) person(e endCase) string  { return l.people[e.name].ID }
func (l *lossy) now(e endCase) store.User { return *read(l.t, l.s, l.person(e)) }

func (l *lossy) secret(e endCase) bool {
	c, err := l.s.Client(l.t.Context(), e.id())
	if err != nil {
		wantErr(l.t, "client", err, store.ErrNotFound)
		return false
	}
	for _, s := range c.Secrets {
		if s.ID == "sec_1" {
			return c.Enabled
		}
	}
	return false
}

func (l *lossy) clientKey(e endCase) bool {
	c, err := l.s.Client(l.t.Context(), e.id())
	must(l.t, err)
	return c.Metadata.HasKeys()
}

func (l *lossy) session(e endCase) bool {
	_, _, err := l.s.Session(l.t.Context(), store.DigestOf(e.name))
	if err != nil {
		wantErr(l.t, "session", err, store.ErrNotFound)
	}
	return err == nil
}

// endCase is one kind of revocation, and what must not be active after it.
type endCase struct {
	name string
	end  func(l *lossy, e endCase) error
	live func(l *lossy, e endCase) bool
}

func (e endCase) id() string { return "of-" + e.name }

// ends are all of them. Add each new kind of entry in the redo log.
var ends = []endCase{
	{"token", func(l *lossy, e endCase) error {
		return l.s.RevokeToken(l.t.Context(), l.tokens[e.name], store.Cause{})
	}, (*lossy).token},
	{"tokens", func(l *lossy, e endCase) error { return l.s.RevokeClientTokens(l.t.Context(), e.id(), store.Cause{}) }, (*lossy).token},
	{"disable-client", func(l *lossy, e endCase) error { return l.s.DisableClient(l.t.Context(), e.id(), store.Cause{}) }, (*lossy).token},
	{"delete-client", func(l *lossy, e endCase) error { return l.s.DeleteClient(l.t.Context(), e.id(), store.Cause{}) }, (*lossy).secret},
	{"narrow-client", func(l *lossy, e endCase) error {
		_, err := l.s.UpdateClient(l.t.Context(), e.id(), store.Cause{}, func(m *store.ClientMetadata) (bool, error) { m.Scope = ""; return true, nil })
		return err
	}, (*lossy).token},
	{"secret", func(l *lossy, e endCase) error {
		return l.s.RevokeSecret(l.t.Context(), e.id(), "sec_1", store.Cause{})
	}, (*lossy).secret},
	{"replace-secret", func(l *lossy, e endCase) error {
		_, err := l.s.AddSecret(l.t.Context(), e.id(), secret(l.b, "sec_2"), time.Time{}, store.Cause{})
		return err
	}, (*lossy).secret},
	{"client-key", func(l *lossy, e endCase) error {
		_, err := l.s.UpdateClient(l.t.Context(), e.id(), store.Cause{}, func(m *store.ClientMetadata) (bool, error) { m.JWKS = nil; return false, nil })
		return err
	}, (*lossy).clientKey},
	{"key", func(l *lossy, e endCase) error {
		_, err := l.s.RevokeKey(l.t.Context(), l.keys[e.name].ID, ended(l.b, ""))
		return err
	}, (*lossy).key},
	{"keys", func(l *lossy, e endCase) error {
		_, err := l.s.RevokeKeys(l.t.Context(), []*store.APIKey{l.keys[e.name]}, ended(l.b, ""))
		return err
	}, (*lossy).key},
	{"expire-key", func(l *lossy, e endCase) error {
		return l.s.ExpireKey(l.t.Context(), l.keys[e.name], l.b.Clock.Now(), "key_next", store.Cause{})
	}, (*lossy).key},
	{"narrow-key", func(l *lossy, e endCase) error {
		_, err := l.s.UpdateKey(l.t.Context(), l.keys[e.name], ended(l.b, ""), func(k *store.APIKey) error { k.Scope = "read"; return nil })
		return err
	}, func(l *lossy, e endCase) bool {
		c, err := l.s.Credential(l.t.Context(), l.keys[e.name].Digest)
		must(l.t, err)
		return c.Key.Scope != "read" || !l.key(e)
	}},
	{"shorten-key", func(l *lossy, e endCase) error {
		_, err := l.s.UpdateKey(l.t.Context(), l.keys[e.name], ended(l.b, ""), func(k *store.APIKey) error {
			k.ExpiresAt = l.b.Clock.Now().Add(time.Hour)
			return nil
		})
		return err
	}, func(l *lossy, e endCase) bool {
		c, err := l.s.Credential(l.t.Context(), l.keys[e.name].Digest)
		must(l.t, err)
		return c.Key.ExpiresAt == 0 || !l.key(e)
	}},
	{"overlap-of-key", func(l *lossy, e endCase) error {
		return l.s.ExpireKey(l.t.Context(), l.keys[e.name], l.b.Clock.Now().Add(time.Hour), "key_next", ended(l.b, ""))
	}, func(l *lossy, e endCase) bool {
		c, err := l.s.Credential(l.t.Context(), l.keys[e.name].Digest)
		must(l.t, err)
		return c.Key.ExpiresAt == 0 || !l.key(e)
	}},
	{"disable-key", func(l *lossy, e endCase) error {
		return l.s.DisableKey(l.t.Context(), l.keys[e.name], ended(l.b, ""))
	}, (*lossy).key},
	{"leak", func(l *lossy, e endCase) error {
		_, err := l.s.RevokeLeaked(l.t.Context(), []store.Digest{l.keys[e.name].Digest}, ended(l.b, ""))
		return err
	}, (*lossy).key},
	{"leaked-secret", func(l *lossy, e endCase) error {
		_, err := l.s.RevokeLeaked(l.t.Context(), []store.Digest{store.DigestOf("secret of " + e.id())}, ended(l.b, ""))
		return err
	}, (*lossy).secret},
	{"disable-user", func(l *lossy, e endCase) error { return l.s.DisableUser(l.t.Context(), l.person(e), store.Cause{}) }, (*lossy).key},
	{"delete-user", func(l *lossy, e endCase) error {
		return l.s.DeleteUser(l.t.Context(), l.person(e), ended(l.b, ""))
	}, (*lossy).key},
	{"demote-user", func(l *lossy, e endCase) error {
		return l.s.DemoteUser(l.t.Context(), l.person(e), store.Cause{})
	}, func(l *lossy, e endCase) bool { u := l.now(e); return u.Role() == store.Operator }},
	{"session", func(l *lossy, e endCase) error {
		return l.s.RevokeSession(l.t.Context(), l.person(e), store.DigestOf(e.name), store.Cause{})
	}, (*lossy).session},
	{"sessions", func(l *lossy, e endCase) error { return l.s.RevokeSessions(l.t.Context(), l.person(e), store.Cause{}) }, (*lossy).session},
	{"password", func(l *lossy, e endCase) error {
		u := l.people[e.name]
		sess := &store.Session{UserID: u.ID, Generation: u.Sessions}
		return l.s.SetPassword(l.t.Context(), sess, u, []byte("new"))
	}, func(l *lossy, e endCase) bool {
		return string(l.now(e).Password) == string(l.people[e.name].Password) || l.session(e)
	}},
	{"redeem", func(l *lossy, e endCase) error {
		must(l.t, l.s.InviteUser(l.t.Context(), l.person(e), store.Invite{Digest: store.DigestOf("code"), ExpiresAt: l.b.Clock.Now().Add(time.Hour)}, store.Cause{}))
		return l.s.RedeemInvite(l.t.Context(), l.person(e), store.DigestOf("code"), []byte("new"))
	}, func(l *lossy, e endCase) bool { return l.now(e).Invite != nil }},
	{"invite", func(l *lossy, e endCase) error {
		return l.s.InviteUser(l.t.Context(), l.person(e), store.Invite{Digest: store.DigestOf("another"), ExpiresAt: l.b.Clock.Now().Add(time.Hour)}, store.Cause{})
	}, (*lossy).firstInvite},
	{"reset", func(l *lossy, e endCase) error { return l.s.RevokePassword(l.t.Context(), l.person(e), store.Cause{}) }, func(l *lossy, e endCase) bool {
		return len(l.now(e).Password) > 0 || l.session(e) || l.firstInvite(e)
	}},
	{"no-invite", func(l *lossy, e endCase) error { return l.s.RevokeInvite(l.t.Context(), l.person(e), store.Cause{}) }, (*lossy).firstInvite},
	{"move", func(l *lossy, e endCase) error {
		_, err := l.s.UpdateUser(l.t.Context(), l.person(e), store.Cause{}, readdress("elsewhere@example.com"))
		return err
	}, (*lossy).firstInvite},
}

func (l *lossy) firstInvite(e endCase) bool {
	i := l.now(e).Invite
	return i != nil && i.Digest == l.people[e.name].Invite.Digest
}

func (l *lossy) wantEnded(what string) {
	l.t.Helper()
	for _, e := range ends {
		if e.live(l, e) {
			l.t.Errorf("%s: %s: it is live", what, e.name)
		}
	}
}

// What this replica has revoked stays revoked when Redis loses it, pending or covered: from the moment when the rollback
// is noticed nothing is answered until all of it is replayed.
func TestRevocationsSurviveARollback(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		srv        *storetest.Server
		heartbeats bool
	}{{"redis", storetest.Redis(t), true}, {"not written down", storetest.Redis(t), false}, {"cluster", storetest.Cluster(t), true}} {
		t.Run(tt.name, func(t *testing.T) {
			l, ctx := newLossy(t, tt.srv), t.Context()
			for _, e := range ends {
				if !e.live(l, e) {
					t.Fatalf("%s: it is not live before the end", e.name)
				}
			}
			before := backUp(t, tt.srv)
			for _, e := range ends {
				if err := e.end(l, e); err != nil {
					t.Fatalf("%s: %v", e.name, err)
				}
			}
			if tt.heartbeats {
				l.s.Heartbeat(ctx)
				if n := l.s.Pending(); n != 0 {
					t.Errorf("%d ends are not written down after a heartbeat", n)
				}
			}
			l.wantEnded("before the loss")
			before.restore()
			if tt.heartbeats {
				wantErr(t, "before a heartbeat", l.s.Ping(ctx), store.ErrUnavailable)
			}
			l.s.Heartbeat(ctx)
			wantOpen(t, "healed", l.s)
			l.wantEnded("healed")
			l.s.Heartbeat(ctx)
			wantOpen(t, "a heartbeat later", l.s)
			l.wantEnded("a heartbeat later")
			if n := l.s.Pending(); n != 0 {
				t.Errorf("%d ends are not written down", n)
			}
		})
	}
}

// A revocation is never replayed over a newer generation, even if another replica wrote that one before this replica's
// next heartbeat.
func TestReplayLeavesNewerGenerationsAlone(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s, other := b.Open(t), b.Open(t)
	for _, id := range []string{"a", "b", "c", "d"} {
		create(t, s, id)
	}
	u, v := add(t, s, "u@example.com"), add(t, s, "v@example.com")
	k := makeKey(t, b, s, u, "k", 0)
	toggled := makeKey(t, b, s, v, "toggled", 0)
	s.Heartbeat(ctx)
	earlier := backUp(t, srv)

	must(t, s.DisableClient(ctx, "a", store.Cause{}))
	must(t, other.EnableClient(ctx, "a", store.Cause{}))
	must(t, s.DeleteClient(ctx, "b", store.Cause{}))
	create(t, other, "b")
	must(t, s.RevokeClientTokens(ctx, "c", store.Cause{}))
	must(t, s.DisableUser(ctx, u.ID, store.Cause{}))
	must(t, other.EnableUser(ctx, u.ID, store.Cause{}))
	must(t, s.DisableKey(ctx, toggled, store.Cause{}))
	must(t, other.EnableKey(ctx, toggled, store.Cause{}))
	must(t, s.DemoteUser(ctx, v.ID, store.Cause{}))
	must(t, other.PromoteUser(ctx, v.ID, store.Cause{}))
	must(t, s.DisableClient(ctx, "d", store.Cause{}))
	tokens := map[string]store.Digest{}
	for _, id := range []string{"a", "b", "c"} {
		tokens[id] = issue(t, b, other, id, id)
	}
	want := func(what string) {
		t.Helper()
		for id, d := range tokens {
			if !live(t, s, id, d) {
				t.Errorf("%s: the token of client %s, of its newer life, is dead", what, id)
			}
		}
		if !opens(t, b, s, k) {
			t.Errorf("%s: the key of a person who was enabled again is dead", what)
		}
		if !opens(t, b, s, toggled) {
			t.Errorf("%s: a key that was enabled again is disabled", what)
		}
		if read(t, s, v.ID).Role() != store.Operator {
			t.Errorf("%s: a person who was promoted again is no operator", what)
		}
	}
	s.Heartbeat(ctx)
	want("written down")
	later := backUp(t, srv)
	must(t, s.RevokeToken(ctx, store.DigestOf("x"), store.Cause{}))
	s.Heartbeat(ctx)
	later.restore()
	s.Heartbeat(ctx)
	wantOpen(t, "healed", s)
	want("healed")

	// Rolled back to before all of it: what was revoked is revoked, and nothing is left of the newer generations.
	earlier.restore()
	s.Heartbeat(ctx)
	wantOpen(t, "healed again", s)
	for id, d := range tokens {
		if live(t, s, id, d) {
			t.Errorf("the token of client %s is live under a generation that it was not made under", id)
		}
	}
	if opens(t, b, s, k) || opens(t, b, s, toggled) || read(t, s, v.ID).Role() == store.Operator {
		t.Error("what was disabled or demoted last by this replica is not")
	}
}

// Revocations during a rollback are rejected, or hold.
func TestRevocationsDuringARollback(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s := b.Open(t)
	create(t, s, "a")
	var tokens []store.Digest
	for i := range 100 {
		tokens = append(tokens, issue(t, b, s, "a", fmt.Sprint(i)))
	}
	s.Heartbeat(ctx)
	s.Heartbeat(ctx)
	before := backUp(t, srv)
	ended := make([]bool, len(tokens))
	var wg sync.WaitGroup
	end := func(from, to int) {
		for i := from; i < to; i++ {
			wg.Go(func() { ended[i] = s.RevokeToken(ctx, tokens[i], store.Cause{}) == nil })
		}
	}
	half := len(tokens) / 2
	end(0, half)
	wg.Wait()
	s.Heartbeat(ctx)
	end(half, len(tokens))
	before.restore()
	wg.Wait()
	await(t, "healed", func() error { // the pool does not dial while many dials have failed
		s.Heartbeat(ctx)
		return s.Ping(ctx)
	})
	n := 0
	for i, d := range tokens {
		if ended[i] {
			n++
		}
		if ended[i] && live(t, s, "a", d) {
			t.Errorf("the end of token %d was acknowledged, and it is live", i)
		}
	}
	if n < half {
		t.Errorf("only %d ends were acknowledged, want those of before the loss at least", n)
	}
}
