package redisdb

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// The time that Redis has for one step. A request has 1.5 s of store time in all, given by its context; these are
// shorter, so that one broken connection or one lost node does not use it up, and so that work in the background, which
// has no deadline of its own, is bounded too. go-redis's own values would let one command on a black-holed Redis take
// more than a minute: 5 s a dial, 5 dials, 4 tries.
const (
	dialTimeout  = 500 * time.Millisecond // with the TLS handshake
	replyTimeout = 600 * time.Millisecond // for one write, and for one read
	poolTimeout  = 500 * time.Millisecond // for a connection to become free
)

// slotsEvery is how often a cluster in use is asked which node has which slots. A node that runs tells where its slots
// went; one that died does not, and the library would look for them at its old place for a minute.
const slotsEvery = 2 * time.Second

// DialFunc makes a connection, as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// newClient makes the client for a target. It connects to nothing yet. adjust changes its settings.
func newClient(t target, from Options, by *credentials, adjust ...func(*redis.UniversalOptions)) redis.UniversalClient {
	o := clientOptions()
	for _, f := range adjust {
		f(o)
	}
	o.Addrs = t.addrs
	o.CredentialsProviderContext = by.provide
	o.SentinelUsername, o.SentinelPassword = t.sentinelUser, t.sentinelPassword
	o.MasterName = t.master
	o.DB = t.db
	o.OnConnect = func(ctx context.Context, conn *redis.Conn) error {
		if err := identify(ctx, conn); err != nil || from.OnConnect == nil {
			return err
		}
		return from.OnConnect(ctx, conn)
	}

	// The server name that a certificate is checked against is, unless the URL gives one, the host
	// of each address that is dialled: the nodes of a cluster may each have their own.
	o.TLSConfig = t.tls
	if from.Dial != nil {
		o.Dialer = from.Dial(redis.NewDialer(o.Simple()))
	}

	// redis.NewUniversalClient would guess the kind from the number of addresses, and take a
	// cluster with one seed for a single server, which works until the first MOVED.
	switch t.kind {
	case cluster:
		c := o.Cluster()
		c.ClusterStateReloadInterval = slotsEvery
		return redis.NewClusterClient(c)
	case sentinel:
		return redis.NewFailoverClient(o.Failover())
	default:
		return redis.NewClient(o.Simple())
	}
}

// clientOptions are the settings that all kinds of client have in common.
func clientOptions() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		ClientName: "mintkeep", // what CLIENT LIST shows an operator

		// Without this a context's deadline is looked at between commands only, and a Redis that
		// hangs holds a request until the read timeout.
		ContextTimeoutEnabled: true,
		DialTimeout:           dialTimeout,
		ReadTimeout:           replyTimeout,
		WriteTimeout:          replyTimeout,
		PoolTimeout:           poolTimeout,

		// One retry, which is what it takes when Redis was restarted and the pool is full of broken
		// connections. It is for reads: a write is sent once, see the type once. A cluster's client has its own
		// loop, with MaxRedirects for a limit.
		MaxRetries:         1,
		MinRetryBackoff:    5 * time.Millisecond,
		MaxRetryBackoff:    50 * time.Millisecond,
		MaxRedirects:       2,
		DialerRetries:      1,
		DialerRetryTimeout: 10 * time.Millisecond,

		// Commands are short and so are the records: the library's buffers of 32 KiB a direction
		// would be most of what a connection costs. Pipelines use the same pool as commands:
		// the separate one that the library would make has 10 connections, which would be the
		// bottleneck of every introspection.
		PoolSize:         max(32, 10*runtime.GOMAXPROCS(0)),
		PipelinePoolSize: -1,

		// The connection that was idle longest is next. So the heartbeat uses each of them in turn, and finds the one that
		// leads to a former primary.
		PoolFIFO: true,

		ReadBufferSize:  8 << 10,
		WriteBufferSize: 8 << 10,

		// Connections move away from a node that was drained behind a changed address. The jitter
		// keeps a fleet of replicas from doing so together.
		ConnMaxLifetime:       30 * time.Minute,
		ConnMaxLifetimeJitter: 5 * time.Minute,

		// Nothing here needs RESP3, the push messages that come with it, CLIENT SETINFO or Redis
		// Enterprise's maintenance notices, for which the library would look up the host's name
		// while the client is made. What is not asked cannot fail.
		Protocol:                 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// logThrough sends the messages of the Redis client to l instead of to stderr. The client has one
// logger for the whole process, so the DB opened last has it. Debug level, because a Redis that
// is down says so at every dial, and every request that suffers from it has its own line anyway.
func logThrough(l *slog.Logger) { redis.SetLogger(clientLog{l}) }

type clientLog struct{ *slog.Logger }

func (l clientLog) Printf(ctx context.Context, format string, args ...any) {
	if l.Enabled(ctx, slog.LevelDebug) {
		l.DebugContext(ctx, "redis client", "message", withoutArgs(fmt.Sprintf(format, args...)))
	}
}
