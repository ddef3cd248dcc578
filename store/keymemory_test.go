package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// What an API key costs in Redis: its record, its description and its index entries, one of them for a second word of its name; and, once it is in use, its last
// use and its uses by day.
func TestKeyMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector changes what a record takes")
	}
	const keys, allowed, allowedUsed = 50, 1_400, 1_650
	people := max(*stored/keys, 1)
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	makeKeys(t, b, people, 1) // what the first keys, and the users, cost
	used := usedMemory(t, srv)
	made := makeKeys(t, b, people, keys)
	per := float64(usedMemory(t, srv)-used) / float64(people*keys)
	useKeys(t, b, made)
	perUsed := float64(usedMemory(t, srv)-used) / float64(people*keys)
	t.Logf("%d keys: %.1f bytes each, %.1f with their uses", people*keys, per, perUsed)
	if per > allowed || perUsed > allowedUsed {
		t.Errorf("%d keys take %.1f bytes each, and %.1f with their uses; want at most %d and %d", people*keys, per, perUsed, allowed, allowedUsed)
	}
}

// makeKeys creates so many keys for each of so many users, of whom there is one by each number.
func makeKeys(t *testing.T, b *storetest.Backend, people, each int) (made []*store.APIKey) {
	t.Helper()
	s := b.Open(t)
	defer s.Close()
	const workers = 16
	parts, errs := make([][]*store.APIKey, workers), make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < people && errs[w] == nil; i += workers {
				var theirs []*store.APIKey
				theirs, errs[w] = makeKeysOf(t.Context(), b, s, fmt.Sprintf("%d@example.com", i), each)
				parts[w] = append(parts[w], theirs...)
			}
		})
	}
	all.Wait()
	must(t, errors.Join(errs...))
	return slices.Concat(parts...)
}

func makeKeysOf(ctx context.Context, b *storetest.Backend, s *store.Store, email string, each int) (made []*store.APIKey, err error) {
	u, err := s.UserByEmail(ctx, email)
	if err != nil {
		u = person(email)
		if err := s.CreateUser(ctx, u); err != nil {
			return nil, err
		}
	}
	for j := range each {
		k := key(b, u, fmt.Sprintf("deploy %d", j), 0)
		if err := s.CreateKey(ctx, k, u); err != nil {
			return nil, err
		}
		made = append(made, k)
	}
	_, _, err = s.Keys(ctx, store.KeyFilter{UserID: u.ID}, "", each)
	return made, err
}

// useKeys uses each key, and reads its use, lest a hash table that grows is there twice.
func useKeys(t *testing.T, b *storetest.Backend, keys []*store.APIKey) {
	t.Helper()
	s := b.Open(t)
	defer s.Close()
	for some := range slices.Chunk(keys, 1_000) { // a server keeps so many uses in memory, and no more
		for _, k := range some {
			s.RecordKeyUse(k.UserID, k.ID, "client:billing-service")
		}
		must(t, s.Flush(t.Context()))
	}
	_, err := s.KeyUses(t.Context(), keys)
	must(t, err)
}
