package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A record that cannot be read is counted and named, and does not hide the ones after it.
func TestIntegrityScan(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		for i := range 7 {
			create(t, s, fmt.Sprintf("c%d", i))
		}
		ann, bob := add(t, s, "ann@example.com"), add(t, s, "bob@example.com")
		key := makeKey(t, b, s, ann, "one", 0)
		makeKey(t, b, s, ann, "two", 0)
		b.Do("ZADD", "mk:clients:id", 0, "c0-is-not-there")
		b.Do("HSET", "mk:c:c1", "meta", "2{}")
		b.Do("DEL", "mk:c:c2")
		b.Do("SET", "mk:c:c2", "of another type")
		for i := 3; i < 7; i++ {
			b.Do("HSET", fmt.Sprintf("mk:c:c%d", i), "meta", `1{"name":`)
		}
		b.Do("HSET", "mk:p:"+bob.ID, "invite", "1{")
		b.Do("SET", "mk:k:"+key.ID, "too short")

		var seen []string
		got := s.ScanRecords(t.Context(), 100, nil, func(u *store.User) { seen = append(seen, u.ID) })
		want := []store.RecordScan{
			{
				Kind: "clients", Read: 7,
				Damaged: store.Unreadable{Count: 5, IDs: []string{"c2", "c3", "c4", "c5", "c6"}},
				Newer:   store.Unreadable{Count: 1, IDs: []string{"c1"}},
			},
			{Kind: "users", Read: 2, Damaged: store.Unreadable{Count: 1, IDs: []string{bob.ID}}},
			{Kind: "API keys", Read: 2, Damaged: store.Unreadable{Count: 1, IDs: []string{key.ID}}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]string{ann.ID}, seen); diff != "" {
			t.Errorf("people seen (-want +got)\n%s", diff)
		}
	})
}

// The scan is bounded, and says so only if there is more.
func TestIntegrityScanIsBounded(t *testing.T) {
	s := storetest.Embedded(t).Open(t)
	const n = 603 // two pages
	for i := range n {
		create(t, s, fmt.Sprintf("c%04d", i))
	}
	for most, partial := range map[int]bool{n + 1: false, n: false, n - 1: true, 500: true, 1: true} {
		c := s.ScanRecords(t.Context(), most, nil, nil)[0]
		if c.Read != min(most, n) || c.Partial != partial || c.Err != nil {
			t.Errorf("of %d, at most %d: read %d, partial %v, %v", n, most, c.Read, c.Partial, c.Err)
		}
	}
}

func TestIntegrityScanWithoutRedis(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	s := srv.Backend(t).Open(t)
	srv.Kill()
	for _, c := range s.ScanRecords(t.Context(), 10, nil, nil) {
		if !c.Partial {
			t.Errorf("%s: all were read", c.Kind)
		}
		wantErr(t, c.Kind, c.Err, store.ErrUnavailable)
	}
}
