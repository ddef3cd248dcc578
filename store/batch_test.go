package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
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
	return func(ctx context.Context, cmd redis.Cmder) error { c.count(); return next(ctx, cmd) }
}

func (c *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.count(); return next(ctx, cmds) }
}

func counting(c *trips) func(*store.Options) {
	return func(o *store.Options) {
		before := o.Instrument
		o.Instrument = func(rdb redis.UniversalClient) {
			if before != nil {
				before(rdb)
			}
			rdb.AddHook(c)
		}
	}
}

// waitFor polls until so many calls wait.
func waitFor(t *testing.T, s *store.Store, waiting int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); s.Waiting() != waiting; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d calls wait, want %d", s.Waiting(), waiting)
		}
	}
}

// Concurrent requests share round trips; each gets its own answer and its own error.
func TestConcurrentRequestsShareRoundTrips(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { shareRoundTrips(t, storetest.Embedded(t)) })
	t.Run("redis", func(t *testing.T) { shareRoundTrips(t, storetest.Redis(t).Backend(t)) })
}

func shareRoundTrips(t *testing.T, b *storetest.Backend) {
	t.Helper()
	var c trips
	s := b.Open(t, counting(&c))
	const clients, rounds = 20, 20
	for i := range clients {
		create(t, s, fmt.Sprint("c", i))
	}
	b.Do("SET", "mk:c:broken", "not a hash")
	before, release := c.n.Load(), c.held()

	var wg sync.WaitGroup
	for range rounds {
		for i := range clients {
			wg.Go(func() {
				id := fmt.Sprint("c", i)
				if got, err := s.Client(t.Context(), id); err != nil || got.ID != id {
					t.Errorf("%s: got %+v, %v", id, got, err)
				}
			})
		}
		wg.Go(func() {
			if _, err := s.Client(t.Context(), "absent"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("absent: got %v", err)
			}
		})
		wg.Go(func() {
			if _, err := s.Client(t.Context(), "broken"); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("broken: got %v", err)
			}
		})
	}
	const asked = rounds * (clients + 2)
	waitFor(t, s, asked-store.MaxFlights)
	release()
	wg.Wait()
	const hellos = store.MaxFlights // a new connection has one
	most := int64(hellos + store.MaxFlights + (asked-store.MaxFlights+store.MaxBatch-1)/store.MaxBatch)
	if got := c.n.Load() - before; got > most {
		t.Errorf("%d requests took %d round trips, want at most %d", asked, got, most)
	}
}

// More calls than can be served in time are rejected at once.
func TestOverload(t *testing.T) {
	var c trips
	s := storetest.Embedded(t).Open(t, counting(&c))
	create(t, s, "a")
	release := c.held()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range store.MaxFlights + store.MaxWaiting {
		wg.Go(func() { _, _ = s.Client(ctx, "a") })
	}
	waitFor(t, s, store.MaxWaiting)
	if _, err := s.Client(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	cancel() // their callers have gone, and nothing is sent for them
	release()
	wg.Wait()
	_, err := s.Client(t.Context(), "a")
	must(t, err)
}

// A request that comes alone goes alone, at once.
func TestOneRequestIsOneRoundTrip(t *testing.T) {
	var c trips
	s := storetest.Embedded(t).Open(t, counting(&c))
	create(t, s, "a")
	before := c.n.Load()
	for range 10 {
		_, err := s.Client(t.Context(), "a")
		must(t, err)
	}
	if got := c.n.Load() - before; got != 10 {
		t.Errorf("10 requests took %d round trips", got)
	}
}

// Each request keeps its own deadline while Redis does not answer, however many wait beside it, and when Redis
// answers again, so does the store.
func TestDeadlinesWhileRedisIsFrozen(t *testing.T) {
	server := storetest.Redis(t)
	s := server.Backend(t).Open(t)
	create(t, s, "a")
	server.Freeze()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			patience := time.Duration(1+i%2) * 200 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			start := time.Now()
			if _, err := s.Client(ctx, "a"); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
			if took := time.Since(start); took > patience+2*time.Second {
				t.Errorf("a request with %v of patience took %v", patience, took)
			}
		})
	}
	wg.Wait()
	server.Thaw()
	for deadline := time.Now().Add(5 * time.Second); ; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := s.Client(ctx, "a")
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("5 s after Redis went on: %v", err)
		}
	}
}

// late is a context that has ended, which its waiter has not seen yet.
type late struct {
	context.Context
	ended atomic.Bool
}

func (l *late) Done() <-chan struct{} { return nil }

func (l *late) Err() error {
	if l.ended.Load() {
		return context.Canceled
	}
	return nil
}

// A request whose time is over while it waits is not sent. It must not read that as "not there", or as "saved".
func TestDeadlineIsNeverAVerdict(t *testing.T) {
	var c trips
	s := storetest.Embedded(t).Open(t, counting(&c))
	create(t, s, "a")
	for name, ask := range map[string]func(context.Context) error{
		"read": func(ctx context.Context) error { _, err := s.Client(ctx, "a"); return err },
		"write": func(ctx context.Context) error {
			return s.SaveToken(ctx, store.DigestOf("x"), store.Credential{}, time.Now().Add(time.Hour))
		},
	} {
		before, release := c.n.Load(), c.held()
		for range store.MaxFlights {
			go func() { _, _ = s.Client(t.Context(), "a") }()
		}
		for c.n.Load() < before+store.MaxFlights {
			runtime.Gosched()
		}
		ctx := &late{Context: t.Context()}
		answer := make(chan error, 1)
		go func() { answer <- ask(ctx) }()
		waitFor(t, s, 1)
		ctx.ended.Store(true)
		release()
		if err := <-answer; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
		for !s.Idle() {
			runtime.Gosched()
		}
	}
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
	s := storetest.Embedded(t).Open(t, func(o *store.Options) {
		before := o.Instrument
		o.Instrument = func(rdb redis.UniversalClient) {
			if before != nil {
				before(rdb)
			}
			rdb.AddHook(broken{})
		}
	})
	if _, _, err := s.ClientAndCredential(t.Context(), "a", store.DigestOf("x")); !errors.Is(err, store.ErrUnavailable) {
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

// A panic is the request's own: later requests find the flight free, and those that shared it get an error.
func TestPanicLeavesFlightsFree(t *testing.T) {
	var c trips
	h := &panics{}
	s := storetest.Embedded(t).Open(t, counting(&c), func(o *store.Options) {
		before := o.Instrument
		o.Instrument = func(rdb redis.UniversalClient) { before(rdb); rdb.AddHook(h) }
	})
	create(t, s, "a")
	read := func() (panicked any, err error) {
		defer func() { panicked = recover() }()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err = s.Client(ctx, "a")
		return nil, err
	}
	before, release := c.n.Load(), c.held()
	h.left.Store(store.MaxFlights + 1) // those that go alone, and the one that others share
	var wg sync.WaitGroup
	for range store.MaxFlights {
		wg.Go(func() {
			if panicked, err := read(); panicked == nil {
				t.Errorf("alone: got %v, want a panic", err)
			}
		})
	}
	for c.n.Load() < before+store.MaxFlights {
		runtime.Gosched()
	}
	for range 3 {
		wg.Go(func() {
			if _, err := read(); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("together: got %v, want ErrUnavailable", err)
			}
		})
	}
	waitFor(t, s, 3)
	release()
	wg.Wait()
	for deadline := time.Now().Add(5 * time.Second); !s.Idle(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("a flight was not given up")
		}
	}
	if panicked, err := read(); err != nil || panicked != nil {
		t.Errorf("after the panics: %v, %v", err, panicked)
	}
}
