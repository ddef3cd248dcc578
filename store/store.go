package store

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// Options say which backend to open and what surrounds it.
type Options struct {
	// URL of the Redis, with its credentials; the forms are at [redisdb.Open]. Empty: the embedded store,
	// which is in this process's memory and is lost with it.
	URL string

	// Durability is what must hold before a revocation or a change is answered with success. The embedded store, which
	// lasts as long as this process, ignores it.
	Durability config.Durability

	// Feed appends what each revocation voids to the feed, for guards. CountVoid is told of each void that is appended, by
	// what it is of; it may be nil.
	Feed      bool
	CountVoid func(kind string)

	// Now is the clock of everything that is computed in this process, and of the embedded
	// store's expiry. A real Redis ages its keys by its own. Nil: time.Now.
	Now func() time.Time

	// Logger gets the messages of the store, and at debug level those of the Redis client. Nil: slog.Default.
	Logger *slog.Logger

	// Observe, Trace, Instrument and Dial: see [redisdb.Options]. They may be nil.
	Observe    func(cmd string, d time.Duration, err error)
	Trace      func(ctx context.Context, r redisdb.RoundTrip) (end func(error))
	Instrument func(redis.UniversalClient)
	Dial       func(redisdb.DialFunc) redisdb.DialFunc
}

// Store is the one place where Mintkeep keeps anything. It is safe for concurrent use, and any number
// of them may share one Redis.
type Store struct {
	db      *redisdb.DB
	rdb     redis.UniversalClient // of db
	monitor *rollback.Monitor     // nil when embedded: what is in this process cannot be rolled back
	feed    *feed.Feed            // nil: none
	onVoid  func(kind string)
	now     func() time.Time
	log     *slog.Logger

	credentials credentials
	decoded     decoded
	uses        uses
	rejected    rejectedUses
	statistics  statistics

	clientCounts clientCounts

	swept       int64          // how far sweepKeys has come; only Run's
	sweptLate   int64          // how many expired keys sweepExpired has left among the active ones; likewise
	sweptClient string         // how far sweepSecrets has come; likewise
	sweptWords  [2]string      // how far sweepDirectories has come with clients and with users; likewise
	creating    [32]sync.Mutex // by the last character of the id of the user whose key is created
	releasing   sync.Mutex     // of an email, see releaseEmail
	unknown     unknownLimit   // of revocations of what is not found
	failures    counters       // of authentications, and
	calls       counters       // of clients with a rate, where Redis does not count them
	replays     replays        // where Redis does not have them
}

// Open makes a Store from the URL in opts. It connects to nothing yet, so that a server may start before its Redis
// does; [Store.Ping] tells. The only error is a bad URL, and it never quotes the URL.
func Open(opts Options) (*Store, error) {
	s := &Store{now: opts.Now, log: opts.Logger, onVoid: opts.CountVoid, statistics: newStatistics()}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	o := redisdb.Options{
		URL: opts.URL, Durability: opts.Durability, Now: s.now, Logger: s.log,
		Observe: opts.Observe, Trace: opts.Trace, Instrument: opts.Instrument, Dial: opts.Dial,
	}
	if opts.URL != "" {
		s.monitor = s.newMonitor(opts.Feed)
		o.Hook, o.OnConnect = s.monitor.Hook(), s.monitor.Connected
	}
	var err error
	if s.db, err = redisdb.Open(o); err != nil {
		return nil, err
	}
	s.rdb = s.db.Client
	s.credentials = credentials{s.db.IsEmbedded()}
	if s.monitor != nil {
		s.monitor.Attach(s.db)
	}
	if opts.Feed {
		s.feed = s.newFeed()
	}
	return s, nil
}

func (s *Store) newMonitor(feeds bool) *rollback.Monitor {
	o := rollback.Options{Key: epochKey, FenceKey: fenceKey, ExistsField: metaField, Logger: s.log, Now: s.now}
	if feeds {
		o.Announce = s.appendAgain
		o.Announced = func(ctx context.Context, appends []redis.Cmder) error {
			return s.appended(redisdb.WithoutBarrier(ctx), "append to the feed again", appends)
		}
		o.OnLoss = func() { s.feed.Break() }
	}
	return rollback.New(o)
}

// Close closes every connection, and with the embedded store everything that was in it. It may be
// called again. Operations still under way fail with ErrUnavailable.
func (s *Store) Close() error {
	if s.feed != nil {
		_ = s.feed.Close()
	}
	return s.db.Close()
}

// Ping tells whether the store can answer: nil, or an error that matches ErrUnavailable.
//
// It asks after a key, where a PING would do for one server, because every node of a cluster that
// has lost its slots, and a replica without its primary, still answers PING.
func (s *Store) Ping(ctx context.Context) error {
	return unavailable("ping", s.rdb.Exists(ctx, absentKey).Err())
}

// Embedded is whether the store runs in this process, whose end loses its data.
func (s *Store) Embedded() bool { return s.db.IsEmbedded() }

// Quarantined is whether every call fails with ErrQuarantined.
func (s *Store) Quarantined() bool { return s.monitor != nil && s.monitor.IsQuarantined() }

// BreakerStates are the states of the circuit breaker in front of Redis, as package rollback explains them. In all but the
// first, every call fails.
var BreakerStates = []string{
	string(rollback.Closed), string(rollback.Checking), string(rollback.Replaying), string(rollback.Uncovered), string(rollback.Quarantined),
}

// Breaker is the state of the circuit breaker.
func (s *Store) Breaker() string {
	if s.monitor == nil {
		return string(rollback.Closed)
	}
	return string(s.monitor.State())
}

// MemoryUsed is the used memory of Redis by its maxmemory, of the fullest primary. known is false if no primary has a limit.
func (s *Store) MemoryUsed(ctx context.Context) (ratio float64, known bool, err error) {
	return s.db.MemoryUsed(ctx)
}

// ReplaceCredentials has new connections to Redis authenticate by the user and the password of url, and tells whether they
// are others. The error says why not: url leads to another Redis, or Redis rejects them.
func (s *Store) ReplaceCredentials(ctx context.Context, url string) (changed bool, err error) {
	return s.db.ReplaceCredentials(ctx, url)
}

// CheckDurability says beforehand whether Redis can give what [Options.Durability] asks for: nil, ErrUnavailable if it
// could not be asked, or ErrDurability.
func (s *Store) CheckDurability(ctx context.Context) error { return s.db.CheckDurability(ctx) }

// KeepsLog says whether Redis keeps an append-only file. ErrUnavailable if it may not be asked.
func (s *Store) KeepsLog(ctx context.Context) (bool, error) { return s.db.KeepsLog(ctx) }

// CheckKill says whether a command of this store whose answer it has given up can be stopped: nil, or an error that matches
// [redisdb.ErrKill] or [ErrUnavailable]. See [redisdb.DB.CheckKill].
func (s *Store) CheckKill(ctx context.Context) error { return s.db.CheckKill(ctx) }

// PoolStats tells the state of the connections to Redis.
func (s *Store) PoolStats() redisdb.PoolStats { return s.db.PoolStats() }

// Address is where the store is, as text for a log or a page: the hosts, and never a password. Empty: in this process.
func (s *Store) Address() string { return s.db.Address() }

// Age drops at once what has expired in the embedded store, and does nothing to a real Redis. The
// store does so by itself, up to four times a second; it is for a test that has moved the clock.
func (s *Store) Age() {
	s.db.Age()
	s.replays.sweep(s.now())
}
