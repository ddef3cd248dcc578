package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// ended is the cause of a revocation at this moment.
func ended(b *storetest.Backend, why string) store.Cause {
	return store.Cause{At: b.Clock.Now(), Actor: store.Actor{Name: "user:usr_x"}, Reason: why}
}

// key is one that may be created for a user, which expires after so long; zero: never.
func key(b *storetest.Backend, u *store.User, name string, lives time.Duration) *store.APIKey {
	now := b.Clock.Now()
	k := &store.APIKey{
		ID: store.NewKeyID(now), UserID: u.ID, Name: name, Scope: "read write", Masked: "mk_Ab3d…9xQz",
		CreatedAt: now, CreatedBy: "user:" + u.ID,
	}
	k.Digest = store.DigestOf(k.ID)
	if lives != 0 {
		k.ExpiresAt = now.Add(lives)
	}
	return k
}

// makeKey creates a key, a millisecond after the one before.
func makeKey(t *testing.T, b *storetest.Backend, s *store.Store, u *store.User, name string, lives time.Duration) *store.APIKey {
	t.Helper()
	b.Clock.Advance(time.Millisecond)
	k := key(b, u, name, lives)
	must(t, s.CreateKey(t.Context(), k, u))
	return k
}

// opens is whether a resource server accepts a key: its record is there, has not expired, and was created under
// the generation of a user who is enabled.
func opens(t *testing.T, b *storetest.Backend, s *store.Store, k *store.APIKey) bool {
	t.Helper()
	c, err := s.Credential(t.Context(), k.Digest)
	if err != nil {
		wantErr(t, "credential", err, store.ErrNotFound)
		return false
	}
	if c.Key == nil || c.Key.ExpiresAt != 0 && b.Clock.Now().UnixMilli() >= c.Key.ExpiresAt {
		return false
	}
	u, err := s.User(t.Context(), c.Key.UserID)
	if err != nil {
		wantErr(t, "owner", err, store.ErrNotFound)
		return false
	}
	return u.Enabled && c.Generation.Matches(u.Generation)
}

func describe(t *testing.T, s *store.Store, id string) *store.APIKey {
	t.Helper()
	k, err := s.Key(t.Context(), id)
	must(t, err)
	return k
}

func TestKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		for name, lives := range map[string]time.Duration{"for ever": 0, "for an hour": time.Hour} {
			want := key(b, u, name, lives)
			if opens(t, b, s, want) {
				t.Error("live before it was made")
			}
			_, err := s.Key(ctx, want.ID)
			wantErr(t, "before", err, store.ErrNotFound)
			must(t, s.CreateKey(ctx, want, u))
			if diff := cmp.Diff(want, describe(t, other, want.ID)); diff != "" || !want.Active {
				t.Errorf("%s (-want +got)\n%s", name, diff)
			}
			c, err := other.Credential(ctx, want.Digest)
			must(t, err)
			live := &store.KeyRecord{
				ID: want.ID, UserID: u.ID, Name: name, Scope: "read write", CreatedAt: want.CreatedAt.UnixMilli(),
				Operator: u.Operator,
			}
			if lives != 0 {
				live.ExpiresAt = want.ExpiresAt.UnixMilli()
			}
			if diff := cmp.Diff(&store.Credential{Generation: u.Generation, Key: live}, c); diff != "" {
				t.Errorf("%s: its record (-want +got)\n%s", name, diff)
			}
			if !opens(t, b, other, want) {
				t.Errorf("%s: is not live", name)
			}
		}
	})
}

func TestKeyExpires(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		u := add(t, s, "a@example.com")
		k, lasting := makeKey(t, b, s, u, "short", time.Hour), makeKey(t, b, s, u, "lasting", 0)
		b.Clock.Advance(time.Hour - time.Minute)
		if !opens(t, b, s, k) || !describe(t, s, k.ID).Active {
			t.Error("inactive before its time")
		}
		b.Clock.Advance(time.Minute)
		got := describe(t, s, k.ID)
		if opens(t, b, s, k) || got.Active || got.Tombstone != nil || !got.ExpiresAt.Equal(k.ExpiresAt) {
			t.Errorf("after its time: opens %v, %+v", opens(t, b, s, k), got)
		}
		// A later expiry does not overwrite an earlier one.
		if wasLive, err := s.RevokeKey(t.Context(), k.ID, ended(b, "late")); wasLive || err != nil {
			t.Errorf("ended after its time: %v, %v", wasLive, err)
		}
		if got := describe(t, s, k.ID); got.Tombstone != nil {
			t.Errorf("expired, and then %+v", got.Tombstone)
		}
		b.Clock.Advance(50 * 365 * 24 * time.Hour)
		if !opens(t, b, s, lasting) {
			t.Error("what never expires is dead after 50 years")
		}
	})
}

func TestRevokeKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		doomed, spared := makeKey(t, b, s, u, "doomed", 0), makeKey(t, b, s, u, "spared", 0)
		first := ended(b, "lost")
		if wasLive, err := s.RevokeKey(ctx, doomed.ID, first); !wasLive || err != nil {
			t.Errorf("got %v, %v", wasLive, err)
		}
		if opens(t, b, other, doomed) || !opens(t, b, other, spared) {
			t.Errorf("the ended opens %v, the other %v", opens(t, b, other, doomed), opens(t, b, other, spared))
		}
		b.Clock.Advance(time.Minute)
		if wasLive, err := other.RevokeKey(ctx, doomed.ID, ended(b, "again")); wasLive || err != nil {
			t.Errorf("again: got %v, %v", wasLive, err)
		}
		want := *doomed
		want.Active, want.Tombstone = false, first.Tombstone()
		if diff := cmp.Diff(&want, describe(t, other, doomed.ID)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		_, err := s.RevokeKey(ctx, "key_nothing", first)
		wantErr(t, "nothing", err, store.ErrNotFound)

		were, err := s.RevokeKeys(ctx, []*store.APIKey{doomed, spared}, ended(b, "both"))
		if err != nil || len(were) != 1 || were[0].ID != spared.ID {
			t.Errorf("both: %v, %v", were, err)
		}
		if n, err := s.Totals(ctx); err != nil || n.ActiveKeys != 0 {
			t.Errorf("totals: %+v, %v", n, err)
		}
	})
}

func TestExpireKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		in := func(d time.Duration) time.Time { return b.Clock.Now().Add(d) }

		k := makeKey(t, b, s, u, "rotated", 0)
		stale := *k
		must(t, s.ExpireKey(ctx, k, in(time.Hour), "key_next", store.Cause{}))
		got := describe(t, other, k.ID)
		if !got.Active || got.RotatedTo != "key_next" || !got.ExpiresAt.Equal(in(time.Hour)) || !opens(t, b, other, k) {
			t.Errorf("rotated: %+v", got)
		}
		wantErr(t, "twice", other.ExpireKey(ctx, &stale, in(time.Minute), "key_other", store.Cause{}), store.ErrConflict)
		if got := describe(t, s, k.ID); got.RotatedTo != "key_next" || !got.ExpiresAt.Equal(in(time.Hour)) {
			t.Errorf("the second has changed it: %+v", got)
		}
		b.Clock.Advance(time.Hour)
		if opens(t, b, other, k) || describe(t, other, k.ID).Active {
			t.Error("live after the overlap")
		}
		wantErr(t, "expired", s.ExpireKey(ctx, got, in(time.Hour), "key_other", store.Cause{}), store.ErrNotFound)

		// A rotation never extends the old key's lifetime.
		short := makeKey(t, b, s, u, "short", time.Minute)
		must(t, s.ExpireKey(ctx, short, in(time.Hour), "key_next", store.Cause{}))
		if want := in(time.Minute); !short.ExpiresAt.Equal(want) {
			t.Errorf("expires at %v, want %v", short.ExpiresAt, want)
		}
		b.Clock.Advance(time.Minute)
		if opens(t, b, s, short) {
			t.Error("live after its own expiry")
		}

		gone := makeKey(t, b, s, u, "ended", 0)
		_, err := s.RevokeKey(ctx, gone.ID, ended(b, "lost"))
		must(t, err)
		wantErr(t, "ended", other.ExpireKey(ctx, gone, in(time.Hour), "key_next", store.Cause{}), store.ErrNotFound)
		if opens(t, b, s, gone) {
			t.Error("a rotation has revived it")
		}
	})
}

// A user's keys follow what is done to the user, at once.
func TestKeysFollowTheirUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u, bystander := add(t, s, "a@example.com"), add(t, s, "b@example.com")
		k, expiring, theirs := makeKey(t, b, s, u, "one", 0), makeKey(t, b, s, u, "two", time.Hour), makeKey(t, b, s, bystander, "theirs", 0)
		wantOpen := func(what string, want bool) {
			t.Helper()
			if a, b := opens(t, b, other, k), opens(t, b, other, expiring); a != want || b != want {
				t.Errorf("%s: live %v and %v, want %v", what, a, b, want)
			}
		}
		for range 2 {
			must(t, s.DisableUser(ctx, u.ID, store.Cause{}))
			wantOpen("disabled", false)
			must(t, s.EnableUser(ctx, u.ID, store.Cause{}))
			wantOpen("enabled", true)
		}
		must(t, s.DemoteUser(ctx, u.ID, store.Cause{}))
		must(t, s.PromoteUser(ctx, u.ID, store.Cause{}))
		wantOpen("another term of office", true)
		c, err := s.Credential(ctx, k.Digest)
		must(t, err)
		if c.Key.Operator.Matches(read(t, s, u.ID).Operator) {
			t.Error("the key of a former term of office opens an operator's doors")
		}

		end := ended(b, "deleted")
		must(t, s.DeleteUser(ctx, u.ID, end))
		wantOpen("deleted", false)
		for _, id := range []string{k.ID, expiring.ID} {
			if got := describe(t, other, id); got.Active || !cmp.Equal(got.Tombstone, end.Tombstone()) {
				t.Errorf("described as %+v", got)
			}
		}
		if _, err := s.Credential(ctx, k.Digest); err == nil {
			t.Error("the record is still there")
		}
		next := add(t, s, "a@example.com")
		wantOpen("somebody new has the email", false)
		must(t, s.CreateUser(ctx, &store.User{ID: u.ID, Metadata: store.UserMetadata{Email: "again@example.com"}}))
		wantOpen("somebody has even the id", false)
		if !opens(t, b, other, theirs) {
			t.Error("somebody else's key is dead")
		}
		if got := listKeys(t, s, store.KeyFilter{UserID: next.ID}, 10); got != nil {
			t.Errorf("the new person has %v", got)
		}
	})
}

func TestKeyIDs(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last := ""
	for _, later := range []int64{0, 1, 2, 10, 1000, 1 << 32, 1 << 42} {
		id := store.NewKeyID(time.UnixMilli(at.UnixMilli() + later))
		if len(id) != len("key_")+27 || id <= last && later > 10 {
			t.Errorf("%s follows %s", id, last)
		}
		last = id
	}
}
