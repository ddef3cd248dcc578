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

// some are the counts in which there is anything.
func some(counts []store.Counts, err error) (list []store.Counts) {
	for _, c := range counts {
		if !cmp.Equal(c, store.Counts{Start: c.Start}) {
			list = append(list, c)
		}
	}
	return list
}

func TestClientCounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		now := b.Clock.Now()
		start := now.Truncate(time.Minute).Add(time.Minute)
		b.Clock.Advance(start.Sub(now))
		for range 3 {
			s.CountIssued("a")
		}
		other.CountIssued("a")
		other.CountIssued("b")
		s.CountRejected("a", "invalid_client", "wrong secret")
		b.Clock.Advance(time.Second)
		s.CountRejected("a", "made up", "")
		s.CountRejected("", "invalid_client", "unknown")
		if got := some(s.ClientHour(ctx, "a")); got != nil {
			t.Errorf("written before it was flushed: %+v", got)
		}
		for range 2 { // the second has nothing to write
			must(t, s.Flush(ctx))
			must(t, other.Flush(ctx))
		}
		want := []store.Counts{{Start: start, Issued: 4, Refused: map[string]int64{"invalid_client": 1, "other": 1}}}
		if diff := cmp.Diff(want, some(other.ClientHour(ctx, "a"))); diff != "" {
			t.Errorf("the last hour (-want +got)\n%s", diff)
		}
		if n := want[0].Rejected(); n != 2 {
			t.Errorf("%d rejected, want 2", n)
		}
		all := counted(t, s, 60)
		if len(all) != 1 || all[0].Issued != 5 || all[0].Refused["invalid_client"] != 2 {
			t.Errorf("of all clients: %+v", all)
		}
		want[0].Start = start.Truncate(15 * time.Minute)
		if diff := cmp.Diff(want, some(s.ClientDay(ctx, "a"))); diff != "" {
			t.Errorf("the last day (-want +got)\n%s", diff)
		}
		got, err := s.LastRequestsOf(ctx, []string{"a", "b", "none"})
		must(t, err)
		at := b.Clock.Now().Truncate(time.Second)
		last := []store.LastRequests{
			{Token: at.Add(-time.Second), Rejection: store.TokenRejection{At: at, Code: "other"}}, {Token: at.Add(-time.Second)}, {},
		}
		if diff := cmp.Diff(last, got); diff != "" {
			t.Errorf("the last requests (-want +got)\n%s", diff)
		}
		if got := uses(t, s, "a"); len(got) != 0 {
			t.Errorf("they are taken for secrets: %v", got)
		}

		b.Clock.Advance(time.Minute)
		s.CountRejected("a", "invalid_client", "wrong secret")
		must(t, s.Flush(ctx))
		if got, err = s.LastRequestsOf(ctx, []string{"a"}); err != nil || got[0].Rejection.Reason != "wrong secret" || got[0].Rejection.Code != "invalid_client" {
			t.Errorf("the last rejection is %+v, %v", got, err)
		}
		if n := len(some(s.ClientHour(ctx, "a"))); n != 2 {
			t.Errorf("counted in %d minutes, want 2", n)
		}
	})
}

// What is counted of a client expires by itself, in the embedded store too, whose key names are few.
func TestClientCountsExpire(t *testing.T) {
	if testing.Short() {
		t.Skip("it is one call after another: the race detector sees nothing in it")
	}
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		names := map[string]bool{}
		for hour := range 80 {
			s.CountIssued("a")
			s.CountRejected("a", "invalid_scope", "")
			must(t, s.Flush(ctx))
			if got := some(s.ClientDay(ctx, "a")); len(got) != min(hour+1, 24) {
				t.Fatalf("in hour %d the last day has %d quarters with something", hour, len(got))
			}
			for _, later := range []time.Duration{0, 59 * time.Minute} {
				b.Clock.Advance(later)
				if got := some(s.ClientHour(ctx, "a")); len(got) != 1 || got[0].Issued != 1 {
					t.Fatalf("in hour %d, %v later: %+v", hour, later, got)
				}
			}
			for key := range b.Dump(t) {
				names[key] = true
			}
			b.Clock.Advance(time.Minute)
			if got := some(s.ClientHour(ctx, "a")); got != nil {
				t.Fatalf("in hour %d, an hour later: %+v", hour, got)
			}
		}
		kinds := map[string]int{}
		for key := range names {
			kind, _, _ := strings.Cut(strings.TrimPrefix(key, "mk:"), ":")
			kinds[kind]++
		}
		for kind, most := range map[string]int{"nc": 3, "nd": 3, "nt": 16, "n": 27, "u": 1} {
			if kinds[kind] == 0 || kinds[kind] > most {
				t.Errorf("there were %d keys mk:%s, want at most %d", kinds[kind], kind, most)
			}
		}
		b.Clock.Advance(401 * 24 * time.Hour)
		if keys := b.Dump(t).Keys(); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}

// A client that is deleted takes its counts with it, those that were not flushed as well.
func TestClientCountsOfDeletedClients(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		create(t, s, "b")
		for range 3 {
			s.CountIssued("a")
			s.CountRejected("a", "invalid_scope", "")
			must(t, s.Flush(ctx))
			b.Clock.Advance(time.Hour)
		}
		s.CountIssued("a")
		s.CountIssued("b")
		must(t, s.DeleteClient(ctx, "a", store.Cause{}))
		must(t, s.Flush(ctx))
		for key := range b.Dump(t) {
			for _, gone := range []string{"mk:nc:a:", "mk:nd:a:", "mk:u:a"} {
				if strings.HasPrefix(key, gone) {
					t.Errorf("left behind: %q", key)
				}
			}
		}
		busiest, _, err := s.TopClients(ctx, 5)
		must(t, err)
		if len(busiest) != 1 || busiest[0].Client.ID != "b" {
			t.Errorf("the busiest are %+v, want b alone", busiest)
		}
	})
}

// However many clients request tokens between two flushes, the memory for it is bounded, and so is what a ranking keeps.
func TestClientCountsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("it is one call after another: the race detector sees nothing in it")
	}
	b := storetest.Embedded(t)
	s, ctx := b.Open(t), t.Context()
	for i := range 10_100 {
		s.CountRejected(fmt.Sprint(i), "invalid_scope", "")
	}
	must(t, s.Flush(ctx))
	dump := b.Dump(t)
	if n := len(dump.Find("mk:nc:")); n != 10_000 {
		t.Errorf("%d clients are counted, want 10000", n)
	}
	for _, key := range append(dump.Find("mk:nt:requests:"), dump.Find("mk:nt:rejected:")...) {
		if n := b.Do("ZCARD", key); n != int64(1000) {
			t.Errorf("%s ranks %d clients, want 1000", key, n)
		}
	}
	if got := counted(t, s, 1); got[0].Rejected() != 10_100 {
		t.Errorf("%d rejections of all clients, want 10100", got[0].Rejected())
	}
}

func TestTopClients(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		count := func(s *store.Store, id string, issued, rejected int) {
			for range issued {
				s.CountIssued(id)
			}
			for range rejected {
				s.CountRejected(id, "invalid_client", "wrong secret")
			}
			must(t, s.Flush(ctx))
		}
		rows := func() (busiest, failing string) {
			t.Helper()
			one, two, err := other.TopClients(ctx, 3)
			must(t, err)
			for _, a := range one {
				busiest += fmt.Sprintf("%s %d ", a.Client.Metadata.Name, a.Requests())
			}
			for _, a := range two {
				failing += fmt.Sprintf("%s %d %s ", a.Client.Metadata.Name, a.Rejected, a.Rejection.Reason)
			}
			return busiest, failing
		}
		want := func(busiest, failing string) {
			t.Helper()
			if gotBusiest, gotFailing := rows(); gotBusiest != busiest || gotFailing != failing {
				t.Errorf("busiest %q, failing %q, want %q and %q", gotBusiest, gotFailing, busiest, failing)
			}
		}
		want("", "")
		for _, id := range []string{"a", "b", "c", "d"} {
			c := client(id)
			c.Metadata.Name = strings.ToUpper(id)
			must(t, s.CreateClient(ctx, c))
		}
		count(s, "a", 5, 1)
		count(s, "b", 20, 0)
		count(other, "a", 5, 2)
		count(other, "c", 0, 4)
		count(other, "d", 1, 0)
		want("B 20 A 13 C 4 ", "C 4 wrong secret A 3 wrong secret ")
		b.Clock.Advance(30 * time.Minute)
		count(s, "d", 30, 2)
		want("D 33 B 20 A 13 ", "C 4 wrong secret A 3 wrong secret D 2 wrong secret ")
		b.Clock.Advance(30 * time.Minute)
		want("D 32 ", "D 2 wrong secret ")
		b.Clock.Advance(30 * time.Minute)
		want("", "")
	})
}

// Without Redis, what was counted is lost, and read as unavailable.
func TestClientCountsWithoutRedis(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	s := srv.Backend(t).Open(t)
	s.CountIssued("a")
	srv.Kill()
	wantErr(t, "flush", s.Flush(t.Context()), store.ErrUnavailable)
	_, err := s.ClientHour(t.Context(), "a")
	wantErr(t, "read", err, store.ErrUnavailable)
	_, _, err = s.TopClients(t.Context(), 5)
	wantErr(t, "read", err, store.ErrUnavailable)
}

// Counting costs no allocation but the first of a client after a flush.
func TestCountingAllocatesNothing(t *testing.T) {
	s := storetest.Embedded(t).Open(t)
	s.CountIssued("a")
	if n := testing.AllocsPerRun(100, func() { s.CountIssued("a") }); n != 0 {
		t.Errorf("%v allocations for a token that is counted", n)
	}
}

func BenchmarkCountIssued(b *testing.B) {
	s := storetest.Embedded(b).Open(b)
	b.ReportAllocs()
	for b.Loop() {
		s.CountIssued("a")
	}
}
