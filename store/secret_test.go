package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func secret(b *storetest.Backend, id string) store.Secret {
	return store.Secret{ID: id, Digest: store.DigestOf(id), LastFour: "four", CreatedAt: b.Clock.Now()}
}

// secretIDs are those of the client's active secrets, oldest first.
func secretIDs(t *testing.T, b *storetest.Backend, s *store.Store) (ids []string) {
	t.Helper()
	c, err := s.Client(t.Context(), "a")
	must(t, err)
	for _, secret := range c.Secrets {
		if secret.ActiveAt(b.Clock.Now()) {
			ids = append(ids, secret.ID)
		}
	}
	return ids
}

func TestAddSecret(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		must(t, s.CreateClient(ctx, &store.Client{ID: "a"}))
		want := func(what string, want ...string) {
			t.Helper()
			if got := secretIDs(t, b, s); !cmp.Equal(got, want) {
				t.Errorf("%s: live are %v, want %v", what, got, want)
			}
		}
		add := func(id string, oldEnds time.Time) *store.Secret {
			t.Helper()
			b.Clock.Advance(time.Millisecond)
			previous, err := s.AddSecret(ctx, "a", secret(b, id), oldEnds, store.Cause{})
			must(t, err)
			return previous
		}
		if previous := add("one", time.Time{}); previous != nil {
			t.Errorf("previous of the first: %+v", previous)
		}
		want("the first", "one")

		ends := b.Clock.Now().Add(time.Hour)
		if previous := add("two", ends); previous == nil || previous.ID != "one" || !previous.ExpiresAt.Equal(ends) {
			t.Errorf("previous of the second: %+v, want one until %v", previous, ends)
		}
		want("overlapping", "one", "two")

		previous, err := s.AddSecret(ctx, "a", secret(b, "three"), ends, store.Cause{})
		wantErr(t, "a third", err, store.ErrConflict)
		if previous != nil {
			t.Errorf("previous of one that was refused: %+v", previous)
		}
		want("a third was refused", "one", "two")

		b.Clock.Advance(time.Hour - 2*time.Millisecond)
		want("before the end of the overlap", "one", "two")
		b.Clock.Advance(2 * time.Millisecond)
		want("at the end of the overlap", "two")

		add("four", time.Time{}) // at once
		want("in place of the second", "four")
		if keys := b.Dump(t).Find("one"); keys != nil {
			t.Errorf("the first is still in %v", keys)
		}

		// The next rotation does not postpone an expiry that was set.
		soon := b.Clock.Now().Add(time.Minute)
		add("five", soon)
		must(t, s.RevokeSecret(ctx, "a", "five", store.Cause{}))
		if previous := add("six", soon.Add(time.Hour)); previous == nil || !previous.ExpiresAt.Equal(soon) {
			t.Errorf("previous: %+v, want its end at %v", previous, soon)
		}
		want("six", "four", "six")
	})
}

// A secret that is added beside one that is to stay revokes nothing, now or later; a third is still a conflict.
func TestAddSecretKeepsThePresent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		must(t, s.CreateClient(ctx, &store.Client{ID: "a", Secrets: []store.Secret{secret(b, "one")}}))
		b.Clock.Advance(time.Millisecond)
		previous, err := s.AddSecret(ctx, "a", secret(b, "two"), store.Never, store.Cause{})
		must(t, err)
		if previous != nil {
			t.Errorf("previous: %+v, want none", previous)
		}
		b.Clock.Advance(100_000 * time.Hour)
		if got := secretIDs(t, b, s); !cmp.Equal(got, []string{"one", "two"}) {
			t.Errorf("live are %v", got)
		}
		_, err = s.AddSecret(ctx, "a", secret(b, "three"), store.Never, store.Cause{})
		wantErr(t, "a third", err, store.ErrConflict)
	})
}

// A secret that is added again takes the place of the one that expires: it does not expire any more, a report of it as leaked finds
// it, and the one beside it expires.
func TestAddSecretAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		imported := func(id, digest string) store.Secret {
			return store.Secret{ID: id, Digest: store.DigestOf(digest), CreatedAt: b.Clock.Now()}
		}
		must(t, s.CreateClient(ctx, &store.Client{ID: "a", Secrets: []store.Secret{imported("one", "A")}}))
		add := func(next store.Secret) *store.Secret {
			t.Helper()
			b.Clock.Advance(time.Millisecond)
			previous, err := s.AddSecret(ctx, "a", next, b.Clock.Now().Add(time.Hour), store.Cause{})
			must(t, err)
			return previous
		}
		add(imported("two", "B"))
		if previous := add(imported("three", "A")); previous == nil || previous.ID != "two" {
			t.Errorf("previous: %+v, want two", previous)
		}
		b.Clock.Advance(100_000 * time.Hour)
		if got := secretIDs(t, b, s); !cmp.Equal(got, []string{"three"}) {
			t.Errorf("active are %v, want three", got)
		}
		leaks, err := s.RevokeLeaked(ctx, []store.Digest{store.DigestOf("A")}, store.Cause{})
		must(t, err)
		if len(leaks) != 1 || leaks[0].SecretID != "three" {
			t.Errorf("the report found %+v, want three", leaks)
		}
	})
}

// Of many rotations at once, as many succeed as there is room.
func TestAddSecretTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		create(t, b.Open(t), "a")
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			s := b.Open(t)
			wg.Go(func() {
				_, errs[i] = s.AddSecret(t.Context(), "a", secret(b, store.NewSecretID()), b.Clock.Now().Add(time.Hour), store.Cause{})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				wantErr(t, "loser", err, store.ErrConflict)
			}
		}
		if got := secretIDs(t, b, b.Open(t)); won != 1 || len(got) != 2 {
			t.Errorf("%d won, live are %v", won, got)
		}
	})
}

func TestRevokeSecret(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		_, err := s.AddSecret(ctx, "a", secret(b, "sec_2"), b.Clock.Now().Add(time.Hour), store.Cause{})
		must(t, err)
		d := issue(t, b, s, "a", "token")

		must(t, s.RevokeSecret(ctx, "a", "sec_1", store.Cause{}))
		if got := secretIDs(t, b, b.Open(t)); !cmp.Equal(got, []string{"sec_2"}) {
			t.Errorf("live are %v", got)
		}
		if !live(t, s, "a", d) {
			t.Error("ending a secret has ended the tokens")
		}
		wantErr(t, "again", s.RevokeSecret(ctx, "a", "sec_1", store.Cause{}), store.ErrNotFound)
		wantErr(t, "of nobody", s.RevokeSecret(ctx, "nobody", "sec_2", store.Cause{}), store.ErrNotFound)
		must(t, s.RevokeSecret(ctx, "a", "sec_2", store.Cause{}))
		if got := secretIDs(t, b, s); got != nil {
			t.Errorf("live are %v", got)
		}
		if _, err := s.AddSecret(ctx, "a", secret(b, "sec_3"), time.Time{}, store.Cause{}); err != nil {
			t.Error(err)
		}
	})
}

func TestSecretLiveAt(t *testing.T) {
	end := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		expires, at time.Time
		want        bool
	}{
		{time.Time{}, end, true},
		{end, end.Add(-1), true},
		{end, end, false},
		{end, end.Add(1), false},
	} {
		if got := (store.Secret{ExpiresAt: c.expires}).ActiveAt(c.at); got != c.want {
			t.Errorf("until %v, at %v: got %v, want %v", c.expires, c.at, got, c.want)
		}
	}
}
