package redisdb

import (
	"bytes"
	"context"
	"errors"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// connections is the go-redis hook that knows the connections to one address: those that are open, and those that were
// closed before everything was answered. Behind the address there may be another Redis than before: a connection that
// was dialled earlier still leads to the old one.
type connections struct {
	client *redis.Client // whose connections they are

	mu   sync.Mutex
	open map[*connection]struct{}
	lost []identity

	settling chan struct{} // has one while CLIENT KILL is under way
	failedAt atomic.Int64  // when CLIENT KILL was not answered, in nanoseconds since 1970; 0: the last one was
}

// connection is one connection. One goroutine at a time calls Read and Write; any may call Close.
type connection struct {
	net.Conn
	of *connections

	asked  bool   // CLIENT INFO was sent, and its answer is awaited
	answer []byte // what came since

	who    atomic.Pointer[identity] // nil: not known
	readAt atomic.Int64             // when the last read ended, in nanoseconds since started
	failed atomic.Bool              // reading or writing has failed: something may be without an answer
}

// clientInfo is CLIENT INFO as it is sent. Each connection begins with it, see identify.
var clientInfo = []byte("*2\r\n$6\r\nclient\r\n$4\r\ninfo\r\n")

var identityPattern = regexp.MustCompile(`\bid=(\d+) addr=(\S+) `)

// parseIdentity reads the answer to CLIENT INFO.
func parseIdentity(info string) (identity, bool) {
	found := identityPattern.FindStringSubmatch(info)
	if found == nil {
		return identity{}, false
	}
	return identity{id: found[1], addr: found[2]}, true
}

// identify asks the server how it knows a connection. The answer passes through [connection.Read], which keeps it: go-redis
// does not tell which connection a command uses. If Redis rejects the question, the connection stays unknown.
func identify(ctx context.Context, conn *redis.Conn) error {
	err := conn.Do(ctx, "client", "info").Err()
	if ErrorPrefix(err) != "" {
		return nil
	}
	return err
}

func (c *connection) Write(b []byte) (int, error) {
	c.asked = c.asked || bytes.Equal(b, clientInfo)
	n, err := c.Conn.Write(b)
	if err != nil {
		c.failed.Store(true)
	}
	return n, err
}

func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.readAt.Store(int64(time.Since(started)))
	if err != nil {
		c.failed.Store(true)
	}
	if c.asked {
		c.listen(b[:n])
	}
	return n, err
}

// listen reads the answer to CLIENT INFO, which is one line.
func (c *connection) listen(b []byte) {
	c.answer = append(c.answer, b...)
	if bytes.Count(c.answer, []byte("\r\n")) < 2 && !bytes.HasPrefix(c.answer, []byte("-")) {
		return
	}
	if who, ok := parseIdentity(string(c.answer)); ok {
		c.who.Store(&who)
	}
	c.asked, c.answer = false, nil
}

// Close closes the connection. The pool does so with each in the end.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	if c.failed.Load() {
		if who := c.who.Swap(nil); who != nil {
			c.of.addUnfinished(*who)
		}
	}
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// isClosed is whether go-redis has closed the client: the server has left the cluster. It sends nothing.
func (l *connections) isClosed() bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return errors.Is(l.client.Ping(ctx).Err(), redis.ErrClosed)
}

// checkAfter is how long after an answer the pool looks whether the server has closed the connection. Under load each
// connection is used again sooner, and the look would cost a busy server 2 % of its processor time.
const checkAfter = time.Millisecond

var started = time.Now()

// checkedConnection lets the pool see the socket below: it does not reuse a connection that was closed.
type checkedConnection struct {
	*connection
	socket syscall.Conn
}

// SyscallConn is what the pool asks for before each use of the connection.
func (c checkedConnection) SyscallConn() (syscall.RawConn, error) {
	if !c.failed.Load() && time.Since(started)-time.Duration(c.readAt.Load()) < checkAfter {
		return justUsed{}, nil
	}
	_ = c.Conn.SetDeadline(time.Time{}) // that of the last use, by which the look would fail
	return c.socket.SyscallConn()
}

// SetDeadline leaves out what the pool asks for before each look, see SyscallConn. Each read and each write sets its own.
func (c checkedConnection) SetDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	return c.Conn.SetDeadline(t)
}

// justUsed is the socket of a connection that is not looked at.
type justUsed struct{}

func (justUsed) Control(func(uintptr)) error    { return nil }
func (justUsed) Read(func(uintptr) bool) error  { return nil }
func (justUsed) Write(func(uintptr) bool) error { return nil }

// closeAll closes all connections. A command that is under way fails as if Redis had closed them.
func (l *connections) closeAll() {
	l.mu.Lock()
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for c := range open {
		c.failed.Store(true) // a command may have been written that is not read yet
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
		dialled := &connection{Conn: conn, of: l}
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
