package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Many keys of one user may be created at once, and none is left half-created.
func TestKeysCreatedAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		const keys = 64
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() { makeKey(t, b, s, u, fmt.Sprint(i), 0) })
		}
		wg.Wait()
		live, _, err := s.Keys(ctx, store.KeyFilter{UserID: u.ID, State: store.StateLive}, "", 200)
		must(t, err)
		if len(live) != keys {
			t.Errorf("%d keys are live, want %d", len(live), keys)
		}
	})
}

// A key that is created while its owner is deleted is revoked, and does not count.
func TestKeyOfADeletedUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		must(t, s.DeleteUser(ctx, u.ID, ended(b, "the user was deleted")))
		now := b.Clock.Now()
		k := &store.APIKey{ID: store.NewKeyID(now), Digest: store.DigestOf("late"), UserID: u.ID, Name: "late", CreatedAt: now}
		wantErr(t, "create", s.CreateKey(ctx, k, u), store.ErrNotFound)
		_, err := s.Credential(ctx, k.Digest)
		wantErr(t, "its record", err, store.ErrNotFound)
		totals, err := s.Totals(ctx)
		must(t, err)
		if totals.ActiveKeys != 0 {
			t.Errorf("%d keys count as live", totals.ActiveKeys)
		}
	})
}

// A revocation that Redis had no memory to describe is described when it has.
func TestRevocationIsDescribedOnceThereIsMemory(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	b := server.Backend(t)
	s, ctx := b.Open(t), t.Context()
	u := add(t, s, "a@example.com")
	k, kept := makeKey(t, b, s, u, "ended", 0), makeKey(t, b, s, u, "kept", 0)
	server.Config("maxmemory", "1")
	wasLive, err := s.RevokeKey(ctx, k.ID, ended(b, "stolen"))
	if !wasLive || err != nil {
		t.Fatalf("got %v, %v", wasLive, err)
	}
	server.Config("maxmemory", "0")
	b.Clock.Advance(2 * time.Hour)
	must(t, store.SweepKeys(ctx, s))
	got, err := s.Key(ctx, k.ID)
	must(t, err)
	if got.Active || got.Tombstone == nil {
		t.Errorf("got %+v, want it ended", got)
	}
	if got, err := s.Key(ctx, kept.ID); err != nil || !got.Active || got.Tombstone != nil {
		t.Errorf("the other: got %+v, %v", got, err)
	}
	totals, err := s.Totals(ctx)
	must(t, err)
	if totals.ActiveKeys != 1 {
		t.Errorf("%d keys count as live, want 1", totals.ActiveKeys)
	}
}

// Emails that go back and forth stay with their user.
func TestEmailBackAndForth(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		to := func(email string) error {
			_, err := s.UpdateUser(ctx, u.ID, store.Cause{}, func(m *store.UserMetadata) error { m.Email = email; return nil })
			return err
		}
		for range 10 {
			var wg sync.WaitGroup
			for _, email := range []string{"a@example.com", "b@example.com"} {
				wg.Go(func() {
					if err := to(email); err != nil && !errors.Is(err, store.ErrConflict) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			email := read(t, s, u.ID).Metadata.Email
			if found, err := s.UserByEmail(ctx, email); err != nil || found.ID != u.ID {
				t.Fatalf("%s: got %v, %v", email, found, err)
			}
		}
	})
}

// A replica whose clock is ahead tidies up nothing of a key that Redis still has: neither its record nor its entries.
func TestSweepsOfAClockThatIsAhead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			t.Skip("one process has one clock")
		}
		ctx := t.Context()
		s, ahead := b.Open(t), b.Open(t, func(o *store.Options) { o.Now = func() time.Time { return b.Clock.Now().Add(10 * time.Minute) } })
		u := add(t, s, "a@example.com")
		k := makeKey(t, b, s, u, "expires", 2*time.Hour)
		b.Clock.Advance(115 * time.Minute)
		for i := range store.MaxActiveKeys { // so that the owner's keys are counted again
			b.Do("ZADD", "mk:pl:"+u.ID, "+inf", fmt.Sprint("key_", i))
		}
		must(t, ahead.RoomForKey(ctx, u.ID))
		makeKey(t, b, ahead, u, "another", 0)
		must(t, store.SweepKeys(ctx, ahead))
		must(t, ahead.SweepExpired(ctx))
		if !opens(t, b, s, k) {
			t.Error("the key is not active before it expires")
		}
		for _, entries := range []string{"mk:keys:live", "mk:pl:" + u.ID} {
			if b.Do("ZSCORE", entries, k.ID) == nil {
				t.Errorf("its entry in %s is gone", entries)
			}
		}
		b.Clock.Advance(2 * time.Hour)
		must(t, ahead.SweepExpired(ctx))
		if got := describe(t, s, k.ID); got.State(b.Clock.Now()) != store.StateExpired || b.Do("ZSCORE", "mk:keys:live", k.ID) != nil {
			t.Errorf("afterwards it is %s, and among the active ones", got.State(b.Clock.Now()))
		}
	})
}
