package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A filter that matches little reads many entries a step, however short the page is: a listing of the active keys behind
// thousands of revoked ones is quick where Redis is far away.
func TestShortPagesReadLongSteps(t *testing.T) {
	const revoked = 12_000
	b := storetest.Redis(t).Backend(t)
	var trips atomic.Int64
	s := b.Open(t, func(o *store.Options) {
		o.Observe = func(string, time.Duration, error) { trips.Add(1) }
	})
	u := add(t, s, "a@example.com")
	active := makeKey(t, b, s, u, "active", 0)
	for done := 0; done < revoked; done += 1000 {
		_, err := b.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for i := range 1000 {
				id := fmt.Sprintf("key_%011x%016d", b.Clock.Now().UnixMilli()+1, done+i) // each is newer than the active one
				digest := store.DigestOf(id)
				p.ZAdd(t.Context(), "mk:keys:id", redis.Z{Member: id})
				p.Set(t.Context(), "mk:k:"+id, string(digest[:])+`1{"user":"`+u.ID+`","name":"x","ended":{"at":"2026-01-02T03:04:05Z"}}`, 0)
			}
			return nil
		})
		must(t, err)
	}
	for _, limit := range []int{1, 50} {
		trips.Store(0)
		var found []string
		pages, after := 0, ""
		for {
			page, next, err := s.Keys(t.Context(), store.KeyFilter{State: store.StateLive}, after, limit)
			must(t, err)
			for _, k := range page {
				found = append(found, k.ID)
			}
			pages++
			if after = next; after == "" {
				break
			}
		}
		if len(found) != 1 || found[0] != active.ID || pages > 4 {
			t.Errorf("limit %d: got %q on %d pages, want the active key", limit, found, pages)
		}
		// Two round trips for 200 entries: their ids, and what they are. A third asks which of them may be active.
		if got := trips.Load(); got > 2*(revoked/200)+10 {
			t.Errorf("limit %d: %d round trips for %d keys", limit, got, revoked)
		}
	}
	// A page that is full at once reads no more than it needs.
	trips.Store(0)
	page, _, err := s.Keys(t.Context(), store.KeyFilter{State: store.StateEnded}, "", 1)
	must(t, err)
	if len(page) != 1 || trips.Load() > 3 {
		t.Errorf("%d keys in %d round trips, want one in at most 3", len(page), trips.Load())
	}
}
