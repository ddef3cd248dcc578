package store

import (
	"context"
	"net"
	"sync"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// lines is the go-redis hook that knows the open connections to one address. Behind it there may be another Redis than
// there was: what was dialled before then still leads to the old one, and only a new connection finds the new one.
type lines struct {
	mu   sync.Mutex
	open map[*line]struct{}
}

// line is one of them.
type line struct {
	net.Conn
	of *lines
}

// Close drops the connection. The pool does so with each in the end.
func (l *line) Close() error {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	return l.Conn.Close()
}

// visibleLine is a line that the pool can look at, as it can at what is below it: it takes none that has been closed.
type visibleLine struct {
	*line
	syscall.Conn
}

// hangUp drops all connections. Whoever is in the middle of something is told so, as if Redis had done it.
func (l *lines) hangUp() {
	l.mu.Lock()
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for line := range open {
		_ = line.Conn.Close()
	}
}

func (l *lines) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open == nil {
			l.open = map[*line]struct{}{}
		}
		dialled := &line{conn, l}
		l.open[dialled] = struct{}{}
		if below, ok := conn.(syscall.Conn); ok {
			return visibleLine{dialled, below}, nil
		}
		return dialled, nil
	}
}

func (*lines) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (*lines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
