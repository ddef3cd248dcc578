package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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

const feedKey = "mk:feed"

var errNotAppended = errors.New("the feed is away")

// announced announces revocations with one XADD.
type announced struct{ fails atomic.Bool }

func (f *announced) announce() *store.Announce {
	return &store.Announce{
		Append: func(ctx context.Context, revocations []store.Revocation) []redis.Cmder {
			args := []any{"xadd", feedKey, "*"}
			for i, r := range revocations {
				about := r.ClientID + r.UserID
				if about == "" {
					about = string(r.Digest[:])
				}
				args = append(args, i, string(r.Kind)+" "+about)
			}
			return []redis.Cmder{redis.NewStringCmd(ctx, args...)}
		},
		Check: func(answers []redis.Cmder) error {
			if f.fails.Load() {
				return errNotAppended
			}
			return answers[0].Err()
		},
	}
}

// read is which kinds were announced, by what they are about.
func (f *announced) read(t *testing.T, b *storetest.Backend) map[string][]string {
	t.Helper()
	entries, ok := b.Do("XRANGE", feedKey, "-", "+").([]any)
	if !ok {
		t.Fatal("there is no feed")
	}
	kinds := map[string][]string{}
	for _, e := range entries {
		values := e.([]any)[1].([]any)
		for i := 1; i < len(values); i += 2 {
			kind, about, _ := strings.Cut(values[i].(string), " ")
			if !slices.Contains(kinds[about], kind) {
				kinds[about] = append(kinds[about], kind)
			}
		}
	}
	for about := range kinds {
		slices.Sort(kinds[about])
	}
	return kinds
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

// Each method that revokes something announces its kinds, and nothing else.
func TestEachMethodAnnouncesItsKinds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		kinds := tableOf(t)
		sc, abouts, calls := played(t, b)
		for name, call := range calls {
			if err := call(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		sc.want(abouts, kinds)
	})
}

// A revocation whose answer was lost is announced by a heartbeat, unless its repetition does.
func TestRevocationWithALostAnswerIsAnnounced(t *testing.T) {
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
	for range 3 {
		sc.s.Heartbeat(ctx)
	}
	if n := sc.s.Pending(); n != 0 {
		t.Errorf("%d deletions are pending", n)
	}
	sc.want(abouts, kinds)
}

// What a rollback has undone is announced again when it is replayed. What is no deletion is not.
func TestReplayAnnouncesAgain(t *testing.T) {
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

// A revocation that cannot be announced is applied, is not acknowledged, and is announced by the next heartbeat.
func TestRevocationThatIsNotAnnouncedIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	kinds := tableOf(t)
	sc, abouts, calls := played(t, b)
	sc.feed.fails.Store(true)
	for name, call := range calls {
		err := call(ctx)
		if name == "CreateClient" { // the answer has the secret, this once
			must(t, err)
			continue
		}
		wantErr(t, name, err, store.ErrUnavailable)
		wantErr(t, name, err, store.ErrUnconfirmed)
		wantErr(t, name, err, errNotAppended)
	}
	_ = calls["RevokeLeaked"](ctx)
	wantErr(t, "what is gone, while that is not announced", sc.s.Confirm(ctx), store.ErrUnavailable)
	b.Do("DEL", feedKey)
	sc.s.Heartbeat(ctx)
	if sc.s.Pending() != 0 || sc.s.Unannounced() == 0 {
		t.Errorf("%d deletions are pending, %d revocations are not announced; want none, and some", sc.s.Pending(), sc.s.Unannounced())
	}
	wantOpen(t, "not announced", sc.s)
	b.Do("DEL", feedKey)
	sc.feed.fails.Store(false)
	sc.s.Heartbeat(ctx)
	if n := sc.s.Unannounced(); n != 0 {
		t.Errorf("%d revocations are not announced", n)
	}
	must(t, sc.s.Confirm(ctx))
	sc.want(abouts, kinds)
}

// A secret that is shown once is not lost for want of an announcement, nor is a rotation with an overlap.
func TestNewSecretIsShownThoughItCannotBeAnnounced(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	sc := newScene(t, b)
	sc.s.Heartbeat(ctx)
	sc.feed.fails.Store(true)
	create(t, sc.s, "a")
	_, err := sc.s.AddSecret(ctx, "a", store.Secret{ID: "sec_2", Digest: store.DigestOf("next")}, b.Clock.Now().Add(time.Hour), store.Cause{})
	must(t, err)
	if n := sc.s.Unannounced(); n != 2 {
		t.Errorf("%d revocations are to be announced, want 2", n)
	}
	if page, _, err := sc.s.Clients(ctx, "", "", 10); err != nil || len(page) != 1 {
		t.Errorf("the directory has %d clients, %v", len(page), err)
	}
}

// The same where the announcement takes a pipeline of its own, whose answer is lost.
func TestNewSecretIsShownThoughTheAnnouncementIsLost(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Cluster(t).Backend(t), t.Context()
	sc := newScene(t, b)
	sc.s.Heartbeat(ctx)
	sc.loss.arm("xadd", 0)
	create(t, sc.s, "a")
	if sc.loss.armed.Load() || sc.s.Unannounced() != 1 {
		t.Errorf("%d revocations are to be announced, want 1", sc.s.Unannounced())
	}
}

// Changes at once are announced in a cluster too, where that takes a pipeline of its own: they do not wait for each
// other's barriers.
func TestManyChangesAreAnnouncedAtOnce(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Cluster(t, "--appendonly", "yes", "--appendfsync", "always").Backend(t), t.Context()
	var f announced
	s := b.Open(t, func(o *store.Options) {
		o.Announce, o.Durability = f.announce(), config.Durability{Fsync: true}
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
	if n := len(f.read(t, b)); n != many {
		t.Errorf("%d were announced, want %d", n, many)
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

// All tokens and all sessions are announced once a page.
func TestRevokingAllIsAnnounced(t *testing.T) {
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
			zero := store.Digest{}
			if diff := cmp.Diff(map[string][]string{string(zero[:]): {"all"}}, sc.feed.read(t, b)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", name, diff)
			}
		}
	})
}

// A deletion and its announcement are one round trip, whatever the durability: MONITOR shows them one behind the other.
func TestRevocationAndAnnouncementAreOneRoundTrip(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	var f announced
	var sent [][]string
	s := b.Open(t, func(o *store.Options) {
		o.Announce = f.announce()
		o.Instrument = func(rdb redis.UniversalClient) {
			rdb.AddHook(recorder(func(names []string) { sent = append(sent, names) }))
		}
	})
	must(t, s.RevokeToken(ctx, store.DigestOf("first"), store.Cause{}))
	sent = nil
	must(t, s.RevokeToken(ctx, store.DigestOf("x"), store.Cause{}))
	if diff := cmp.Diff([][]string{{"del", "xadd"}}, sent); diff != "" {
		t.Errorf("round trips (-want +got)\n%s", diff)
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
