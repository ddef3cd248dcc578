package redisdb

import (
	"context"
	"net"
	"sync"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// connections is the go-redis hook that knows the open connections to one address. Behind the address there may be
// another Redis than before: a connection that was dialled earlier still leads to the old one.
type connections struct {
	mu   sync.Mutex
	open map[*connection]struct{}
}

type connection struct {
	net.Conn
	of *connections
}

// Close closes the connection. The pool does so with each in the end.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// checkedConnection lets the pool see the socket below: it does not reuse a connection that was closed.
type checkedConnection struct {
	*connection
	syscall.Conn
}

// closeAll closes all connections. A command that is under way fails as if Redis had closed them.
func (l *connections) closeAll() {
	l.mu.Lock()
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
}

func (l *connections) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open == nil {
			l.open = map[*connection]struct{}{}
		}
		dialled := &connection{conn, l}
		l.open[dialled] = struct{}{}
		if below, ok := conn.(syscall.Conn); ok {
			return checkedConnection{dialled, below}, nil
		}
		return dialled, nil
	}
}

func (*connections) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (*connections) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
