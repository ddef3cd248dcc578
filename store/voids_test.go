package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const feedKey = "mk:feed"

// appended is what the feed has: handles and how often, in which fields, and how many entries of each field.
type appended struct {
	voids, repeats map[feed.Handle]int
	entries        map[string]int
}

// readFeed reads the stream as it is in Redis.
func readFeed(t *testing.T, b *storetest.Backend) appended {
	t.Helper()
	a := appended{map[feed.Handle]int{}, map[feed.Handle]int{}, map[string]int{}}
	entries, _ := b.Do("XRANGE", feedKey, "-", "+").([]any)
	for _, e := range entries {
		values := e.([]any)[1].([]any)
		if len(values) != 4 || values[0] != "t" || len(values[1].(string)) != 8 {
			t.Errorf("an entry is %q", values)
			continue
		}
		field, value := values[2].(string), values[3].(string)
		a.entries[field]++
		of := map[string]map[feed.Handle]int{"v": a.voids, "l": a.voids, "a": a.repeats}[field]
		for ; of != nil && value != ""; value = value[16:] {
			of[feed.Handle([]byte(value[:16]))]++
		}
	}
	return a
}

// Each method that revokes something appends what its kinds void, once. The heartbeat that covers the deletions repeats
// it in one entry, and nothing comes after that.
func TestEachMethodAppendsWhatItVoids(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		kinds := tableOf(t)
		sc, abouts, calls := played(t, b)
		for name, call := range calls {
			if err := call(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		sc.want(abouts, kinds)
		for h, times := range readFeed(t, b).voids {
			if times != 1 {
				t.Errorf("%v is there %d times", sc.label(abouts, map[feed.Handle]int{h: 1}), times)
			}
		}
		if b.Server == nil {
			return // it loses nothing
		}
		before := readFeed(t, b)
		for range 3 {
			sc.s.Heartbeat(t.Context())
		}
		after := readFeed(t, b)
		want := map[string]int{"v": before.entries["v"], "a": 1}
		if diff := cmp.Diff(want, after.entries); diff != "" {
			t.Errorf("entries after the heartbeat (-want +got)\n%s", diff)
		}
		for h, times := range after.repeats {
			if before.voids[h] != 1 || times != 1 {
				t.Errorf("%v is repeated %d times", sc.label(abouts, map[feed.Handle]int{h: 1}), times)
			}
		}
	})
}

// What a guard was told of is not told again: the repetition of a heartbeat answers no poll that waits, and the answer at
// the end of the wait has only what no guard was told.
func TestRepetitionAnswersNoWaitingPoll(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s := b.Open(t, func(o *store.Options) { o.Feed = true })
	running(t, s)
	create(t, s, "a")
	g := &guard{t: t, s: s}
	g.poll(0)
	b.Do("XADD", feedKey, "*", "t", "12345678", "a", "0123456789abcdef")
	began := time.Now()
	a := g.poll(300 * time.Millisecond)
	if waited := time.Since(began); waited < 250*time.Millisecond || a.Reset {
		t.Errorf("answered after %v: %+v", waited, a)
	}
	if !slices.Contains(g.void, feed.Handle([]byte("0123456789abcdef"))) {
		t.Errorf("the guard was told of %v", g.void)
	}
	must(t, s.DisableClient(t.Context(), "a", store.Cause{}))
	eventually(t, "the deletion is covered", func() bool { return s.Pending() == 0 && readFeed(t, b).repeats[feed.OfClient("a")] > 0 })
	for range 3 {
		g.poll(0)
	}
	times := 0
	for _, h := range g.void {
		if h == feed.OfClient("a") {
			times++
		}
	}
	if times != 1 {
		t.Errorf("the guard was told %d times", times)
	}
}

// A revocation whose answer was lost is appended by a heartbeat, unless its repetition does.
func TestRevocationWithALostAnswerIsAppended(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	kinds := tableOf(t)
	sc, abouts, calls := played(t, b)
	for name, call := range calls {
		sc.loss.arm(rows[name].loses, rows[name].after)
		wantErr(t, name, call(ctx), store.ErrUnavailable)
		if sc.loss.armed.Swap(false) {
			t.Errorf("%s sent no pipeline that begins with %s", name, rows[name].loses)
		}
	}
	b.Do("DEL", feedKey)           // what was lost is the answer alone
	_ = calls["RevokeLeaked"](ctx) // its caller repeats it, for the secrets behind the keys
	for range 3 {
		sc.s.Heartbeat(ctx)
	}
	if n := sc.s.Pending(); n != 0 {
		t.Errorf("%d deletions are pending", n)
	}
	sc.want(abouts, kinds)
}

// What a rollback has undone is appended again when it is replayed, as news. What is no deletion is not.
func TestReplayAppendsAgain(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	kinds := tableOf(t)
	sc, abouts, calls := played(t, b)
	loses(t, srv, sc.s, func() {
		for name, call := range calls {
			if err := call(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		sc.want(abouts, kinds)
	})
	for name, r := range rows {
		if !r.replayed {
			kinds[name] = nil
		}
	}
	sc.want(abouts, kinds)
}

// A revocation of which the feed does not hear, and that cannot delete the feed, is applied, is not acknowledged, and is
// appended by the next heartbeat that can.
func TestRevocationThatIsNotAppendedIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	kinds := tableOf(t)
	sc, abouts, calls := played(t, b)
	sc.reject.arm("xadd", "del")
	voids := 0
	for name, call := range calls {
		err := call(ctx)
		heard := len(sc.labels(map[string]string{name: abouts[name]}, kinds)) == 0
		if !heard {
			voids++
		}
		if heard || name == "CreateClient" { // the answer has the secret, this once
			must(t, err)
			continue
		}
		wantErr(t, name, err, store.ErrUnavailable)
		wantErr(t, name, err, store.ErrUnconfirmed)
	}
	wantErr(t, "what is gone, while guards do not know", sc.s.Confirm(ctx), store.ErrUnavailable)
	sc.s.Heartbeat(ctx)
	if n := sc.s.Unannounced(); sc.s.Pending() != 0 || n < voids {
		t.Errorf("%d deletions are pending, %d revocations are to be appended; want none, and at least %d", sc.s.Pending(), n, voids)
	}
	wantOpen(t, "not appended", sc.s)
	sc.reject.disarm()
	sc.s.Heartbeat(ctx)
	if n := sc.s.Unannounced(); n != 0 {
		t.Errorf("%d revocations are to be appended", n)
	}
	must(t, sc.s.Confirm(ctx))
	sc.want(abouts, kinds)
}

// If Redis rejects the append, the feed is deleted: what guards were told before is void, and so the revocation is
// acknowledged. So it is with transactions and with heartbeats.
func TestFeedIsDeletedWhenItTakesNoMore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		ctx := t.Context()
		sc, _, calls := played(t, b)
		sc.reject.arm("xadd")
		for _, name := range []string{"RevokeToken", "DisableClient", "EnableUser", "ExpireKey", "UpdateClient", "CreateClient"} {
			b.Do("SET", feedKey, "what guards were told")
			must(t, calls[name](ctx))
			if b.Do("EXISTS", feedKey) != int64(0) {
				t.Errorf("%s: the feed is there", name)
			}
		}
		if b.Server == nil {
			return
		}
		if n := sc.s.Unannounced(); n != 0 {
			t.Errorf("%d revocations are to be appended", n)
		}
		b.Do("SET", feedKey, "what guards were told")
		sc.s.Heartbeat(ctx)
		if b.Do("EXISTS", feedKey) != int64(0) || sc.s.Unannounced() != 0 {
			t.Errorf("after a heartbeat the feed is there, or %d revocations are to be appended", sc.s.Unannounced())
		}
	})
}

// All tokens and all sessions are one break a page.
func TestRevokingAllIsABreak(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		sc, ctx := newScene(t, b), t.Context()
		create(t, sc.s, "a")
		sc.user("u")
		for name, all := range map[string]func() (int, error){
			"tokens":   func() (int, error) { return sc.s.RevokeAllTokens(ctx, store.Cause{}, nil) },
			"sessions": func() (int, error) { return sc.s.RevokeAllSessions(ctx, store.Cause{}, nil) },
		} {
			b.Do("DEL", feedKey)
			n, err := all()
			if n != 1 || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
			if diff := cmp.Diff(map[string]int{"r": 1}, readFeed(t, b).entries); diff != "" {
				t.Errorf("%s: entries (-want +got)\n%s", name, diff)
			}
		}
		if b.Server == nil {
			return
		}
		if n := sc.s.Unannounced(); n != 0 { // this process has no heartbeat, and could confirm nothing
			t.Errorf("%d revocations are to be appended", n)
		}
	})
}
