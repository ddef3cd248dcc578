package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

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
