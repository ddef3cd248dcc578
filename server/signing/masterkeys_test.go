package signing_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func listOf(keys ...string) (list [][]byte) {
	for _, k := range keys {
		list = append(list, []byte(strings.Repeat(k, 32)))
	}
	return list
}

// A running replica takes another list of master keys if it opens the signing keys. The first of it seals the next keys.
func TestReplaceMasterKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		r := loaded(t, b, masterKeys("a"))
		replace := func(want error, wantChanged bool, keys ...string) {
			t.Helper()
			changed, err := r.ReplaceMasterKeys(t.Context(), listOf(keys...))
			if !errors.Is(err, want) || err == nil && changed != wantChanged {
				t.Errorf("%q: got %v, %v; want %v, %v", keys, changed, err, wantChanged, want)
			}
			if err := r.Tick(t.Context()); err != nil || r.Ready() != nil {
				t.Errorf("%q: after it: %v, %v", keys, err, r.Ready())
			}
		}
		replace(nil, false, "a")
		replace(signing.ErrMasterKey, false, "b")
		replace(nil, true, "b", "a")
		b.Clock.Advance(time.Hour)
		rotate(t, r, signing.NoKeys) // the next key is sealed by b, the one that was next by a
		replace(signing.ErrMasterKey, false, "a")
		replace(signing.ErrMasterKey, false, "b")
		b.Clock.Advance(time.Hour)
		rotate(t, r, signing.NoKeys)
		replace(nil, true, "b")
		if _, err := r.Sign([]byte("{}")); err != nil {
			t.Error(err)
		}
	})
}

// A replica that could not open the signing keys is ready as soon as its list does.
func TestReplaceMasterKeysOpens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		loaded(t, b, masterKeys("a"))
		r := newRing(t, b, masterKeys("b"))
		if err := r.Load(t.Context()); !errors.Is(err, signing.ErrMasterKey) {
			t.Fatalf("got %v, want %v", err, signing.ErrMasterKey)
		}
		if _, err := r.ReplaceMasterKeys(t.Context(), listOf("c")); !errors.Is(err, signing.ErrMasterKey) {
			t.Errorf("another wrong key: %v", err)
		}
		if changed, err := r.ReplaceMasterKeys(t.Context(), listOf("b", "a")); err != nil || !changed || r.Ready() != nil {
			t.Errorf("got %v, %v, ready %v", changed, err, r.Ready())
		}
	})
}
