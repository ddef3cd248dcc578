package storetest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
)

// Backend is where stores keep their records during one test.
type Backend struct {
	// Name is "embedded", "redis" or "cluster".
	Name string
	// Clock is the time of every Store opened here, and ages the records.
	Clock *Clock
	// Server is the process behind it; nil for the embedded store.
	Server *Server

	t         testing.TB
	through   *LateProxy // nil: straight to the server
	impatient bool

	mu  sync.Mutex
	mem *store.Store  // the embedded store, of which there is one
	rdb *redis.Client // to it, unwatched
}

func newBackend(t testing.TB, name string) *Backend {
	return &Backend{Name: name, Clock: NewClock(t), t: t}
}

// Each runs f on every backend, as the subtests "embedded", "redis" and "cluster". The test becomes parallel.
//
// The latter two are shared by the whole test binary: their subtests wait for one another, and each begins with
// nothing stored. f must leave the server as it found it; see [Server.Config].
func Each(t *testing.T, f func(t *testing.T, b *Backend)) {
	t.Helper()
	t.Parallel()
	EachAlone(t, f)
}

// EachAlone is Each for a test that measures the process, such as its goroutines: no other test runs meanwhile.
func EachAlone(t *testing.T, f func(t *testing.T, b *Backend)) {
	t.Helper()
	go sharedCluster.start() // while the others are at work
	t.Run("embedded", func(t *testing.T) { f(t, Embedded(t)) })
	t.Run("redis", func(t *testing.T) { f(t, sharedRedis.backend(t)) })
	t.Run("cluster", func(t *testing.T) { f(t, sharedCluster.backend(t)) })
}

// Embedded is a backend on the embedded store.
func Embedded(t testing.TB) *Backend { return newBackend(t, "embedded") }

var (
	sharedRedis   = &shared{kind: standalone}
	sharedCluster = &shared{kind: cluster}
)

// shared is a server that the tests of this binary have in turn.
type shared struct {
	kind kind

	once sync.Once
	p    *process
	err  error

	inUse sync.Mutex
}

func (s *shared) start() {
	s.once.Do(func() { s.p, s.err = newProcess(s.kind) })
}

func (s *shared) backend(t *testing.T) *Backend {
	t.Helper()
	needRedis(t)
	s.start()
	if s.err != nil {
		t.Fatal(s.err)
	}
	s.inUse.Lock()
	t.Cleanup(s.inUse.Unlock)
	if err := s.p.rdb.FlushAll(context.Background()).Err(); err != nil {
		t.Fatalf("shared %s: %v", s.kind, err)
	}
	return (&Server{t, s.p}).Backend(t)
}

// Impatient has each Store that is opened from now on give up on Redis as soon as a real server does. It is for tests
// in which Redis does not answer. Other stores wait for as long as their context lets them: on a busy machine a Redis
// may take long though nothing is wrong with it.
func (b *Backend) Impatient() *Backend {
	b.impatient = true
	return b
}

// Patient undoes Impatient, for a test that holds what a store sends and has it wait.
func (b *Backend) Patient() *Backend {
	b.impatient = false
	return b
}

// wait makes the timeouts of a client, which was not used yet, those of a test.
func wait(rdb redis.UniversalClient) {
	switch c := rdb.(type) {
	case *redis.Client:
		c.Options().ReadTimeout, c.Options().WriteTimeout = patience, patience
	case *redis.ClusterClient:
		c.Options().ReadTimeout, c.Options().WriteTimeout = patience, patience
	}
}

// URL is what MINTKEEP_REDIS_URL would be: empty for the embedded store.
func (b *Backend) URL() string {
	if b.Server == nil {
		return ""
	}
	if b.through != nil {
		return b.through.URL(b.Server.URL())
	}
	return b.Server.URL()
}

// Through is the same backend for a replica behind the proxy, which is [Backend.Impatient].
func (b *Backend) Through(p *LateProxy) *Backend {
	return &Backend{Name: b.Name, Clock: b.Clock, Server: b.Server, t: b.t, through: p, impatient: true}
}

// Open opens a Store here, on the backend's clock, and closes it when t is over. Opening another is as
// starting another replica; but there is only one embedded store, so there it returns the same again, and
// heeds change the first time only.
func (b *Backend) Open(t testing.TB, change ...func(*store.Options)) *store.Store {
	t.Helper()
	if b.Server == nil {
		return b.openEmbedded(change...)
	}
	s, err := store.Open(b.options(t, change))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (b *Backend) options(t testing.TB, change []func(*store.Options)) store.Options {
	o := store.Options{URL: b.URL(), Now: b.Clock.Now, Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	instrument := o.Instrument
	o.Instrument = func(rdb redis.UniversalClient) {
		rdb.AddHook(slotWatch{t})
		if !b.impatient {
			wait(rdb)
		}
		if instrument != nil {
			instrument(rdb)
		}
	}
	return o
}

// openEmbedded opens the embedded store once for the whole backend, and closes it at its end: another
// replica, opened in a subtest, may still be using it.
func (b *Backend) openEmbedded(change ...func(*store.Options)) *store.Store {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mem != nil {
		return b.mem
	}
	o := b.options(b.t, change)
	instrument := o.Instrument
	o.Instrument = func(rdb redis.UniversalClient) {
		raw := rawOptions("embedded")
		raw.Dialer = rdb.(*redis.Client).Options().Dialer
		b.rdb = redis.NewClient(raw)
		instrument(rdb)
	}
	s, err := store.Open(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = b.rdb.Close()
		_ = s.Close()
	})
	b.Clock.OnAdvance(func(time.Duration) { s.Age() })
	b.mem = s
	return s
}

// Client is a connection to the backend that nothing watches.
func (b *Backend) Client() *redis.Client {
	if b.Server != nil {
		return b.Server.Client()
	}
	b.openEmbedded()
	return b.rdb
}

// Do sends one command, as redis-cli would, and returns the reply; nil if there is nothing. An error fails
// the test.
func (b *Backend) Do(args ...any) any {
	b.t.Helper()
	reply, err := b.Client().Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		b.t.Fatalf("%v: %v", args, err)
	}
	return reply
}

// ageServer makes every record of a real Redis d older, or removes it if it has not so long to live. A server
// that is down or frozen cannot be aged; a test that needs both revives it first.
func (b *Backend) ageServer(d time.Duration) {
	b.t.Helper()
	if p := b.Server.p; !p.running() || p.frozen || p.kind == sentinel {
		return
	}
	ctx, rdb := context.Background(), b.Client()
	err := forEachKey(ctx, rdb, func(key string) error {
		ttl, err := rdb.PTTL(ctx, key).Result()
		switch {
		case err != nil || ttl < 0: // gone meanwhile, or without an end
			return err
		case ttl <= d:
			return rdb.Unlink(ctx, key).Err()
		default:
			return rdb.PExpire(ctx, key, ttl-d).Err()
		}
	})
	if err != nil && !redis.IsReadOnlyError(err) { // a Redis replica ages with its primary
		b.t.Errorf("ageing the %s by %v: %v", b.Name, d, err)
	}
}
