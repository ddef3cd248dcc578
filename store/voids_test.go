package store_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/redisdb"
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
		of := map[string]map[feed.Handle]int{"v": a.voids, "a": a.repeats}[field]
		for ; of != nil && value != ""; value = value[16:] {
			of[feed.Handle([]byte(value[:16]))]++
		}
	}
	return a
}

// refusal is what Redis answers.
type refusal string

func (r refusal) Error() string { return string(r) }
func (refusal) RedisError()     {}

// rejecting is a hook that has Redis reject some commands of the feed, while it is armed.
type rejecting struct {
	commands atomic.Pointer[[]string]
	rejected atomic.Int64
}

func (h *rejecting) arm(commands ...string) { h.commands.Store(&commands) }
func (h *rejecting) disarm()                { h.commands.Store(nil) }

func (h *rejecting) rejects(cmd redis.Cmder) bool {
	commands := h.commands.Load()
	if commands == nil || !slices.Contains(*commands, cmd.Name()) || cmd.Args()[1] != feedKey {
		return false
	}
	h.rejected.Add(1)
	return true
}

func (h *rejecting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *rejecting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.rejects(cmd) {
			cmd.SetErr(refusal("NOPERM it is rejected"))
			return cmd.Err()
		}
		return next(ctx, cmd)
	}
}

func (h *rejecting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		var sent, rejected []redis.Cmder
		for _, cmd := range cmds {
			if h.rejects(cmd) {
				rejected = append(rejected, cmd)
			} else {
				sent = append(sent, cmd)
			}
		}
		var err error
		if len(sent) > 0 {
			err = next(ctx, sent)
		}
		for _, cmd := range rejected {
			cmd.SetErr(refusal("NOPERM it is rejected"))
		}
		for _, cmd := range cmds { // as a pipeline does
			if err == nil {
				err = cmd.Err()
			}
		}
		return err
	}
}

// loss is a hook that loses the answer to one pipeline that begins with a command, once some of them have passed.
type loss struct {
	begins string
	after  int
	armed  atomic.Bool
}

func (l *loss) arm(begins string, after int) {
	l.begins, l.after = begins, after
	l.armed.Store(true)
}

func (l *loss) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (l *loss) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (l *loss) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		marks := len(cmds) > 1 && cmds[1].Name() == "hsetnx" // a record that is about to be changed
		if !l.armed.Load() || cmds[0].Name() != l.begins || marks {
			return err
		}
		if l.after--; l.after >= 0 {
			return err
		}
		l.armed.Store(false)
		for _, cmd := range cmds {
			cmd.SetErr(io.EOF)
		}
		return io.EOF
	}
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

// What a guard was told of is not told again as news: the repetition of a heartbeat answers no poll that waits, and the
// answer at the end of the wait has it.
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
	_ = calls["RevokeLeaked"](ctx) // its caller repeats it, for the secrets behind the keys
	b.Do("DEL", feedKey)           // what was lost is the answer alone
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

// A secret that is shown once is not lost because the feed does not take it, nor is a rotation with an overlap.
func TestNewSecretIsShownThoughItCannotBeAppended(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	sc := newScene(t, b)
	sc.s.Heartbeat(ctx)
	sc.reject.arm("xadd", "del")
	create(t, sc.s, "a")
	_, err := sc.s.AddSecret(ctx, "a", store.Secret{ID: "sec_2", Digest: store.DigestOf("next")}, b.Clock.Now().Add(time.Hour), store.Cause{})
	must(t, err)
	if n := sc.s.Unannounced(); n != 2 {
		t.Errorf("%d revocations are to be appended, want 2", n)
	}
	if page, _, err := sc.s.Clients(ctx, "", "", 10); err != nil || len(page) != 1 {
		t.Errorf("the directory has %d clients, %v", len(page), err)
	}
}

// The same where the append takes a pipeline of its own, whose answer is lost.
func TestNewSecretIsShownThoughTheAppendIsLost(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Cluster(t).Backend(t), t.Context()
	sc := newScene(t, b)
	sc.s.Heartbeat(ctx)
	sc.loss.arm("xadd", 0)
	create(t, sc.s, "a")
	if sc.loss.armed.Load() || sc.s.Unannounced() != 1 {
		t.Errorf("%d revocations are to be appended, want 1", sc.s.Unannounced())
	}
}

// Changes at once are appended in a cluster too, where that takes a pipeline of its own: they do not wait for each
// other's barriers.
func TestManyChangesAreAppendedAtOnce(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Cluster(t, "--appendonly", "yes", "--appendfsync", "always").Backend(t), t.Context()
	s := b.Open(t, func(o *store.Options) {
		o.Feed, o.Durability = true, config.Durability{Fsync: true}
	})
	const many = 32
	for i := range many {
		create(t, s, fmt.Sprint("c", i))
	}
	b.Do("DEL", feedKey)
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			if err := s.EnableClient(ctx, fmt.Sprint("c", i), store.Cause{}); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := len(readFeed(t, b).voids); n != many {
		t.Errorf("%d were appended, want %d", n, many)
	}
}

// unsentBarrier is a hook that rejects the barrier behind a transaction, as an open breaker does.
type unsentBarrier struct{ atomic.Bool }

func (h *unsentBarrier) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *unsentBarrier) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *unsentBarrier) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !h.Load() || cmds[0].Name() != "config" {
			return next(ctx, cmds)
		}
		err := redisdb.Unsent(store.ErrUnavailable)
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

// A transaction that Redis has answered was applied, whatever became of the barrier: it is remembered, and not confirmed.
func TestTransactionWithoutItsBarrierIsUnconfirmed(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always").Backend(t), t.Context()
	var h unsentBarrier
	s := b.Open(t, func(o *store.Options) {
		o.Durability = config.Durability{Fsync: true}
		o.Instrument = func(rdb redis.UniversalClient) { rdb.AddHook(&h) }
	})
	create(t, s, "a")
	s.Heartbeat(ctx)
	s.Heartbeat(ctx)
	h.Store(true)
	_, err := s.UpdateClient(ctx, "a", store.Cause{}, func(*store.ClientMetadata) (bool, error) { return true, nil })
	wantErr(t, "narrowed", err, store.ErrUnconfirmed)
	if s.Pending() != 1 {
		t.Errorf("%d deletions are remembered, want that of the old generation", s.Pending())
	}
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

// A deletion and its append are one round trip; in a cluster two. The heartbeat appends in its own pipeline, once for many.
func TestRoundTripsOfRevocations(t *testing.T) {
	t.Parallel()
	trips := func(b *storetest.Backend, change ...func(*store.Options)) (revocations, heartbeat [][]string) {
		ctx := t.Context()
		var mu sync.Mutex
		var sent [][]string
		s := b.Open(t, append(change, func(o *store.Options) {
			o.Feed = true
			o.Instrument = func(rdb redis.UniversalClient) {
				rdb.AddHook(recorder(func(names []string) {
					mu.Lock()
					defer mu.Unlock()
					sent = append(sent, slices.DeleteFunc(names, func(name string) bool { return name == "cluster" }))
				}))
			}
		})...)
		s.Heartbeat(ctx)
		must(t, s.RevokeToken(ctx, store.DigestOf("first"), store.Cause{}))
		s.Heartbeat(ctx)
		sent = nil
		for i := range 3 {
			must(t, s.RevokeToken(ctx, store.DigestOf(fmt.Sprint(i)), store.Cause{}))
		}
		revocations, sent = sent, nil
		s.Heartbeat(ctx)
		return revocations, sent
	}
	always := []string{"--appendonly", "yes", "--appendfsync", "always"}
	fsync := func(o *store.Options) { o.Durability = config.Durability{Fsync: true} }
	for name, test := range map[string]struct {
		b      *storetest.Backend
		change []func(*store.Options)
		want   [][]string
	}{
		"redis":   {storetest.Redis(t).Backend(t), nil, [][]string{{"del", "xadd"}}},
		"barrier": {storetest.Redis(t, always...).Backend(t), []func(*store.Options){fsync}, [][]string{{"del", "xadd", "config"}}},
		"cluster": {storetest.Cluster(t).Backend(t), nil, [][]string{{"del"}, {"xadd"}}},
	} {
		revocations, heartbeat := trips(test.b, test.change...)
		want := slices.Concat(test.want, test.want, test.want)
		if diff := cmp.Diff(want, revocations); diff != "" {
			t.Errorf("%s: round trips of three revocations (-want +got)\n%s", name, diff)
		}
		xadds := 0
		for _, names := range heartbeat {
			for _, name := range names {
				if name == "xadd" {
					xadds++
				}
			}
		}
		if xadds != 1 {
			t.Errorf("%s: the heartbeat sent %v", name, heartbeat)
		}
		if name != "cluster" && !slices.ContainsFunc(heartbeat, func(names []string) bool { return slices.Contains(names, "xadd") && slices.Contains(names, "hincrby") }) {
			t.Errorf("%s: the heartbeat appends in a pipeline of its own: %v", name, heartbeat)
		}
	}
}

// recorder is a hook that is told of each round trip.
type recorder func(names []string)

func (r recorder) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r recorder) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r([]string{cmd.Name()})
		return next(ctx, cmd)
	}
}

func (r recorder) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		names := make([]string, len(cmds))
		for i, cmd := range cmds {
			names[i] = cmd.Name()
		}
		r(names)
		return next(ctx, cmds)
	}
}
