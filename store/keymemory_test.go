package store_test

import (
	"fmt"
	"testing"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// What an API key costs in Redis: its record, its description and its entries in the directories; and, once it is
// in use, its last use and its uses by the day.
func TestKeyMemory(t *testing.T) {
	const people, keys, allowed, allowedUsed = 80, 50, 1_200, 1_500
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	makeKeys(t, b, people, 1) // what the first keys, and the people, cost
	used := usedMemory(t, srv)
	made := makeKeys(t, b, people, keys)
	per := float64(usedMemory(t, srv)-used) / (people * keys)
	useKeys(t, b, made)
	perUsed := float64(usedMemory(t, srv)-used) / (people * keys)
	t.Logf("%d keys: %.1f bytes each, %.1f with their uses", people*keys, per, perUsed)
	if per > allowed || perUsed > allowedUsed {
		t.Errorf("%d keys take %.1f bytes each, and %.1f with their uses; want at most %d and %d", people*keys, per, perUsed, allowed, allowedUsed)
	}
}

// makeKeys makes so many keys for each of so many people, of whom there is one by each number.
func makeKeys(t *testing.T, b *storetest.Backend, people, each int) (made []*store.APIKey) {
	t.Helper()
	s := b.Open(t)
	defer s.Close()
	for i := range people {
		email := fmt.Sprintf("%d@example.com", i)
		u, err := s.UserByEmail(t.Context(), email)
		if err != nil {
			u = add(t, s, email)
		}
		for j := range each {
			k := key(b, u, fmt.Sprintf("deploy %d", j), 0)
			must(t, s.CreateKey(t.Context(), k, u))
			made = append(made, k)
		}
		_, _, err = s.Keys(t.Context(), store.KeyFilter{UserID: u.ID}, "", each)
		must(t, err)
	}
	return made
}

// useKeys uses each key, and reads its use, lest a hash table that grows is there twice.
func useKeys(t *testing.T, b *storetest.Backend, keys []*store.APIKey) {
	t.Helper()
	s := b.Open(t)
	defer s.Close()
	for _, k := range keys {
		s.TouchKey(k.UserID, k.ID, "client:billing-service")
	}
	must(t, s.Flush(t.Context()))
	_, err := s.KeyUses(t.Context(), keys)
	must(t, err)
}
