package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// keyring is a ring whose keys are named after its replica.
func keyring(replica string) store.Keyring {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key := func(state string) store.SigningKey {
		return store.SigningKey{
			ID: replica + "-" + state, Algorithm: "ES256", Sealed: []byte("sealed\x00"), Public: json.RawMessage(`{"kty":"EC"}`),
			CreatedAt: at, PublishedAt: at.Add(30 * time.Second),
		}
	}
	active, next, retired := key(store.KeyActive), key(store.KeyNext), key(store.KeyRetired)
	active.ActivatedAt = at
	retired.ActivatedAt, retired.RetiredAt, retired.RemoveAt, retired.Sealed = at, at.Add(time.Hour), at.Add(25*time.Hour), nil
	return store.Keyring{Keys: []store.SigningKey{active, next, retired}}
}

func TestKeyring(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		if ring, err := s.Keyring(ctx); ring != nil || !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("got %v, %v; want %v", ring, err, store.ErrNotFound)
		}
		if err := s.ReplaceKeyring(ctx, nil, keyring("a")); err != nil {
			t.Fatal(err)
		}
		first, err := s.Keyring(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(keyring("a").Keys, first.Keys); diff != "" {
			t.Error(diff)
		}
		if err := s.ReplaceKeyring(ctx, first, keyring("b")); err != nil {
			t.Fatal(err)
		}
		second, err := b.Open(t).Keyring(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(keyring("b").Keys, second.Keys); diff != "" {
			t.Error(diff)
		}
		if second.Revision == first.Revision || first.Revision == "" {
			t.Errorf("revisions %q and %q", first.Revision, second.Revision)
		}

		// A replica that read too early is rejected, and so is one that saw nothing.
		for name, old := range map[string]*store.Keyring{"stale": first, "none": nil} {
			if err := s.ReplaceKeyring(ctx, old, keyring("c")); !errors.Is(err, store.ErrConflict) {
				t.Errorf("%s: got %v, want %v", name, err, store.ErrConflict)
			}
		}
		b.Clock.Advance(10 * 365 * 24 * time.Hour)
		if got, err := s.Keyring(ctx); err != nil || got.Revision != second.Revision {
			t.Errorf("got %v, %v: the ring was changed, or has aged", got, err)
		}
	})
}

// Of any number of replicas that replace the same ring, or the absence of one, exactly one does.
func TestReplaceKeyringTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		replicas := make([]*store.Store, 8)
		for i := range replicas {
			replicas[i] = b.Open(t)
		}
		var old *store.Keyring
		for range 5 {
			errs := make([]error, len(replicas))
			var wg sync.WaitGroup
			for i, s := range replicas {
				wg.Go(func() { errs[i] = s.ReplaceKeyring(t.Context(), old, keyring(fmt.Sprint(i))) })
			}
			wg.Wait()
			winner := -1
			for i, err := range errs {
				switch {
				case err == nil && winner < 0:
					winner = i
				case !errors.Is(err, store.ErrConflict):
					t.Errorf("replica %d: got %v, want %v", i, err, store.ErrConflict)
				}
			}
			ring, err := replicas[0].Keyring(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got, want := ring.Active().ID, fmt.Sprintf("%d-active", winner); got != want {
				t.Errorf("the active key is %s, want %s", got, want)
			}
			old = ring
		}
	})
}

// A ring that this version cannot use is neither read nor written over.
func TestKeyringFailsClosed(t *testing.T) {
	const key = "mk:signing-keys"
	b := storetest.Embedded(t)
	s, ctx := b.Open(t), t.Context()
	if err := s.ReplaceKeyring(ctx, nil, keyring("a")); err != nil {
		t.Fatal(err)
	}
	good := b.Do("GET", key).(string)
	for name, c := range map[string]struct {
		record string
		want   error
	}{
		"newer":   {strings.Replace(good, `"v":1`, `"v":2`, 1), store.ErrNewerRecord},
		"damaged": {good[1:], store.ErrKeyringDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			b.Do("SET", key, c.record)
			ring, err := s.Keyring(ctx)
			if ring != nil || !errors.Is(err, c.want) || !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("got %v, %v; want %v", ring, err, c.want)
			}
			if err := s.ReplaceKeyring(ctx, nil, keyring("b")); !errors.Is(err, c.want) || !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if got := b.Do("GET", key); got != c.record {
				t.Errorf("the record was overwritten by %v", got)
			}
		})
	}
	// And this version writes nothing that it could not read.
	if err := s.ReplaceKeyring(ctx, nil, store.Keyring{}); !errors.Is(err, store.ErrKeyringDamaged) {
		t.Errorf("an empty ring: got %v, want %v", err, store.ErrKeyringDamaged)
	}
}

func TestKeyringWithoutRedis(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	s, ctx := server.Backend(t).Open(t), t.Context()
	server.Kill()
	if _, err := s.Keyring(ctx); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Keyring = %v, want %v", err, store.ErrUnavailable)
	}
	if err := s.ReplaceKeyring(ctx, nil, keyring("a")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("ReplaceKeyring = %v, want %v", err, store.ErrUnavailable)
	}
	if _, err := s.ClaimKeyring(ctx, nil, "a", time.Second); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("ClaimKeyring = %v, want %v", err, store.ErrUnavailable)
	}
}

// A claim is for one owner and one change, and expires by itself.
func TestClaimKeyring(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		claim := func(old *store.Keyring, owner string) bool {
			t.Helper()
			mine, err := s.ClaimKeyring(t.Context(), old, owner, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return mine
		}
		ring := &store.Keyring{Revision: "A"}
		for i, c := range []struct {
			old   *store.Keyring
			owner string
			want  bool
		}{
			{nil, "one", true},
			{nil, "two", false},
			{nil, "one", true},
			{ring, "two", true},
			{ring, "one", false},
		} {
			if got := claim(c.old, c.owner); got != c.want {
				t.Errorf("claim %d: got %v, want %v", i, got, c.want)
			}
		}
		b.Clock.Advance(time.Minute)
		if !claim(nil, "two") {
			t.Error("the claim has not ended")
		}
		b.Clock.Advance(time.Minute)
		if keys := b.Dump(t).Keys(); len(keys) > 0 {
			t.Errorf("left behind: %v", keys)
		}
	})
}
