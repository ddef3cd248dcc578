package store

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options say which backend to open and what surrounds it.
type Options struct {
	// URL of the Redis, with its credentials; the forms are at [Open]. Empty: the embedded store,
	// which lives in this process's memory and ends with it.
	URL string

	// Durability is what must hold before an end or a change is answered with success. The embedded store, which
	// lasts as long as this process, heeds none.
	Durability Durability

	// Now is the clock of everything that is reckoned in this process, and of the embedded
	// store's expiry. A real Redis ages its keys by its own. Nil: time.Now.
	Now func() time.Time

	// Logger gets what the Redis client has to say, at debug level. Nil: slog.Default.
	Logger *slog.Logger

	// Observe is told of each command and each pipeline when it is over: its name ("hgetall",
	// "pipeline", "multi", or "dial" for a new connection; a small fixed set), how long it took
	// and what went wrong. An absent key and a lost race are answers, not errors. May be nil.
	Observe func(cmd string, d time.Duration, err error)

	// Dial is given the function by which this store connects to Redis, and returns the one to use instead. Nil: no
	// change.
	Dial func(DialFunc) DialFunc

	// Instrument is given the client before its first use, to add hooks to it: for tests that
	// watch the commands, and for tracing. May be nil.
	Instrument func(redis.UniversalClient)
}

// DialFunc makes a connection, as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Store is the one place where Mintkeep keeps anything. It is safe for concurrent use, and any number
// of them may share one Redis.
type Store struct {
	rdb    redis.UniversalClient
	target target // where rdb leads; nowhere when embedded
	now    func() time.Time
	log    *slog.Logger

	// embedded is whether rdb is served by mem, in this process.
	embedded bool
	mem      *memory

	durability   Durability
	confirming   chan struct{} // has one for each confirmation that is under way
	waitsForDisk atomic.Bool   // Redis does not write to its disk before it answers; WAITAOF waits for that

	epoch *epoch // nil when embedded: what is in this process is never behind it

	batch   batcher
	uses    uses
	tallies tallies
	swept   int64 // how far sweepKeys has come; only Run's

	reserving [32]sync.Mutex // by the last character of who keys are made for
	failures  counters       // of authentications, and
	calls     counters       // of clients with a rate, where Redis does not count them

	close sync.Once
}

// Open makes a Store from the URL in opts:
//
//	(empty)                                          the embedded store
//	redis://[[user]:password@]host[:port][/db]       one server
//	redis+sentinel://[…@]host[:port],…/master        a primary that Sentinels name; ?db=
//	redis+cluster://[…@]host[:port],…                a cluster, found by any of its nodes
//
// and the same with rediss for TLS. It does not wait for Redis, nor even look whether it is there,
// so that a server may start before its Redis does; [Store.Ping] tells. The only error is a bad URL,
// and it never quotes the URL.
func Open(opts Options) (*Store, error) {
	s := &Store{now: opts.Now, log: opts.Logger, tallies: newTallies()}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	logThrough(s.log)

	s.confirming = make(chan struct{}, maxConfirming)
	if opts.URL == "" {
		s.embedded = true
		s.mem = startMemory(s.now)
		s.rdb = s.mem.client()
	} else {
		s.epoch = newEpoch(s.log, s.now)
		rdb, err := dial(opts.URL, opts.Dial, s.epoch.connected)
		if err != nil {
			return nil, err
		}
		s.rdb, s.durability = rdb, opts.Durability
		s.target, _ = parseURL(opts.URL) // which dial could read
		s.epoch.guard(rdb)
	}
	s.batch.rdb, s.batch.apart = s.rdb, s.target.kind == cluster
	s.rdb.AddHook(unanswered{})
	if opts.Observe != nil {
		s.rdb.AddHook(observer(opts.Observe))
	}
	if opts.Instrument != nil {
		opts.Instrument(s.rdb)
	}
	return s, nil
}

// Close drops every connection, and with the embedded store everything that was in it. It may be
// called again. Operations still under way end with ErrUnavailable.
func (s *Store) Close() error {
	var err error
	s.close.Do(func() {
		err = s.rdb.Close()
		if s.mem != nil {
			s.mem.stop()
		}
	})
	return err
}

// Ping tells whether the store can answer: nil, or an error that matches ErrUnavailable.
//
// It asks after a key, where a PING would do for one server, because every node of a cluster that
// has lost its slots, and a replica without its primary, still answers PING.
func (s *Store) Ping(ctx context.Context) error {
	return unavailable("ping", s.rdb.Exists(ctx, "mk:ping").Err())
}

// Embedded is whether the store lives in this process and ends with it.
func (s *Store) Embedded() bool { return s.embedded }

// Age drops at once what has expired in the embedded store, and is nothing to a real Redis. The
// store sees to it by itself, some times a second; it is for a test that has moved the clock.
func (s *Store) Age() {
	if s.mem != nil {
		s.mem.age()
	}
}

// PoolStats is the state of the connections to Redis: the first three count since the start, the
// others are of this moment.
type PoolStats struct {
	Hits     uint32 // a free connection was there
	Misses   uint32 // a new one had to be made
	Timeouts uint32 // none became free in time

	Total uint32 // open connections
	Idle  uint32 // of these, not in use
	Stale uint32 // closed since the start for being old or broken
}

// PoolStats tells how the connections are doing. Of a cluster, it sums the nodes.
func (s *Store) PoolStats() PoolStats {
	p := s.rdb.PoolStats()
	if p == nil {
		return PoolStats{}
	}
	return PoolStats{
		Hits: p.Hits, Misses: p.Misses, Timeouts: p.Timeouts,
		Total: p.TotalConns, Idle: p.IdleConns, Stale: p.StaleConns,
	}
}
