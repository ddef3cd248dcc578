package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// dayTotals are the uses of a key in the last 30 days: accepted, and rejected.
func dayTotals(t *testing.T, s *store.Store, id string) (uses, rejected int64) {
	t.Helper()
	days, err := s.KeyDays(t.Context(), id)
	must(t, err)
	for _, d := range days {
		uses, rejected = uses+d.Uses, rejected+d.Rejected
	}
	return uses, rejected
}

// A rejected use is counted for the key that was presented, also when that is not active any more, through any replica. It is
// not the last use.
func TestRejectedUses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "ada@example.com")
		active, revoked := makeKey(t, b, s, u, "active", 0), makeKey(t, b, s, u, "revoked", 0)
		expired := makeKey(t, b, s, u, "expired", time.Hour)
		suspended := add(t, s, "bob@example.com")
		theirs := makeKey(t, b, s, suspended, "of a disabled user", 0)
		must(t, s.DisableUser(ctx, suspended.ID, store.Cause{}))
		_, err := s.RevokeKey(ctx, revoked.ID, store.Cause{At: b.Clock.Now()})
		must(t, err)
		b.Clock.Advance(2 * time.Hour)
		s.Age()
		must(t, s.SweepExpired(ctx))
		must(t, s.Flush(ctx)) // by which another replica knows them

		other.RecordKeyUse(u.ID, active.ID, "192.0.2.7")
		for range 2 {
			other.RecordKeyRejection(active.ID)
		}
		for _, k := range []*store.APIKey{revoked, revoked, revoked, expired, theirs} {
			other.RecordRejection(k.Digest)
		}
		other.RecordRejection(store.DigestOf("what was never a key"))
		must(t, other.Flush(ctx))
		for _, tt := range []struct {
			key            *store.APIKey
			uses, rejected int64
		}{{active, 1, 2}, {revoked, 0, 3}, {expired, 0, 1}, {theirs, 0, 1}} {
			if uses, rejected := dayTotals(t, s, tt.key.ID); uses != tt.uses || rejected != tt.rejected {
				t.Errorf("%s: got %d uses and %d rejected, want %d and %d", tt.key.Name, uses, rejected, tt.uses, tt.rejected)
			}
		}
		if got := keyUses(t, s, revoked, expired); got[0] != (store.Use{}) || got[1] != (store.Use{}) {
			t.Errorf("a rejected use is the last use: %v", got)
		}

		// After a month a revoked key is not told from what was never one.
		b.Clock.Advance(32 * aDay)
		s.RecordRejection(revoked.Digest)
		must(t, s.Flush(ctx))
		if keys := b.Dump(t).Find("mk:kf:"); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
		if keys := b.Dump(t).Find("mk:kd:"); len(keys) > 0 {
			t.Errorf("counted: %q", keys)
		}
	})
}

// A key that was created to be valid for minutes is known soon after its expiry, however many others of the kind there are. It is
// still listed among the active ones: by the clock of another replica it may be one.
func TestRejectedUsesOfShortLivedKeys(t *testing.T) {
	b := storetest.Embedded(t)
	s, other, ctx := b.Open(t), b.Open(t), t.Context()
	u := add(t, s, "ada@example.com")
	var keys []*store.APIKey
	for range 201 {
		keys = append(keys, makeKey(t, b, s, u, "short", 5*time.Minute))
	}
	b.Clock.Advance(7 * time.Minute)
	s.Age()
	must(t, s.SweepExpired(ctx))
	must(t, s.SweepExpired(ctx))
	must(t, s.Flush(ctx))
	first, last := keys[0], keys[200]
	for _, k := range []*store.APIKey{first, last} {
		other.RecordRejection(k.Digest)
		must(t, other.Flush(ctx))
		if uses, rejected := dayTotals(t, s, k.ID); uses != 0 || rejected != 1 {
			t.Errorf("%s: got %d uses and %d rejected, want 0 and 1", k.ID, uses, rejected)
		}
		if b.Do("ZSCORE", "mk:keys:live", k.ID) == nil {
			t.Errorf("%s is no longer among the active keys", k.ID)
		}
	}
	b.Clock.Advance(2 * time.Hour)
	for range 3 {
		must(t, s.SweepExpired(ctx))
	}
	if n := b.Do("ZCARD", "mk:keys:live"); n != int64(0) {
		t.Errorf("%v expired keys are among the active ones", n)
	}
}

// Whatever callers make up, memory and the work of a flush are bounded.
func TestRejectedUsesAreBounded(t *testing.T) {
	s := storetest.Embedded(t).Open(t)
	for i := range 1_500 {
		s.RecordRejection(store.DigestOf(fmt.Sprint(i)))
	}
	for i := range 10_500 {
		s.RecordKeyRejection(fmt.Sprint("key_", i))
	}
	if keys, inactive := s.PendingRejections(); keys != 10_000 || inactive != 1_000 {
		t.Errorf("got %d keys and %d inactive credentials, want 10000 and 1000", keys, inactive)
	}
	must(t, s.Flush(t.Context()))
	if keys, inactive := s.PendingRejections(); keys+inactive != 0 {
		t.Errorf("after the flush: %d and %d", keys, inactive)
	}
}

// Accepted and rejected uses share the days of a key, and none stays longer than they.
func TestRejectedUsesByDayAreBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		for i := range 70 {
			s.RecordKeyUse("usr_a", "key_1", "192.0.2.7")
			if i < 35 {
				s.RecordKeyRejection("key_1")
			}
			must(t, s.Flush(ctx))
			b.Clock.Advance(aDay)
		}
		fields := b.Dump(t)["mk:kd:key_1"]
		if len(fields)/2 > store.KeyDaysKept || strings.Contains(strings.Join(fields, " "), "r") {
			t.Errorf("left behind: %q", fields)
		}
	})
}

func TestBusiestKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "ada@example.com")
		var keys []*store.APIKey
		for i := range 4 {
			keys = append(keys, makeKey(t, b, s, u, fmt.Sprint("key ", i), 0))
		}
		use := func(i, n int) {
			for range n {
				s.RecordKeyUse(u.ID, keys[i].ID, "192.0.2.7")
			}
			must(t, s.Flush(ctx))
		}
		busiest := func(n int) (got []string) {
			t.Helper()
			all, err := b.Open(t).BusiestKeys(ctx, n)
			must(t, err)
			for _, a := range all {
				got = append(got, fmt.Sprintf("%s: %d and %d", a.Key.Name, a.Uses, a.Rejected))
			}
			return got
		}
		if got := busiest(10); got != nil {
			t.Errorf("before any use: %v", got)
		}
		use(0, 9)
		b.Clock.Advance(aDay)
		use(1, 4)
		use(2, 6)
		s.RecordKeyRejection(keys[2].ID)
		b.Clock.Advance(aDay)
		use(1, 3)
		want := []string{"key 0: 9 and 0", "key 1: 7 and 0", "key 2: 6 and 1"}
		if diff := cmp.Diff(want, busiest(10)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(want[:1], busiest(1)); diff != "" {
			t.Errorf("the first (-want +got)\n%s", diff)
		}
		b.Clock.Advance(5 * aDay) // the first day is over
		if diff := cmp.Diff(want[1:], busiest(10)); diff != "" {
			t.Errorf("on the eighth day (-want +got)\n%s", diff)
		}
		b.Clock.Advance(8 * aDay)
		if keys := b.Dump(t).Find("mk:nt:keys:"); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}

// A key is unused if it was there for so long, and was not used since.
func TestUnusedKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		ada, bob := add(t, s, "ada@example.com"), add(t, s, "bob@example.com")
		never, used := makeKey(t, b, s, ada, "never", 0), makeKey(t, b, s, ada, "used", 0)
		idle, theirs := makeKey(t, b, s, ada, "idle", 0), makeKey(t, b, s, bob, "theirs", 0)
		revoked := makeKey(t, b, s, ada, "revoked", 0)
		_, err := s.RevokeKey(ctx, revoked.ID, store.Cause{At: b.Clock.Now()})
		must(t, err)
		s.RecordKeyUse(ada.ID, idle.ID, "192.0.2.7")
		must(t, s.Flush(ctx))
		b.Clock.Advance(90*aDay + time.Minute)
		makeKey(t, b, s, ada, "young", 0)
		s.RecordKeyUse(ada.ID, used.ID, "192.0.2.7")
		must(t, s.Flush(ctx))
		since := b.Clock.Now().Add(-90 * aDay)
		for _, tt := range []struct {
			name   string
			filter store.KeyFilter
			want   []*store.APIKey
		}{
			{"of all", store.KeyFilter{UnusedSince: since, State: store.StateActive}, []*store.APIKey{theirs, idle, never}},
			{"of a user", store.KeyFilter{UnusedSince: since, State: store.StateActive, UserID: ada.ID}, []*store.APIKey{idle, never}},
			{"by name", store.KeyFilter{UnusedSince: since, State: store.StateActive, Query: "ne"}, []*store.APIKey{never}},
			{"revoked ones as well", store.KeyFilter{UnusedSince: since}, []*store.APIKey{revoked, theirs, idle, never}},
		} {
			var got []string
			for after, first := "", true; first || after != ""; first = false {
				page, next, err := s.Keys(ctx, tt.filter, after, 1)
				must(t, err)
				for _, k := range page {
					got = append(got, k.Name)
				}
				after = next
			}
			var want []string
			for _, k := range tt.want {
				want = append(want, k.Name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tt.name, diff)
			}
		}
	})
}
