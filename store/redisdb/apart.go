package redisdb

import (
	"context"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Apart is a client with one connection of its own, for a command that blocks. It sends nothing twice. onConnect is shown
// each new connection, of a real Redis only. The caller closes the client. redial closes its connection, so that the next
// command dials: behind the address there may be another Redis by now. A cluster says so by itself.
func (db *DB) Apart(onConnect func(context.Context, *redis.Conn) error) (client redis.UniversalClient, redial func()) {
	if db.memory != nil {
		return db.memory.client(), func() {}
	}
	o := db.options
	o.OnConnect = onConnect
	c := newClient(db.target, o, &db.credentials, func(c *redis.UniversalOptions) {
		c.PoolSize, c.MaxRetries = 1, -1
	})
	addHooks := func(c redis.UniversalClient) {
		if o.Hook != nil {
			c.AddHook(o.Hook)
		}
		c.AddHook(unanswered{})
	}
	if nodes, ok := c.(*redis.ClusterClient); ok { // of which the caller uses the client of one node
		nodes.OnNewNode(func(node *redis.Client) { addHooks(node) })
		return c, func() {}
	}
	last := &lastConnection{}
	c.AddHook(last)
	addHooks(c)
	return c, last.close
}

// lastConnection is the go-redis hook that knows the connection that was dialled last.
type lastConnection struct {
	mu   sync.Mutex
	conn net.Conn // nil: there is none
}

func (l *lastConnection) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err == nil {
			l.conn = conn
		}
		return conn, err
	}
}

func (l *lastConnection) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}

func (*lastConnection) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (*lastConnection) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
