package redisdb_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// trips counts what goes to the backend, once for each single command and each pipeline. While it is held, it
// keeps them back.
type trips struct {
	n    atomic.Int64
	hold atomic.Pointer[chan struct{}]
}

func (c *trips) count() {
	c.n.Add(1)
	if hold := c.hold.Load(); hold != nil {
		<-*hold
	}
}

// held keeps back what goes to the backend until release is called.
func (c *trips) held() (release func()) {
	hold := make(chan struct{})
	c.hold.Store(&hold)
	return func() {
		c.hold.Store(nil)
		close(hold)
	}
}

func (c *trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "client" { // by which a new connection is identified
			c.count()
		}
		return next(ctx, cmd)
	}
}

func (c *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.count(); return next(ctx, cmds) }
}

// with opens a DB whose client has the hooks.
func with(t *testing.T, url string, hooks ...redis.Hook) *redisdb.DB {
	t.Helper()
	return open(t, redisdb.Options{URL: url, Instrument: func(c redis.UniversalClient) {
		for _, h := range hooks {
			c.AddHook(h)
		}
	}})
}

func open(t *testing.T, o redisdb.Options) *redisdb.DB {
	t.Helper()
	db, err := redisdb.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// A call that waits to travel with others is traced in its own request, with its own commands.
func TestSharedBatchIsTracedPerCall(t *testing.T) {
	type key struct{}
	var mu sync.Mutex
	traced := map[any][]string{}
	c := &trips{}
	db := open(t, redisdb.Options{
		Instrument: func(client redis.UniversalClient) { client.AddHook(c) },
		Trace: func(ctx context.Context, r redisdb.RoundTrip) func(error) {
			request := ctx.Value(key{})
			if request == nil {
				return nil
			}
			line := fmt.Sprintln(r.Commands(), r.Count(), r.Server, r.Shared)
			return func(err error) {
				mu.Lock()
				defer mu.Unlock()
				traced[request] = append(traced[request], strings.TrimSpace(line)+fmt.Sprint(" ", err))
			}
		},
	})
	put(t, db, "a")
	release := c.held()
	var calls sync.WaitGroup
	for n := range 4 { // of which two go alone
		calls.Go(func() { _, _ = get(context.WithValue(t.Context(), key{}, n), db, "a") })
	}
	waitFor(t, db, 2)
	release()
	calls.Wait()
	shared := 0
	for n := range 4 {
		switch fmt.Sprint(traced[n]) {
		case "[[HGET] 1 embedded false <nil>]":
		case "[[HGET] 1 embedded true <nil>]":
			shared++
		default:
			t.Errorf("call %d is traced as %q", n, traced[n])
		}
	}
	if shared != 2 {
		t.Errorf("%d calls are traced as shared, want 2", shared)
	}
}

// errAbsent is that of a key that is not there.
var errAbsent = errors.New("absent")

// put sets a key, and get reads one through the batcher.
func put(t *testing.T, db *redisdb.DB, key string) {
	t.Helper()
	if err := db.Client.HSet(t.Context(), key, "id", key).Err(); err != nil {
		t.Fatal(err)
	}
}

func get(ctx context.Context, db *redisdb.DB, key string) (string, error) {
	cmd := redis.NewStringCmd(ctx, "hget", key, "id")
	if err := db.Do(ctx, "get", cmd); err != nil {
		return "", err
	}
	if errors.Is(cmd.Err(), redis.Nil) {
		return "", errAbsent
	}
	return cmd.Val(), nil
}

// waitFor polls until so many calls wait.
func waitFor(t *testing.T, db *redisdb.DB, waiting int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); db.Waiting() != waiting; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d calls wait, want %d", db.Waiting(), waiting)
		}
	}
}

// Concurrent requests share round trips; each gets its own answer and its own error.
func TestConcurrentRequestsShareRoundTrips(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { shareRoundTrips(t, "") })
	t.Run("redis", func(t *testing.T) { shareRoundTrips(t, storetest.Redis(t).Backend(t).URL()) })
}

func shareRoundTrips(t *testing.T, url string) {
	t.Helper()
	var c trips
	db := with(t, url, &c)
	const clients, rounds = 20, 20
	for i := range clients {
		put(t, db, fmt.Sprint("c", i))
	}
	if err := db.Client.Set(t.Context(), "broken", "not a hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	before, release := c.n.Load(), c.held()

	var wg sync.WaitGroup
	for range rounds {
		for i := range clients {
			wg.Go(func() {
				id := fmt.Sprint("c", i)
				if got, err := get(t.Context(), db, id); err != nil || got != id {
					t.Errorf("%s: got %q, %v", id, got, err)
				}
			})
		}
		wg.Go(func() {
			if _, err := get(t.Context(), db, "absent"); !errors.Is(err, errAbsent) {
				t.Errorf("absent: got %v", err)
			}
		})
		wg.Go(func() {
			if _, err := get(t.Context(), db, "broken"); !errors.Is(err, redisdb.ErrUnavailable) {
				t.Errorf("broken: got %v", err)
			}
		})
	}
	const asked = rounds * (clients + 2)
	waitFor(t, db, asked-redisdb.MaxInFlight)
	release()
	wg.Wait()
	const hellos = redisdb.MaxInFlight // a new connection has one
	most := int64(hellos + redisdb.MaxInFlight + (asked-redisdb.MaxInFlight+redisdb.MaxBatch-1)/redisdb.MaxBatch)
	if got := c.n.Load() - before; got > most {
		t.Errorf("%d requests took %d round trips, want at most %d", asked, got, most)
	}
}

// More calls than can be served in time are rejected at once.
func TestOverload(t *testing.T) {
	var c trips
	db := with(t, "", &c)
	put(t, db, "a")
	release := c.held()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range redisdb.MaxInFlight + redisdb.MaxWaiting {
		wg.Go(func() { _, _ = get(ctx, db, "a") })
	}
	waitFor(t, db, redisdb.MaxWaiting)
	if _, err := get(t.Context(), db, "a"); !errors.Is(err, redisdb.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	cancel() // their callers have gone, and nothing is sent for them
	release()
	wg.Wait()
	_, err := get(t.Context(), db, "a")
	if err != nil {
		t.Error(err)
	}
}

// A request that comes alone goes alone, at once.
func TestOneRequestIsOneRoundTrip(t *testing.T) {
	var c trips
	db := with(t, "", &c)
	put(t, db, "a")
	before := c.n.Load()
	for range 10 {
		_, err := get(t.Context(), db, "a")
		if err != nil {
			t.Error(err)
		}
	}
	if got := c.n.Load() - before; got != 10 {
		t.Errorf("10 requests took %d round trips", got)
	}
}

// Each request keeps its own deadline while Redis does not answer, however many wait beside it, and when Redis
// answers again, so does the store.
func TestDeadlinesWhileRedisIsFrozen(t *testing.T) {
	server := storetest.Redis(t)
	db := open(t, redisdb.Options{URL: server.Backend(t).URL()})
	put(t, db, "a")
	server.Freeze()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			patience := time.Duration(1+i%2) * 200 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			start := time.Now()
			if _, err := get(ctx, db, "a"); !errors.Is(err, redisdb.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
			if took := time.Since(start); took > patience+20*time.Second {
				t.Errorf("a request with %v of patience took %v", patience, took)
			}
		})
	}
	wg.Wait()
	server.Thaw()
	for deadline := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := get(ctx, db, "a")
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a minute after Redis went on: %v", err)
		}
	}
}

// A request whose time is over while it waits is not sent. It must not read that as "not there", or as "saved", even if it
// learns that its batch is over before it learns that its time is.
func TestDeadlineIsNeverAVerdict(t *testing.T) {
	type gate struct{}
	var c trips
	db := open(t, redisdb.Options{
		Instrument: func(client redis.UniversalClient) { client.AddHook(&c) },
		Trace: func(ctx context.Context, r redisdb.RoundTrip) func(error) {
			if gate, ok := ctx.Value(gate{}).(chan struct{}); ok && r.Shared {
				<-gate
			}
			return nil
		},
	})
	put(t, db, "a")
	for name, ask := range map[string]func(context.Context) error{
		"read": func(ctx context.Context) error { _, err := get(ctx, db, "a"); return err },
		"write": func(ctx context.Context) error {
			return db.Do(ctx, "set", redis.NewStatusCmd(ctx, "set", "x", "y"))
		},
	} {
		for range 20 { // each time it learns one of the two first, by chance
			before, release := c.n.Load(), c.held()
			for range redisdb.MaxInFlight {
				go func() { _, _ = get(t.Context(), db, "a") }()
			}
			for c.n.Load() < before+redisdb.MaxInFlight {
				runtime.Gosched()
			}
			goOn := make(chan struct{})
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), gate{}, goOn))
			answer := make(chan error, 1)
			go func() { answer <- ask(ctx) }()
			waitFor(t, db, 1)
			cancel()
			release()
			for !db.Idle() {
				runtime.Gosched()
			}
			close(goOn)
			if err := <-answer; !errors.Is(err, redisdb.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want ErrUnavailable because the context is over", name, err)
			}
			if n := db.Client.Exists(t.Context(), "x").Val(); n != 0 {
				t.Errorf("%s: it was sent", name)
			}
		}
	}
}

// The caller owns its context again as soon as its call has returned, though the batch is still to be sent: server/web
// changes that of a request. The race detector sees if the batch reads it.
func TestContextIsTheCallersOwnAgain(t *testing.T) {
	type own struct{ context.Context }
	var c trips
	db := with(t, "", &c)
	put(t, db, "a")
	before, release := c.n.Load(), c.held()
	var others sync.WaitGroup
	another := func() {
		if _, err := get(t.Context(), db, "a"); err != nil {
			t.Error(err)
		}
	}
	for range redisdb.MaxInFlight {
		others.Go(another)
	}
	for c.n.Load() < before+redisdb.MaxInFlight {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	returned, changed := make(chan error, 1), make(chan struct{})
	go func() {
		x := &own{ctx}
		_, err := get(x, db, "a")
		returned <- err
		x.Context = t.Context()
		close(changed)
	}()
	waitFor(t, db, 1)
	others.Go(another) // in the same batch
	waitFor(t, db, 2)
	cancel()
	if err := <-returned; !errors.Is(err, redisdb.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	release()
	others.Wait()
	<-changed
}

// broken fails every pipeline, and leaves its commands as if they had an empty answer.
type broken struct{}

func (broken) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (broken) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (broken) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return errors.New("no connection") }
}

// A pipeline that failed is no verdict either, whatever its commands say.
func TestFailedPipelineIsNeverAVerdict(t *testing.T) {
	db := with(t, "", broken{})
	ctx := t.Context()
	if err := db.Do(ctx, "get two", redis.NewStringCmd(ctx, "get", "a"), redis.NewStringCmd(ctx, "get", "b")); !errors.Is(err, redisdb.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

// panics is a hook that panics as often as it is told to.
type panics struct{ left atomic.Int64 }

func (h *panics) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *panics) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { h.perhaps(); return next(ctx, cmd) }
}

func (h *panics) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { h.perhaps(); return next(ctx, cmds) }
}

func (h *panics) perhaps() {
	if h.left.Add(-1) >= 0 {
		panic("in a hook")
	}
}

// A panic is the request's own: later requests find the place free, and those that shared the batch get an error.
func TestPanicLeavesThePlaceFree(t *testing.T) {
	var c trips
	h := &panics{}
	db := with(t, "", &c, h)
	put(t, db, "a")
	read := func() (panicked any, err error) {
		defer func() { panicked = recover() }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = get(ctx, db, "a")
		return nil, err
	}
	before, release := c.n.Load(), c.held()
	h.left.Store(redisdb.MaxInFlight + 1) // those that go alone, and the one that others share
	var wg sync.WaitGroup
	for range redisdb.MaxInFlight {
		wg.Go(func() {
			if panicked, err := read(); panicked == nil {
				t.Errorf("alone: got %v, want a panic", err)
			}
		})
	}
	for c.n.Load() < before+redisdb.MaxInFlight {
		runtime.Gosched()
	}
	for range 3 {
		wg.Go(func() {
			if _, err := read(); !errors.Is(err, redisdb.ErrUnavailable) {
				t.Errorf("together: got %v, want ErrUnavailable", err)
			}
		})
	}
	waitFor(t, db, 3)
	release()
	wg.Wait()
	for deadline := time.Now().Add(5 * time.Second); !db.Idle(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("a place was not given up")
		}
	}
	if panicked, err := read(); err != nil || panicked != nil {
		t.Errorf("after the panics: %v, %v", err, panicked)
	}
}
