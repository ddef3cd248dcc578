package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// events walks through all pages and returns the actions.
func events(t *testing.T, s *store.Store, f store.EventFilter) (actions []string) {
	t.Helper()
	for range 1000 {
		page, next, err := s.Events(t.Context(), f)
		must(t, err)
		if f.Limit > 0 && len(page) > f.Limit {
			t.Fatalf("a page has %d events, of at most %d", len(page), f.Limit)
		}
		for _, e := range page {
			actions = append(actions, e.Action)
		}
		if next == "" {
			return actions
		}
		f.After = next
	}
	t.Fatal("there is no last page")
	return nil
}

func TestAudit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		if got := events(t, s, store.EventFilter{}); got != nil {
			t.Errorf("before anything has happened: %v", got)
		}
		whole := store.Event{
			At: b.Clock.Now().Add(-time.Second), Actor: "admin", Action: "client.create", Target: "a",
			Address: "192.0.2.1", RequestID: "r1", Detail: map[string]string{"scope": "read\x00\"\n", "näme": "ü"},
		}
		must(t, s.Audit(ctx, whole))
		must(t, s.Audit(ctx, store.Event{Actor: "admin", Action: "client.delete", Target: "a"}))
		must(t, s.AuditRefusals(ctx, []store.Event{{Actor: "somebody", Action: "refused"}}))

		got, next, err := b.Open(t).Events(ctx, store.EventFilter{})
		if err != nil || next != "" {
			t.Errorf("got next %q, %v", next, err)
		}
		want := []store.Event{{At: b.Clock.Now(), Actor: "admin", Action: "client.delete", Target: "a"}, whole}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Event{}, "ID")); diff != "" {
			t.Error(diff)
		}
		if got[0].ID == "" || got[0].ID == got[1].ID {
			t.Errorf("IDs %q and %q", got[0].ID, got[1].ID)
		}
		if got := events(t, s, store.EventFilter{Refusals: true}); !cmp.Equal(got, []string{"refused"}) {
			t.Errorf("refusals: %v", got)
		}
	})
}

func TestEventFilters(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		start := b.Clock.Now().Add(-time.Hour)
		var all []string // newest first
		for i := range 60 {
			e := store.Event{
				At:    start.Add(time.Duration(i+1) * time.Minute),
				Actor: fmt.Sprint("actor", i%2), Action: fmt.Sprint(i), Target: fmt.Sprint("target", i%3),
			}
			if i == 55 { // the clock of another replica is behind
				e.At = e.At.Add(-20 * time.Minute)
			}
			must(t, s.Audit(t.Context(), e))
			all = append([]string{e.Action}, all...)
		}
		only := func(keep func(i int) bool) (want []string) {
			for i := 59; i >= 0; i-- {
				if keep(i) {
					want = append(want, fmt.Sprint(i))
				}
			}
			return want
		}
		at := func(i int) time.Time { return start.Add(time.Duration(i+1) * time.Minute) }
		for name, c := range map[string]struct {
			filter store.EventFilter
			want   []string
		}{
			"all":              {store.EventFilter{}, all},
			"actor":            {store.EventFilter{Actor: "actor1"}, only(func(i int) bool { return i%2 == 1 })},
			"target":           {store.EventFilter{Target: "target2"}, only(func(i int) bool { return i%3 == 2 })},
			"actor and target": {store.EventFilter{Actor: "actor0", Target: "target0"}, only(func(i int) bool { return i%6 == 0 })},
			"since":            {store.EventFilter{Since: at(56)}, all[:4]},
			"since, skewed":    {store.EventFilter{Since: at(39)}, only(func(i int) bool { return i >= 39 && i != 55 })},
			"since tomorrow":   {store.EventFilter{Since: at(60 * 24)}, nil},
			"nobody":           {store.EventFilter{Actor: "actor"}, nil},
		} {
			for _, limit := range []int{0, 1, 7, 60, 1000} {
				c.filter.Limit = limit
				if got := events(t, s, c.filter); !cmp.Equal(got, c.want) {
					t.Errorf("%s by %d: got %v, want %v", name, limit, got, c.want)
				}
			}
		}
		for _, after := range []string{"x", "1", "1-", "-1", "1-1 ", "+", "99999999999999999999-0", "0-0"} {
			_, _, err := s.Events(t.Context(), store.EventFilter{After: after})
			wantErr(t, "after "+after, err, store.ErrNotFound)
		}
		for _, after := range []string{"0-1", "1-0", "18446744073709551615-18446744073709551615"} {
			if _, _, err := s.Events(t.Context(), store.EventFilter{After: after}); err != nil {
				t.Errorf("after %s: %v", after, err)
			}
		}
	})
}

// Events that are recorded during a walk through the pages do not move them.
func TestEventPagesStandStill(t *testing.T) {
	s := storetest.Embedded(t).Open(t)
	audit := func(action string) { must(t, s.Audit(t.Context(), store.Event{Action: action})) }
	audit("one")
	audit("two")
	page, next, err := s.Events(t.Context(), store.EventFilter{Limit: 1})
	must(t, err)
	audit("three")
	if got := events(t, s, store.EventFilter{Limit: 1, After: next}); page[0].Action != "two" || !cmp.Equal(got, []string{"one"}) {
		t.Errorf("got %v, then %v", page[0].Action, got)
	}
}

// fill puts n events into a stream without the store, whose round trips would take for ever.
func fill(t *testing.T, b *storetest.Backend, stream string, n int) {
	t.Helper()
	for done := 0; done < n; done += 1000 {
		_, err := b.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for i := range min(1000, n-done) {
				p.Do(t.Context(), "XADD", stream, "*", "e", fmt.Sprintf(`1{"at":"2026-01-02T03:04:05Z","action":"%d","actor":"x"}`, done+i))
			}
			return nil
		})
		must(t, err)
	}
}

// The logs are bounded, each by itself: rejections push out no changes.
func TestAuditTrims(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		must(t, s.Audit(ctx, store.Event{Action: "change"}))
		fill(t, b, "mk:refusals", 10_500)
		must(t, s.AuditRefusals(ctx, []store.Event{{Action: "last"}}))
		if n := b.Do("XLEN", "mk:refusals").(int64); n < 10_000 || n > 10_200 {
			t.Errorf("%d refusals are kept, want about 10000", n)
		}
		page, _, err := s.Events(ctx, store.EventFilter{Refusals: true, Limit: 2})
		must(t, err)
		if page[0].Action != "last" || page[1].Action != "10499" {
			t.Errorf("the last are %q and %q", page[0].Action, page[1].Action)
		}
		if got := events(t, s, store.EventFilter{}); !cmp.Equal(got, []string{"change"}) {
			t.Errorf("changes: %v", got)
		}

		// A filter that matches little reads on, a bounded part at a time.
		page, next, err := s.Events(ctx, store.EventFilter{Refusals: true, Actor: "nobody"})
		if len(page) != 0 || next == "" || err != nil {
			t.Errorf("got %d events, next %q, %v; want an empty page and a next one", len(page), next, err)
		}
		if got := events(t, s, store.EventFilter{Refusals: true, Actor: "nobody"}); got != nil {
			t.Errorf("of nobody: %v", got)
		}
	})
}

// The last 100,000 changes are kept, and younger ones however many there are.
func TestAuditKeepsTheLast(t *testing.T) {
	t.Parallel()
	const kept = 100_000
	b := storetest.Redis(t).Backend(t)
	s := b.Open(t)
	fill(t, b, "mk:audit", kept+500)
	must(t, s.Audit(t.Context(), store.Event{Action: "last"}))
	must(t, s.TrimAudit(t.Context()))
	if n := b.Do("XLEN", "mk:audit").(int64); n != kept+501 {
		t.Errorf("%d changes of today are kept, want all %d", n, kept+501)
	}
	b.Clock.Advance(91 * 24 * time.Hour)
	must(t, s.TrimAudit(t.Context()))
	if n := b.Do("XLEN", "mk:audit").(int64); n < kept || n > kept+200 {
		t.Errorf("%d changes are kept, want about %d", n, kept)
	}
	size, err := s.AuditSize(t.Context())
	if must(t, err); size < kept*50 || size > store.AuditBytes {
		t.Errorf("they take %d bytes", size)
	}
}

// What users do with what is their own pushes out nothing that operators did, and is listed with it, newest first.
func TestAuditOfUsers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		var want []string
		for i := range 60 {
			e := store.Event{Action: fmt.Sprint(i), Actor: "admin-token", Target: "client:a"}
			if user := fmt.Sprint("usr_", i%5); i%2 == 0 {
				e.Actor, e.Target, e.Detail = "user:"+user, fmt.Sprint("key:", i), map[string]string{"user": user}
			}
			must(t, s.Audit(ctx, e))
			want = append([]string{e.Action}, want...)
		}
		for _, limit := range []int{1, 7, 60, 1000} {
			if diff := cmp.Diff(sorted(want), sorted(events(t, s, store.EventFilter{Limit: limit}))); diff != "" {
				t.Errorf("by %d: (-want +got)\n%s", limit, diff)
			}
		}
		if n := b.Do("XLEN", "mk:audit").(int64); n != 30 {
			t.Errorf("%d events are of operators, want 30", n)
		}
		if got := events(t, s, store.EventFilter{Actor: "user:usr_2"}); len(got) != 6 {
			t.Errorf("of one user: %v, want 6", got)
		}
	})
}

// One request may record what is an operator's own and what is others'. Of what Redis rejects it is known which.
func TestAuditOfSeveralStreams(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		own := store.Event{Action: "own", Actor: "user:usr_1", Target: "key:1", Detail: map[string]string{"user": "usr_1"}}
		other := store.Event{Action: "other", Actor: "user:usr_1", Target: "key:2", Detail: map[string]string{"user": "usr_2"}}
		must(t, s.AuditAll(ctx, []store.Event{own, other, own}))
		if diff := cmp.Diff([]string{"other", "own", "own"}, sorted(events(t, s, store.EventFilter{}))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		b.Do("DEL", "mk:audit")
		b.Do("SET", "mk:audit", "no stream")
		some := []store.Event{own, other, own}
		wantErr(t, "some", s.AuditAll(ctx, some), store.ErrUnavailable)
		if some[0].ID == "" || some[1].ID != "" || some[2].ID == "" {
			t.Errorf("recorded as %q, %q and %q", some[0].ID, some[1].ID, some[2].ID)
		}
	})
}

// sorted is a copy in order: Redis numbers the events of a millisecond in each stream by itself.
func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// What could not be recorded must not be done, so the caller gets the error.
func TestAuditWithoutRedis(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	s := srv.Backend(t).Open(t)
	srv.Kill()
	wantErr(t, "audit", s.Audit(t.Context(), store.Event{}), store.ErrUnavailable)
	_, _, err := s.Events(t.Context(), store.EventFilter{})
	wantErr(t, "events", err, store.ErrUnavailable)
}
