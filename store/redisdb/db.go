package redisdb

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
)

// Options say which Redis to open and what surrounds it.
type Options struct {
	// URL of the Redis, with its credentials; the forms are at [Open]. Empty: the embedded one, which is in this
	// process's memory and is lost with it.
	URL string

	// Durability is what must hold before a deletion or a transaction is answered with success. The embedded Redis,
	// which lasts as long as this process, ignores it.
	Durability config.Durability

	// Now is the clock of the embedded Redis's expiry. A real one ages its keys by its own. Nil: time.Now.
	Now func() time.Time

	// Logger gets the messages of the Redis client, at debug level. Nil: slog.Default.
	Logger *slog.Logger

	// Observe is told of each command and each pipeline when it is over: its name ("hgetall", "pipeline", "multi", or
	// "dial" for a new connection; a small fixed set), how long it took and what went wrong. An absent key and a lost
	// race are answers, not errors. May be nil.
	Observe func(cmd string, d time.Duration, err error)

	// Trace is told of each round trip before it begins, under the context of the request that it serves, and returns what is
	// called when it is over, with what went wrong; nil: nothing is. May be nil.
	Trace func(ctx context.Context, r RoundTrip) (end func(error))

	// Instrument is given the client before its first use, to add hooks to it: for tests that watch the commands. May be nil.
	Instrument func(redis.UniversalClient)

	// Dial wraps the function that dials a real Redis, for a process that keeps file descriptors back. May be nil.
	Dial func(DialFunc) DialFunc

	// OnConnect is shown each new connection to a real Redis before its first command. With an error the connection
	// is not used. May be nil.
	OnConnect func(context.Context, *redis.Conn) error

	// Hook stands before everything else that goes through the client of a real Redis. May be nil.
	Hook redis.Hook
}

// DB is one Redis. It is safe for concurrent use, and any number of them may share one server.
type DB struct {
	// Client sends commands as they are. What it returns has not been through [Unavailable].
	Client redis.UniversalClient

	options     Options
	target      target // where Client leads; empty when embedded
	credentials credentials
	memory      *memory
	now         func() time.Time
	durability  config.Durability
	barriers    chan struct{} // has one for each transaction with a barrier that is under way
	groups      groups
	batch       batcher
	close       sync.Once

	mu          sync.Mutex
	connections []*connections // one, and in a cluster one for each server
}

// Open makes a DB from the URL in o:
//
//	(empty)                                          the embedded Redis
//	redis://[[user]:password@]host[:port][/db]       one server
//	redis+sentinel://[…@]host[:port],…/master        a primary that Sentinels name; ?db=
//	redis+cluster://[…@]host[:port],…                a cluster, found by any of its nodes
//
// and the same with rediss for TLS. It connects to nothing yet, so that a server may start before its Redis
// does. The only error is a bad URL, and it never quotes the URL.
func Open(o Options) (*DB, error) {
	db := &DB{options: o, now: o.Now, barriers: make(chan struct{}, maxBarriers)}
	if db.now == nil {
		db.now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	logThrough(o.Logger)
	if o.URL == "" {
		db.memory = startMemory(db.now)
		db.Client = db.memory.client()
	} else if err := db.dial(o); err != nil {
		return nil, err
	}
	db.batch.client, db.batch.apart, db.batch.trace = db.Client, db.IsCluster(), db.beginShared
	db.Client.AddHook(unanswered{})
	if o.Observe != nil {
		db.Client.AddHook(observer(o.Observe))
	}
	if o.Trace != nil {
		if !db.IsCluster() { // where the client of each node has the hook
			db.Client.AddHook(traced{o.Trace, db.server()})
		}
	}
	if o.Instrument != nil {
		o.Instrument(db.Client)
	}
	db.Client.AddHook(sendOnce{db}) // the last one: the others see commands as their callers made them
	return db, nil
}

// dial makes the client of a real Redis, with the hooks that stand before all others.
func (db *DB) dial(o Options) (err error) {
	if db.target, err = parseURL(o.URL); err != nil {
		return err
	}
	db.durability = o.Durability
	db.credentials.current.Store(&login{db.target.user, db.target.password})
	db.Client = newClient(db.target, o, &db.credentials)
	if o.Hook != nil {
		db.Client.AddHook(o.Hook)
	}
	switch client := db.Client.(type) {
	case *redis.Client:
		db.addConnections(client)
	case *redis.ClusterClient: // it does a transaction through the client of one node
		client.OnNewNode(func(node *redis.Client) {
			if o.Hook != nil {
				node.AddHook(o.Hook)
			}
			node.AddHook(unanswered{})
			if o.Trace != nil {
				node.AddHook(traced{o.Trace, node.Options().Addr})
			}
			node.AddHook(sendOnce{db})
			db.addConnections(node)
		})
	}
	return nil
}

// addConnections watches the connections of the client of one server. It forgets servers that have left the cluster.
func (db *DB) addConnections(client *redis.Client) {
	l := &connections{client: client, settling: make(chan struct{}, 1)}
	client.AddHook(l)
	db.dropConnections(nil)
	db.mu.Lock()
	defer db.mu.Unlock()
	db.connections = append(db.connections, l)
}

// dropConnections forgets a server, and those whose client go-redis has closed and that have nothing unfinished.
func (db *DB) dropConnections(gone *connections) {
	db.mu.Lock()
	defer db.mu.Unlock()
	kept := make([]*connections, 0, len(db.connections)) // others may read the old one
	for _, l := range db.connections {
		if l != gone && (len(l.unfinished()) > 0 || !l.isClosed()) {
			kept = append(kept, l)
		}
	}
	db.connections = kept
}

// Close closes every connection, and with the embedded Redis everything that was in it. It may be called again.
// Commands that are under way fail with ErrUnavailable.
func (db *DB) Close() error {
	var err error
	db.close.Do(func() {
		err = db.Client.Close()
		if db.memory != nil {
			db.memory.stop()
		}
	})
	return err
}

// IsEmbedded is whether the Redis runs in this process, whose end loses its data.
func (db *DB) IsEmbedded() bool { return db.memory != nil }

// IsCluster is whether the Redis is a cluster, whose keys lie on several servers.
func (db *DB) IsCluster() bool { return db.target.kind == cluster }

// Age drops at once what has expired in the embedded Redis; a real one does so by itself. It is for a test that has
// moved the clock.
func (db *DB) Age() {
	if db.memory != nil {
		db.memory.age()
	}
}

// CloseConnections closes all connections to a server that is not part of a cluster: behind its address there may be
// another Redis by now, and only a new connection finds it. A command that is under way fails.
func (db *DB) CloseConnections() {
	if db.IsCluster() {
		return
	}
	for _, l := range db.servers() {
		l.closeAll()
	}
}

// EachPrimary calls f for every server that takes writes, all at once, and returns one of the errors.
func (db *DB) EachPrimary(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	return eachPrimary(ctx, db.Client, f)
}

func eachPrimary(ctx context.Context, c redis.UniversalClient, f func(context.Context, *redis.Client) error) error {
	if nodes, ok := c.(*redis.ClusterClient); ok {
		return nodes.ForEachMaster(ctx, f)
	}
	return f(ctx, c.(*redis.Client)) // newClient makes no other kind
}

// PoolStats is the state of the connections to Redis. Total and Idle are of this moment; the others count since the
// start.
type PoolStats struct {
	Hits     uint32 // a free connection was there
	Misses   uint32 // a new one had to be made
	Timeouts uint32 // none became free in time

	Total uint32 // open connections
	Idle  uint32 // of these, not in use
	Stale uint32 // closed for being old or broken
}

// PoolStats tells the state of the connections. Of a cluster, it adds up the nodes.
func (db *DB) PoolStats() PoolStats {
	p := db.Client.PoolStats()
	if p == nil {
		return PoolStats{}
	}
	return PoolStats{
		Hits: p.Hits, Misses: p.Misses, Timeouts: p.Timeouts,
		Total: p.TotalConns, Idle: p.IdleConns, Stale: p.StaleConns,
	}
}
