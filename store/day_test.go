package store_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const aDay = 24 * time.Hour

// dayCounts are the uses of a key on each of the last 30 days, by the day of the month; days without are left out.
func dayCounts(t *testing.T, b *storetest.Backend, s *store.Store, id string) map[string]int64 {
	t.Helper()
	days, err := s.KeyDays(t.Context(), id)
	must(t, err)
	today := b.Clock.Now().UTC().Truncate(aDay)
	if len(days) != store.KeyDaysKept || !days[len(days)-1].Start.Equal(today) || !days[0].Start.Equal(today.Add(-29*aDay)) {
		t.Errorf("got %d days from %v to %v", len(days), days[0].Start, days[len(days)-1].Start)
	}
	counts := map[string]int64{}
	for _, d := range days {
		if d.Uses > 0 {
			counts[d.Start.Format("2 Jan")] = d.Uses
		}
	}
	return counts
}

func TestUsesByDay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		use := func(n int, id string) {
			t.Helper()
			for range n {
				s.RecordKeyUse("usr_a", id, "192.0.2.7")
			}
		}
		// To noon of the 30th of a month, so that the days go on into the next.
		at := b.Clock.Now().UTC()
		noon := time.Date(at.Year(), at.Month()+1, 0, 12, 0, 0, 0, time.UTC)
		if !noon.After(at) {
			noon = time.Date(at.Year(), at.Month()+2, 0, 12, 0, 0, 0, time.UTC)
		}
		b.Clock.Advance(noon.Sub(at))
		use(3, "key_1")
		use(1, "key_2")
		if got := dayCounts(t, b, s, "key_1"); len(got) > 0 {
			t.Errorf("before it was written: %v", got)
		}
		must(t, s.Flush(ctx))
		use(2, "key_1")
		must(t, s.Flush(ctx))
		last, first := noon.Format("2 Jan"), noon.Add(aDay).Format("2 Jan")
		b.Clock.Advance(aDay)
		use(7, "key_1")
		must(t, s.Flush(ctx))
		for id, want := range map[string]map[string]int64{"key_1": {last: 5, first: 7}, "key_2": {last: 1}, "key_3": {}} {
			if diff := cmp.Diff(want, dayCounts(t, b, other, id)); diff != "" {
				t.Errorf("%s: %s", id, diff)
			}
		}
		b.Clock.Advance(28 * aDay)
		if diff := cmp.Diff(map[string]int64{last: 5, first: 7}, dayCounts(t, b, other, "key_1")); diff != "" {
			t.Errorf("29 days later: %s", diff)
		}
		b.Clock.Advance(aDay)
		if diff := cmp.Diff(map[string]int64{first: 7}, dayCounts(t, b, other, "key_1")); diff != "" {
			t.Errorf("30 days later: %s", diff)
		}
		b.Clock.Advance(3 * aDay)
		if keys := b.Dump(t).Find("mk:kd:"); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}

// However a key is used, its days do not grow in number.
func TestUsesByDayAreBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		for _, every := range []int{1, 14, 15, 16, 29, 30} {
			id := "key_" + strconv.Itoa(every)
			for range 40 {
				s.RecordKeyUse("usr_a", id, "192.0.2.7")
				must(t, s.Flush(ctx))
				b.Clock.Advance(time.Duration(every) * aDay)
			}
			if n := len(b.Dump(t)["mk:kd:"+id]) / 2; n > store.KeyDaysKept {
				t.Errorf("used every %d days, it has %d days", every, n)
			}
			if n, most := len(b.Dump(t)["mk:kd:"+id])/2, 30/every+1; n > most {
				t.Errorf("used every %d days, it has %d days, want at most %d", every, n, most)
			}
		}
	})
}
