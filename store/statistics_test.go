package store_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func count(s *store.Store, n int, what string) {
	for range n {
		s.Count(what)
	}
}

// counted are the minutes, of the last n, in which anything was counted.
func counted(t *testing.T, s *store.Store, n int) (some []store.Counts) {
	t.Helper()
	minutes, err := s.Minutes(t.Context(), n)
	must(t, err)
	if len(minutes) != n {
		t.Errorf("%d minutes, want %d", len(minutes), n)
	}
	for i, m := range minutes {
		if i > 0 && m.Start.Sub(minutes[i-1].Start) != time.Minute {
			t.Errorf("%v follows %v", m.Start, minutes[i-1].Start)
		}
		if !cmp.Equal(m, store.Counts{Start: m.Start}) {
			some = append(some, m)
		}
	}
	return some
}

func TestCounters(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		count(s, 3, store.TokensIssued)
		count(s, 2, store.TokensRefused+"invalid_client")
		count(other, 4, store.TokensIssued)
		count(other, 1, store.TokensRefused+"invalid_scope")
		count(other, 1, store.TokensRefused+"made up by somebody")
		count(s, 1, "made up")
		count(s, 5, store.Introspections)
		count(other, 6, store.KeyUses)
		if got := counted(t, s, 60); got != nil {
			t.Errorf("written before it was flushed: %+v", got)
		}
		for range 2 { // the second has nothing to write
			must(t, s.Flush(ctx))
			must(t, other.Flush(ctx))
		}
		start := b.Clock.Now().Truncate(time.Minute)
		want := []store.Counts{{
			Start: start, Issued: 7, Asked: 5, KeyUsed: 6,
			Refused: map[string]int64{"invalid_client": 2, "invalid_scope": 1, "other": 2},
		}}
		for _, n := range []int{1, 60, 1440} {
			if diff := cmp.Diff(want, counted(t, other, n)); diff != "" {
				t.Errorf("of %d minutes (-want +got)\n%s", n, diff)
			}
		}

		b.Clock.Advance(time.Minute)
		count(s, 1, store.TokensIssued)
		must(t, s.Flush(ctx))
		want = append(want, store.Counts{Start: start.Add(time.Minute), Issued: 1})
		if diff := cmp.Diff(want, counted(t, other, 60)); diff != "" {
			t.Errorf("a minute later (-want +got)\n%s", diff)
		}
		if got := counted(t, other, 1); len(got) != 1 {
			t.Errorf("the present minute: %+v", got)
		}
		b.Clock.Advance(59 * time.Minute)
		if diff := cmp.Diff(want[1:], counted(t, other, 60)); diff != "" {
			t.Errorf("an hour later (-want +got)\n%s", diff)
		}
	})
}

// Each code of the list has a count of its own.
func TestStatisticsCountEachTokenError(t *testing.T) {
	b := storetest.Embedded(t)
	s, want := b.Open(t), map[string]int64{}
	for i, code := range store.TokenErrors {
		count(s, i+1, store.TokensRefused+code)
		want[code] = int64(i + 1)
	}
	must(t, s.Flush(t.Context()))
	if diff := cmp.Diff([]store.Counts{{Start: b.Clock.Now().Truncate(time.Minute), Refused: want}}, counted(t, s, 1)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The hashes of the hours are used again, and each has expired before its next turn.
func TestCountersWrap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		b.Clock.Advance(b.Clock.Now().Truncate(time.Hour).Add(time.Hour + time.Second).Sub(b.Clock.Now()))
		for hour := range 40 {
			count(s, hour+1, store.TokensIssued)
			must(t, s.Flush(ctx))
			var want []store.Counts
			for ago := min(hour, 23); ago >= 0; ago-- {
				at := b.Clock.Now().Truncate(time.Minute).Add(-time.Duration(ago) * time.Hour)
				want = append(want, store.Counts{Start: at, Issued: int64(hour + 1 - ago)})
			}
			if diff := cmp.Diff(want, counted(t, s, 1440)); diff != "" {
				t.Fatalf("in hour %d (-want +got)\n%s", hour, diff)
			}
			if keys := b.Dump(t).Keys(); len(keys) > 27 {
				t.Fatalf("in hour %d there are %q", hour, keys)
			}
			b.Clock.Advance(time.Hour)
		}
		b.Clock.Advance(25 * time.Hour)
		if keys := b.Dump(t).Keys(); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}

// What may have been written is not written again: a count is too small rather than too large.
func TestCountersAtMostOnce(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	s := b.Open(t)
	count(s, 1, store.TokensIssued)
	must(t, s.Flush(t.Context()))

	srv.Freeze() // it reads what it is sent when it goes on
	count(s, 10, store.TokensIssued)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantErr(t, "flush", s.Flush(ctx), store.ErrUnavailable)
	srv.Thaw()
	count(s, 100, store.TokensIssued)
	await(t, "flush", func() error { return s.Flush(t.Context()) })
	got := counted(t, s, 60)
	if len(got) != 1 || got[0].Issued != 101 && got[0].Issued != 111 {
		t.Errorf("got %+v, want 101 issued, or 111", got)
	}
}

func TestCountersConcurrently(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 50 {
					count(s, 20, store.KeyUses)
					if err := s.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if got := counted(t, s, 60); len(got) != 1 || got[0].KeyUsed != 8000 {
			t.Errorf("got %+v, want 8000", got)
		}
		for _, key := range b.Dump(t).Keys() {
			if !strings.HasPrefix(key, "mk:n:") {
				t.Errorf("there is %q", key)
			}
		}
	})
}

func TestTotals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		want := func(want store.Totals) {
			t.Helper()
			if got, err := s.Totals(ctx); err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		}
		want(store.Totals{})
		create(t, s, "a")
		u, other := add(t, s, "a@example.com"), add(t, s, "b@example.com")
		makeKey(t, b, s, u, "expiring", time.Hour)
		doomed := makeKey(t, b, s, u, "doomed", 0)
		makeKey(t, b, s, other, "theirs", 0)
		want(store.Totals{Clients: 1, Users: 2, ActiveKeys: 3})
		b.Clock.Advance(time.Hour)
		want(store.Totals{Clients: 1, Users: 2, ActiveKeys: 2})
		_, err := s.RevokeKey(ctx, doomed.ID, ended(b, ""))
		must(t, err)
		must(t, s.DeleteUser(ctx, other.ID, ended(b, "")))
		must(t, s.DeleteClient(ctx, "a", store.Cause{}))
		want(store.Totals{Users: 1})
	})
}
