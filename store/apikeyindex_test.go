package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// listKeys lists the names of keys in pages of limit, and holds each page to it.
func listKeys(t *testing.T, s *store.Store, f store.KeyFilter, limit int) (names []string) {
	t.Helper()
	for after, first := "", true; first || after != ""; first = false {
		page, next, err := s.Keys(t.Context(), f, after, limit)
		must(t, err)
		if len(page) > limit {
			t.Errorf("a page of %d, want at most %d", len(page), limit)
		}
		for _, k := range page {
			names = append(names, k.Name)
		}
		after = next
	}
	return names
}

func TestKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		a, other := add(t, s, "a@example.com"), add(t, s, "b@example.com")
		var keys []*store.APIKey
		for i := range 12 {
			owner := a
			if i%3 == 2 {
				owner = other
			}
			lives := time.Duration(0)
			if i%4 == 3 {
				lives = time.Minute
			}
			keys = append(keys, makeKey(t, b, s, owner, fmt.Sprintf("Key %c", 'L'-i), lives))
		}
		for _, i := range []int{0, 4, 5} {
			_, err := s.RevokeKey(ctx, keys[i].ID, ended(b, "test"))
			must(t, err)
		}
		b.Clock.Advance(2 * time.Minute) // 3, 7 and 11 have expired

		names := func(numbers ...int) (names []string) {
			for _, i := range numbers {
				names = append(names, keys[i].Name)
			}
			return names
		}
		for _, tt := range []struct {
			name   string
			filter store.KeyFilter
			want   []string
		}{
			{"all", store.KeyFilter{}, names(11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)},
			{"live", store.KeyFilter{State: store.StateLive}, names(10, 9, 8, 6, 2, 1)},
			{"ended", store.KeyFilter{State: store.StateEnded}, names(11, 7, 5, 4, 3, 0)},
			{"one person's", store.KeyFilter{UserID: other.ID}, names(11, 8, 5, 2)},
			{"one person's live", store.KeyFilter{UserID: other.ID, State: store.StateLive}, names(8, 2)},
			{"nobody's", store.KeyFilter{UserID: "usr_nobody"}, nil},
			{"by id", store.KeyFilter{Query: keys[4].ID}, names(4)},
			{"by half an id", store.KeyFilter{Query: keys[4].ID[:20]}, names(4)},
			{"by all ids", store.KeyFilter{Query: "key_", State: store.StateLive}, names(10, 9, 8, 6, 2, 1)},
			{"by name", store.KeyFilter{Query: "KEY H"}, names(4)},
			{"by all names", store.KeyFilter{Query: "key "}, names(11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)},
			{"by all names, live", store.KeyFilter{Query: "key ", State: store.StateLive}, names(10, 9, 8, 6, 2, 1)},
			{"one person's by name", store.KeyFilter{UserID: other.ID, Query: "key D"}, names(8)},
			{"one person's by id", store.KeyFilter{UserID: other.ID, Query: keys[8].ID}, names(8)},
			{"another's by id", store.KeyFilter{UserID: other.ID, Query: keys[0].ID}, nil},
		} {
			for _, limit := range []int{1, 2, 5, 12, 100} {
				got := listKeys(t, s, tt.filter, limit)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s in pages of %d (-want +got)\n%s", tt.name, limit, diff)
				}
			}
		}
		if n, err := s.Totals(ctx); err != nil || n.ActiveKeys != 6 {
			t.Errorf("totals: %+v, %v", n, err)
		}
	})
}

// A walk through the pages, while keys are created and revoked, sees each key that was there all the time once.
func TestKeysWhileTheyChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		var want []string
		var doomed []*store.APIKey
		for i := range 20 {
			k := makeKey(t, b, s, u, fmt.Sprintf("old %02d", i), 0)
			if i%4 == 0 {
				doomed = append(doomed, k)
			} else {
				want = append(want, k.Name)
			}
		}
		slices.Reverse(want)
		var got []string
		for after, first := "", true; first || after != ""; first = false {
			page, next, err := s.Keys(ctx, store.KeyFilter{UserID: u.ID, State: store.StateLive}, after, 3)
			must(t, err)
			for _, k := range page {
				if slices.Contains(want, k.Name) {
					got = append(got, k.Name)
				}
			}
			makeKey(t, b, s, u, "new", 0)
			if len(doomed) > 0 {
				_, err := s.RevokeKey(ctx, doomed[0].ID, ended(b, ""))
				must(t, err)
				doomed = doomed[1:]
			}
			after = next
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// A user has at most 1,000 active keys, however many are created at the same moment.
func TestTooManyKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u, bystander := add(t, s, "a@example.com"), add(t, s, "b@example.com")
		fill, now := []any{"ZADD", "mk:pl:" + u.ID}, b.Clock.Now()
		first := key(b, u, "first", time.Hour)
		must(t, s.CreateKey(ctx, first, u))
		last := makeKey(t, b, s, u, "last", 0)
		for i := range store.MaxActiveKeys - 6 { // as if they were active: these are being created at this moment
			k := key(b, u, fmt.Sprint(i), 0)
			b.Do("SET", "mk:k:"+k.ID, string(k.Digest[:])+fmt.Sprintf(`1{"user":%q,"created":%q}`, u.ID, now.Format(time.RFC3339Nano)))
			fill = append(fill, "+inf", k.ID)
		}
		b.Do(fill...)

		errs := make([]error, 16)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				replica := []*store.Store{s, other}[i%2]
				for errs[i] = store.ErrConflict; errors.Is(errs[i], store.ErrConflict) && !errors.Is(errs[i], store.ErrTooManyKeys); {
					errs[i] = replica.CreateKey(ctx, key(b, u, fmt.Sprint("race ", i), 0), u)
				}
			})
		}
		all.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else if !errors.Is(err, store.ErrTooManyKeys) {
				t.Error(err)
			}
		}
		if made != 4 {
			t.Errorf("%d of 16 were made beside %d", made, store.MaxActiveKeys-4)
		}
		if got := listKeys(t, s, store.KeyFilter{UserID: u.ID, Query: "race", State: store.StateLive}, 50); len(got) != 4 {
			t.Errorf("there are %v", got)
		}
		if got := b.Dump(t).Find("race "); len(got) > 9 {
			t.Errorf("those that were refused have left something: %q", got)
		}
		wantErr(t, "room", s.RoomForKey(ctx, u.ID), store.ErrTooManyKeys)
		must(t, s.RoomForKey(ctx, bystander.ID))

		// A revocation makes room, and so does an expiry.
		_, err := s.RevokeKey(ctx, last.ID, ended(b, ""))
		must(t, err)
		must(t, s.RoomForKey(ctx, u.ID))
		makeKey(t, b, s, u, "in its place", 0)
		wantErr(t, "full again", s.CreateKey(ctx, key(b, u, "x", 0), u), store.ErrTooManyKeys)
		b.Clock.Advance(time.Hour)
		must(t, s.RoomForKey(ctx, u.ID))
		makeKey(t, b, s, u, "for the expired", 0)

		// A creation that stopped half-way is not counted for ever: here 994.
		must(t, s.RoomForKey(ctx, u.ID))
		if got := b.Do("ZCARD", "mk:pl:"+u.ID); got != int64(6) {
			t.Errorf("%v are counted, want the 6 that are live", got)
		}
	})
}

// Nothing is left of a key 431 days after its revocation or expiry, wherever it stood.
func TestKeysArePurged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		keeper, gone := add(t, s, "keeper@example.com"), add(t, s, "gone@example.com")
		before := b.Dump(t)
		for _, u := range []*store.User{keeper, gone} {
			revoked := makeKey(t, b, s, u, "revoked", 0)
			makeKey(t, b, s, u, "expired", time.Hour)
			rotated := makeKey(t, b, s, u, "rotated", 0)
			next := makeKey(t, b, s, u, "next", 2*time.Hour)
			must(t, s.ExpireKey(ctx, rotated, b.Clock.Now().Add(time.Hour), next.ID, store.Cause{}))
			_, err := s.RevokeKey(ctx, revoked.ID, ended(b, "lost"))
			must(t, err)
			s.RecordKeyUse(u.ID, next.ID, "192.0.2.7")
		}
		must(t, s.Flush(ctx))
		makeKey(t, b, s, gone, "of somebody who goes", 0)
		must(t, s.DeleteUser(ctx, gone.ID, ended(b, "deleted")))

		day := 24 * time.Hour
		for _, then := range []struct {
			wait time.Duration
			left int
		}{{399 * day, 9}, {2 * day, 0}} {
			b.Clock.Advance(then.wait)
			must(t, store.PurgeKeys(ctx, s))
			if got := listKeys(t, s, store.KeyFilter{}, 100); len(got) != then.left {
				t.Errorf("%v on, there are %q", then.wait, got)
			}
		}
		b.Clock.Advance(30 * day)
		after := b.Dump(t)
		for name, value := range after {
			if _, there := before[name]; !there || strings.HasPrefix(name, "mk:k") {
				t.Errorf("left behind: %q %q", name, value)
			}
		}
		if diff := cmp.Diff([]string{"keeper@example.com"}, people(t, s, "", 10)); diff != "" {
			t.Error(diff)
		}
	})
}

// A description may go before its index entries are swept; they are purged all the same, and none is listed.
func TestKeyEntriesArePurgedWithoutADescription(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		for i := range 250 { // more than are purged at once
			k := key(b, u, fmt.Sprint(i), time.Hour)
			must(t, s.CreateKey(ctx, k, u))
			if i%2 == 0 {
				b.Do("DEL", "mk:k:"+k.ID)
			}
		}
		if got := listKeys(t, s, store.KeyFilter{}, 100); len(got) != 125 {
			t.Errorf("%d are listed", len(got))
		}
		b.Clock.Advance(401 * 24 * time.Hour)
		for range 2 {
			must(t, store.PurgeKeys(ctx, s))
		}
		dump := b.Dump(t)
		for _, name := range []string{"mk:keys:id", "mk:keys:live", "mk:keys:due"} {
			if got := dump[name]; got != nil {
				t.Errorf("%s has %d entries", name, len(got)/2)
			}
		}
		must(t, s.DeleteUser(ctx, u.ID, ended(b, ""))) // what was counted goes with who it was counted to
		if got := b.Dump(t).Find("mk:pl:"); got != nil {
			t.Errorf("left behind: %q", got)
		}
	})
}
