package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Names tells what exists by its name, and nothing of the rest.
func TestNames(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		u := add(t, s, "ada@example.com")
		for id, name := range map[string]string{"billing": "Billing", "bare": ""} {
			c := &store.Client{ID: id, Metadata: store.ClientMetadata{Name: name, CreatedAt: b.Clock.Now()}}
			if err := s.CreateClient(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		k := makeKey(t, b, s, u, "deploy", time.Hour)
		got, err := s.Names(t.Context(), []string{u.ID, u.ID, store.NewUserID()}, []string{"billing", "bare", "none"},
			[]string{k.ID, store.NewKeyID(b.Clock.Now().Add(time.Second))})
		if err != nil {
			t.Fatal(err)
		}
		want := store.Names{
			Users: map[string]string{u.ID: "ada@example.com"}, Clients: map[string]string{"billing": "Billing", "bare": "bare"},
			Keys: map[string]string{k.ID: k.Name},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}
