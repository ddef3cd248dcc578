package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A disabled key is not active and is what it was when it is enabled, but for what was changed meanwhile.
func TestDisableKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		for name, lives := range map[string]time.Duration{"for ever": 0, "for an hour": time.Hour} {
			k := makeKey(t, b, s, u, name, lives)
			before, err := s.Credential(ctx, k.Digest)
			must(t, err)
			cause := ended(b, "")
			for range 2 {
				must(t, other.DisableKey(ctx, describe(t, other, k.ID), cause))
				got := describe(t, s, k.ID)
				if got.Active || !got.Revocable() || opens(t, b, s, k) {
					t.Errorf("%s: disabled, it is %+v", name, got)
				}
				if diff := cmp.Diff(&store.Disabling{At: cause.At, By: cause.Actor.Name}, got.Disabled); diff != "" {
					t.Errorf("%s (-want +got)\n%s", name, diff)
				}
				cause = ended(b, "once more") // which is not when it was disabled
			}
			wantErr(t, "replaced while it is disabled", s.ExpireKey(ctx, describe(t, s, k.ID), cause.At.Add(time.Minute), "key_next", cause), store.ErrConflict)
			must(t, renameKey(ctx, s, describe(t, s, k.ID), "renamed"))
			for range 2 {
				must(t, s.EnableKey(ctx, describe(t, s, k.ID), cause))
				if got := describe(t, other, k.ID); !got.Active || got.Disabled != nil || !opens(t, b, other, k) || !got.ExpiresAt.Equal(k.ExpiresAt) {
					t.Errorf("%s: enabled, it is %+v", name, got)
				}
			}
			after, err := s.Credential(ctx, k.Digest)
			must(t, err)
			before.Key.Name, before.Key.Enabled = "renamed", after.Key.Enabled
			if diff := cmp.Diff(before, after); diff != "" || after.Key.Enabled == "" {
				t.Errorf("%s: its record (-before +after)\n%s", name, diff)
			}
			must(t, s.DisableKey(ctx, k, cause))
			if lives != 0 {
				b.Clock.Advance(lives)
			} else if wasLive, err := s.RevokeKey(ctx, k.ID, ended(b, "lost")); !wasLive || err != nil {
				t.Errorf("%s: the revocation of a disabled key found %v, %v", name, wasLive, err)
			}
			wantErr(t, name+", enabled afterwards", s.EnableKey(ctx, k, cause), store.ErrNotFound)
			wantErr(t, name+", disabled afterwards", s.DisableKey(ctx, k, cause), store.ErrNotFound)
			if got := describe(t, s, k.ID); got.Revocable() || opens(t, b, s, k) {
				t.Errorf("%s: afterwards it is %+v", name, got)
			}
		}
	})
}

// A disabled key counts among its owner's, is listed, and is neither swept nor purged.
func TestDisabledKeyIsKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		k, created := makeKey(t, b, s, u, "disabled", 0), key(b, u, "created so", 0)
		must(t, s.DisableKey(ctx, k, ended(b, "")))
		created.Disabled = &store.Disabling{At: b.Clock.Now(), By: "user:usr_x"}
		must(t, s.CreateKey(ctx, created, u))
		if opens(t, b, s, created) {
			t.Error("a key that was created disabled is active")
		}
		for i := range store.MaxActiveKeys - 2 {
			b.Do("ZADD", "mk:pl:"+u.ID, "+inf", fmt.Sprint("key_", i)) // which are not there
		}
		b.Clock.Advance(500 * 24 * time.Hour)
		must(t, s.RoomForKey(ctx, u.ID))
		must(t, store.SweepKeys(ctx, s))
		must(t, store.PurgeKeys(ctx, s))
		makeKey(t, b, s, u, "another", 0)
		if n := b.Do("ZCARD", "mk:pl:"+u.ID); n != int64(3) {
			t.Errorf("%v keys count, want 3", n)
		}
		listed, _, err := s.Keys(ctx, store.KeyFilter{UserID: u.ID, State: store.StateDisabled}, "", 10)
		if err != nil || len(listed) != 2 {
			t.Errorf("%d disabled keys are listed, %v", len(listed), err)
		}
		for _, k := range listed {
			must(t, s.EnableKey(ctx, k, ended(b, "")))
			if !opens(t, b, s, k) {
				t.Errorf("%s is not active when it is enabled", k.Name)
			}
		}
	})
}

// The generations come back as they were: what was revoked with them while the key was disabled stays revoked.
func TestEnabledKeyHasItsGenerations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := person("operator@example.com")
		u.Operator = store.NewGeneration()
		must(t, s.CreateUser(ctx, u))
		k := makeKey(t, b, s, u, "key", 0)
		must(t, s.DisableKey(ctx, k, ended(b, "")))
		must(t, s.DemoteUser(ctx, u.ID, store.Cause{}))
		must(t, s.PromoteUser(ctx, u.ID, store.Cause{}))
		must(t, s.EnableKey(ctx, k, ended(b, "")))
		c, err := s.Credential(ctx, k.Digest)
		must(t, err)
		if now := read(t, s, u.ID); !c.Generation.Matches(now.Generation) || c.Key.Operator.Matches(now.Operator) {
			t.Errorf("the record has %x and %x, its owner %x and %x", c.Generation, c.Key.Operator, now.Generation, now.Operator)
		}
		must(t, s.DisableKey(ctx, k, ended(b, "")))
		must(t, s.DeleteUser(ctx, u.ID, ended(b, "deleted")))
		wantErr(t, "enabled after its owner was deleted", s.EnableKey(ctx, k, ended(b, "")), store.ErrNotFound)
	})
}

// The record of a disabled key has no generation that a version without disabled keys would match with its owner's. If such a
// version writes it, it drops what it does not know: then the key stays disabled.
func TestDisabledKeyForEarlierVersions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			t.Skip("no other version uses the embedded store")
		}
		s, ctx := b.Open(t), t.Context()
		k := makeKey(t, b, s, add(t, s, "a@example.com"), "key", 0)
		must(t, s.DisableKey(ctx, k, ended(b, "")))
		record := []byte(b.Do("GET", recordKey(k.Digest)).(string))
		if !bytes.HasPrefix(record, append([]byte("k1"), make([]byte, 32)...)) {
			t.Errorf("the record is %q", record)
		}
		b.Do("SET", recordKey(k.Digest), string(record[:34])+`{"id":"`+k.ID+`","user":"`+k.UserID+`","name":"renamed","scope":"read","created":1}`)
		wantErr(t, "enabled", s.EnableKey(ctx, k, ended(b, "")), store.ErrNotRestorable)
		if got := describe(t, s, k.ID); got.Disabled == nil || opens(t, b, s, k) {
			t.Errorf("it is %+v", got)
		}
		if wasLive, err := s.RevokeKey(ctx, k.ID, ended(b, "lost")); !wasLive || err != nil {
			t.Errorf("revoked: %v, %v", wasLive, err)
		}
	})
}

// What Redis loses of a disabling is disabled again by the replay, and can be enabled. So is what it loses of a narrowing, though
// the description is as it was before.
func TestDisabledKeySurvivesAFailover(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...string) *storetest.Server{"redis": storetest.Redis, "cluster": storetest.Cluster} {
		t.Run(name, func(t *testing.T) {
			srv := start(t)
			b, ctx := srv.Backend(t), t.Context()
			s, other := b.Open(t), b.Open(t)
			u := add(t, s, "a@example.com")
			k, narrowed := makeKey(t, b, s, u, "disabled", 0), makeKey(t, b, s, u, "narrowed", 0)
			loses(t, srv, s, func() {
				must(t, s.DisableKey(ctx, k, ended(b, "")))
				_, err := s.UpdateKey(ctx, narrowed, ended(b, ""), func(k *store.APIKey) error {
					k.Scope, k.ExpiresAt = "write", b.Clock.Now().Add(time.Hour)
					return nil
				})
				must(t, err)
			})
			b.Clock.Advance(2 * time.Minute)
			must(t, store.SweepKeys(ctx, other))
			if got := describe(t, other, k.ID); opens(t, b, other, k) || got.State(b.Clock.Now()) != store.StateDisabled {
				t.Errorf("the disabled key is %+v", got)
			}
			if got := describe(t, other, narrowed.ID); got.Scope != "write" || got.State(b.Clock.Now()) != store.StateExpiring {
				t.Errorf("the narrowed key is %+v", got)
			}
			must(t, other.EnableKey(ctx, describe(t, other, k.ID), ended(b, "")))
			s.Heartbeat(ctx)
			if got := describe(t, other, k.ID); !got.Active || !opens(t, b, other, k) {
				t.Errorf("enabled, it is %+v", got)
			}
			b.Clock.Advance(time.Hour)
			if opens(t, b, other, narrowed) {
				t.Error("the narrowed key is active after its expiry")
			}
		})
	}
}

// Of changes of one key at once none is lost, and the last that was acknowledged decides.
func TestKeyChangesAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		k := makeKey(t, b, s, u, "key", 0)
		var all sync.WaitGroup
		try := func(change func(*store.Store) error) {
			for _, s := range []*store.Store{s, other} {
				all.Go(func() {
					for {
						err := change(s)
						if err == nil {
							return
						}
						if !errors.Is(err, store.ErrConflict) {
							t.Error(err)
							return
						}
					}
				})
			}
		}
		update := func(change func(*store.APIKey)) func(*store.Store) error {
			return func(s *store.Store) error {
				_, err := s.UpdateKey(ctx, copyOf(k), ended(b, ""), func(k *store.APIKey) error { change(k); return nil })
				return err
			}
		}
		try(update(func(k *store.APIKey) { k.Scope = "read" }))
		try(update(func(k *store.APIKey) { k.RateLimit = store.Rate{Count: 1, Window: time.Second} }))
		try(update(func(k *store.APIKey) { k.Metadata = map[string]string{"a": "b"} }))
		try(func(s *store.Store) error { return s.DisableKey(ctx, copyOf(k), ended(b, "")) })
		try(func(s *store.Store) error { return s.EnableKey(ctx, describe(t, s, k.ID), ended(b, "")) })
		all.Wait()
		must(t, s.DisableKey(ctx, copyOf(k), ended(b, "")))
		wantErr(t, "enabled as it was read before", other.EnableKey(ctx, copyOf(k), ended(b, "")), store.ErrConflict)
		if opens(t, b, other, k) {
			t.Error("it is active after the last change disabled it")
		}
		must(t, other.EnableKey(ctx, describe(t, other, k.ID), ended(b, "")))
		c, err := s.Credential(ctx, k.Digest)
		must(t, err)
		if c.Key.Scope != "read" || c.Key.RateLimit.Count != 1 || c.Key.Metadata["a"] != "b" || !opens(t, b, s, k) {
			t.Errorf("got %+v", c.Key)
		}
	})
}

func copyOf(k *store.APIKey) *store.APIKey {
	c := *k
	return &c
}

// What people say of a key is in its record where its use needs it, and is gone from there when it is removed.
func TestUpdateKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		k := key(b, u, "key", 0)
		k.Description, k.Metadata, k.RateLimit = "what for", map[string]string{"team": "a"}, store.Rate{Count: 600, Window: time.Minute}
		must(t, s.CreateKey(ctx, k, u))
		if diff := cmp.Diff(k, describe(t, other, k.ID)); diff != "" {
			t.Errorf("created (-want +got)\n%s", diff)
		}
		c, err := s.Credential(ctx, k.Digest)
		must(t, err)
		if diff := cmp.Diff(k.Metadata, c.Key.Metadata); diff != "" || c.Key.RateLimit != k.RateLimit {
			t.Errorf("the record has %v (-want +got)\n%s", c.Key.RateLimit, diff)
		}
		expires := b.Clock.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
		got, err := other.UpdateKey(ctx, k, ended(b, ""), func(k *store.APIKey) error {
			k.Name, k.Description, k.Scope, k.ExpiresAt, k.Metadata, k.RateLimit = "new", "", "read", expires, nil, store.Rate{}
			return nil
		})
		must(t, err)
		if diff := cmp.Diff(got, describe(t, s, k.ID)); diff != "" || !got.Active {
			t.Errorf("changed (-returned +read)\n%s", diff)
		}
		want := &store.KeyRecord{
			ID: k.ID, UserID: u.ID, Name: "new", Scope: "read", CreatedAt: k.CreatedAt.UnixMilli(), ExpiresAt: expires.UnixMilli(), Operator: u.Operator,
		}
		if c, err = s.Credential(ctx, k.Digest); err != nil || cmp.Diff(want, c.Key) != "" {
			t.Errorf("its record, %v (-want +got)\n%s", err, cmp.Diff(want, c.Key))
		}
		no := errors.New("no")
		_, err = s.UpdateKey(ctx, got, ended(b, ""), func(k *store.APIKey) error { k.Name = "wrong"; return no })
		if !errors.Is(err, no) || describe(t, s, k.ID).Name != "new" {
			t.Errorf("a change that was rejected: %v", err)
		}
		b.Clock.Advance(time.Hour)
		wantErr(t, "after its new expiry", renameKey(context.Background(), s, got, "late"), store.ErrNotFound)
		if got := describe(t, s, k.ID); got.State(b.Clock.Now()) != store.StateExpired {
			t.Errorf("it is %+v", got)
		}
	})
}
