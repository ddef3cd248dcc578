package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A revocation is applied even by a Redis that takes no writes for want of memory, and nothing else is.
func TestRevocationOutOfMemory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			return // it has no such limit
		}
		s, ctx := b.Open(t, func(o *store.Options) { o.Feed = true }), t.Context()
		tokens := map[string]store.Digest{}
		for _, id := range []string{"disabled", "deleted", "ended", "secret", "token"} {
			create(t, s, id)
			tokens[id] = issue(t, b, s, id, id)
		}
		people, keys := map[string]*store.User{}, map[string]*store.APIKey{}
		for _, id := range []string{"disabled", "demoted", "deleted", "ended", "several", "leaked", "reset"} {
			people[id] = add(t, s, id+"@example.com")
			keys[id] = makeKey(t, b, s, people[id], id, 0)
		}
		leakedSecret := secret(b, "sec_2")
		_, err := s.AddSecret(ctx, "secret", leakedSecret, b.Clock.Now().Add(time.Hour), store.Cause{})
		must(t, err)
		b.Server.Config("maxmemory-policy", "noeviction")
		b.Server.Config("maxmemory", "1")

		for what, err := range map[string]error{
			"disable":      s.DisableClient(ctx, "disabled", store.Cause{}),
			"delete":       s.DeleteClient(ctx, "deleted", store.Cause{}),
			"end tokens":   s.RevokeClientTokens(ctx, "ended", store.Cause{}),
			"end a secret": s.RevokeSecret(ctx, "secret", "sec_1", store.Cause{}),
			"end a token":  s.RevokeToken(ctx, tokens["token"], store.Cause{}),

			"disable a person": s.DisableUser(ctx, people["disabled"].ID, store.Cause{}),
			"demote a person":  s.DemoteUser(ctx, people["demoted"].ID, store.Cause{}),
			"delete a person":  s.DeleteUser(ctx, people["deleted"].ID, ended(b, "")),
			"reset a password": s.RevokePassword(ctx, people["reset"].ID, store.Cause{}),
			"end a key":        endKey(s.RevokeKey(ctx, keys["ended"].ID, ended(b, ""))),
			"end keys":         endKeys(s.RevokeKeys(ctx, []*store.APIKey{keys["several"]}, ended(b, ""))),
			"end what leaked":  endLeaked(s.RevokeLeaked(ctx, []store.Digest{keys["leaked"].Digest, leakedSecret.Digest}, ended(b, ""))),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		for id, want := range map[string]bool{"disabled": false, "deleted": false, "ended": false, "secret": true, "token": false} {
			if got := live(t, s, id, tokens[id]); got != want {
				t.Errorf("token of %q: live %v, want %v", id, got, want)
			}
		}

		for id, want := range map[string]bool{
			"disabled": false, "demoted": true, "deleted": false, "ended": false, "several": false, "leaked": false,
		} {
			if got := opens(t, b, s, keys[id]); got != want {
				t.Errorf("key of %q: live %v, want %v", id, got, want)
			}
		}
		if got := read(t, s, people["reset"].ID); len(got.Password) > 0 || got.Invite != nil {
			t.Error("the password or the invite is there after a reset")
		}
		if got := read(t, s, people["demoted"].ID).Role(); got != store.Developer {
			t.Errorf("the demoted is %s", got)
		}
		for _, id := range []string{"ended", "several", "leaked"} {
			if got := describe(t, s, keys[id].ID); got.Active {
				t.Errorf("the key of %q is described as live", id)
			}
		}
		if c, err := s.Client(ctx, "secret"); err != nil || len(c.Secrets) != 0 {
			t.Errorf("the secrets are %v, %v; one was ended, and one leaked", c.Secrets, err)
		}

		u := people["demoted"]
		_, move := s.UpdateUser(ctx, u.ID, store.Cause{}, readdress("new@example.com"))
		_, update := s.UpdateClient(ctx, "ended", store.Cause{}, func(m *store.ClientMetadata) (bool, error) { m.Scope = ""; return true, nil })
		_, add := s.AddSecret(ctx, "ended", secret(b, "sec_2"), time.Time{}, store.Cause{})
		_, start := startGeneration(ctx, s, "ended")
		for what, err := range map[string]error{
			"create": s.CreateClient(ctx, client("new")), "update": update, "add a secret": add, "start a generation": start,
			"enable": s.EnableClient(ctx, "disabled", store.Cause{}), "audit": s.Audit(ctx, store.Event{}),
			"save a token": s.SaveToken(ctx, store.DigestOf("x"), store.Credential{}, b.Clock.Now().Add(time.Hour), nil),

			"create a person": s.CreateUser(ctx, person("new@example.com")), "change a person": move,
			"enable a person": s.EnableUser(ctx, people["disabled"].ID, store.Cause{}), "promote a person": s.PromoteUser(ctx, u.ID, store.Cause{}),
			"invite a person": s.InviteUser(ctx, u.ID, store.Invite{}, store.Cause{}), "create a key": s.CreateKey(ctx, key(b, u, "new", 0), u),
			"disable a key": s.DisableKey(ctx, keys["demoted"], ended(b, "")),
			"expire a key":  s.ExpireKey(ctx, keys["demoted"], b.Clock.Now().Add(time.Hour), "key_next", store.Cause{}),
		} {
			wantErr(t, what, err, store.ErrUnavailable)
		}

		b.Server.Config("maxmemory", "0")
		g, err := startGeneration(ctx, s, "ended")
		if err != nil || g == (store.Generation{}) {
			t.Errorf("memory is back: got %x, %v", g, err)
		}
		if d := issue(t, b, s, "ended", "new"); !live(t, s, "ended", d) || live(t, s, "ended", tokens["ended"]) {
			t.Error("of the new token and the old one, not just the new one is live")
		}
		must(t, s.EnableUser(ctx, people["disabled"].ID, store.Cause{}))
		if !opens(t, b, s, keys["disabled"]) {
			t.Error("the key of a person who is enabled again is dead")
		}
	})
}

// Revoking a key must say, out of memory too, that the key was active until then.
func endKey(wasLive bool, err error) error { return endOf(wasLive, err) }

func endKeys(were []*store.APIKey, err error) error { return endOf(len(were) == 1, err) }

func endLeaked(leaks []store.Leak, err error) error { return endOf(len(leaks) == 2, err) }

func endOf(all bool, err error) error {
	if err == nil && !all {
		return errors.New("not all were live")
	}
	return err
}

// While Redis is out of memory a guard gets no answer, so it asks at each call. Once there is memory again it forgets all its
// answers, once, and goes on.
func TestFeedOutOfMemory(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s := b.Open(t, func(o *store.Options) { o.Feed = true })
	running(t, s)
	create(t, s, "a")
	first, second := issue(t, b, s, "a", "first"), issue(t, b, s, "a", "second")
	g := &guard{t: t, s: s}
	g.poll(0)
	srv.Config("maxmemory-policy", "noeviction")
	srv.Config("maxmemory", "1")

	must(t, s.RevokeToken(ctx, first, store.Cause{}))
	if live(t, s, "a", first) {
		t.Error("the token is active")
	}
	if b.Do("EXISTS", feedKey) != int64(0) {
		t.Error("the feed is there")
	}
	_, err := s.Feed().Poll(ctx, feed.Question{After: g.after, Arrived: time.Now()})
	wantErr(t, "a poll without memory", err, store.ErrUnavailable)

	srv.Config("maxmemory", "0")
	eventually(t, "the deletion is covered", func() bool { return s.Pending() == 0 && s.Unannounced() == 0 })
	g.reset = 0
	g.poll(0)
	must(t, s.RevokeToken(ctx, second, store.Cause{}))
	for !slices.Contains(g.void, feed.OfCredential(second)) {
		g.poll(time.Second)
	}
	if g.reset != 1 {
		t.Errorf("the guard had to forget everything %d times", g.reset)
	}
}
