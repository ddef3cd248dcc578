package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// renameKey gives a key another name.
func renameKey(ctx context.Context, s *store.Store, k *store.APIKey, name string) error {
	_, err := s.UpdateKey(ctx, k, store.Cause{}, func(k *store.APIKey) error { k.Name = name; return nil })
	return err
}

func TestRenameKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		found := func(query string) (names []string) {
			t.Helper()
			keys, _, err := other.Keys(ctx, store.KeyFilter{UserID: u.ID, Query: query}, "", 10)
			must(t, err)
			for _, k := range keys {
				names = append(names, k.Name)
			}
			return names
		}
		for _, lives := range []time.Duration{0, time.Hour} {
			k := makeKey(t, b, s, u, "before", lives)
			must(t, renameKey(ctx, s, k, "Before")) // which is the same entry
			k.Name = "Before"
			if diff := cmp.Diff([]string{"Before"}, found("bef")); diff != "" {
				t.Error(diff)
			}
			must(t, renameKey(ctx, s, k, "after"))
			got, err := other.Key(ctx, k.ID)
			must(t, err)
			if got.Name != "after" || !got.Active || !got.ExpiresAt.Equal(k.ExpiresAt) || !opens(t, b, other, k) {
				t.Errorf("got %+v", got)
			}
			if c, err := other.Credential(ctx, k.Digest); err != nil || c.Key.Name != "after" || c.Key.Scope != k.Scope {
				t.Errorf("the record has %+v, %v", c, err)
			}
			if got := found("aft"); len(got) == 0 || found("bef") != nil {
				t.Errorf("found by its name: %q, by the one before: %q", got, found("bef"))
			}
			if lives > 0 { // a new name does not extend a key's lifetime
				b.Clock.Advance(lives)
			} else {
				_, err = s.RevokeKey(ctx, k.ID, ended(b, "gone"))
				must(t, err)
			}
			wantErr(t, "one that has ended", renameKey(ctx, s, k, "late"), store.ErrNotFound)
			if opens(t, b, other, k) {
				t.Error("the key lives after its end")
			}
		}
	})
}
