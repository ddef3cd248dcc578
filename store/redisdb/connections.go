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
	multi  bool   // MULTI was sent, and its answer is awaited

	who    atomic.Pointer[identity] // nil: not known
	readAt atomic.Int64             // when the last read ended, in nanoseconds since started
	failed atomic.Bool              // something may be without an answer, or its answer is not read: nothing more is sent
}

// clientInfo is CLIENT INFO as it is sent. Each connection begins with it, see identify.
var clientInfo = []byte("*2\r\n$6\r\nclient\r\n$4\r\ninfo\r\n")

// multi is MULTI as it is sent, at the head of a transaction. In a cluster ASKING may stand before it: there go-redis itself
// gives up the connection when one of the two is rejected.
const multi = "*1\r\n$5\r\nmulti\r\n"

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
	if c.failed.Load() {
		return 0, net.ErrClosed
	}
	c.asked = c.asked || bytes.Equal(b, clientInfo)
	c.multi = c.multi || len(b) > len(multi) && string(b[:len(multi)]) == multi
	n, err := c.Conn.Write(b)
	if err != nil {
		c.failed.Store(true)
	}
	return n, err
}

// Read reads what Redis has answered. When Redis rejects MULTI, go-redis reads that line, leaves the answers to the rest of
// the transaction unread, and keeps the connection: the next command would get one of them. So nothing more is sent on it.
func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.readAt.Store(int64(time.Since(started)))
	if err != nil || c.multi && n > 0 && b[0] == '-' {
		c.failed.Store(true)
	}
	c.multi = c.multi && n == 0
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

// checkAfter is how long after an answer the pool looks at the socket: whether the server has closed the connection, and
// whether there is an answer that was not read. Under load each connection is used again sooner, and the look would cost a
// busy server 2 % of its processor time. Without it no command gets another's answer: Redis sends nothing unasked to a
// connection with RESP2 that subscribes to nothing, and go-redis keeps no connection with an answer to come, but after a
// rejected MULTI, see [connection.Read].
const checkAfter = time.Millisecond

var started = time.Now()

// checkedConnection lets the pool see the socket below: it does not reuse a connection that has failed or was closed.
type checkedConnection struct {
	*connection
	socket syscall.Conn // nil: it cannot be seen, as with TLS
}

// SyscallConn is what the pool asks for before each use of the connection.
func (c checkedConnection) SyscallConn() (syscall.RawConn, error) {
	if c.failed.Load() {
		return nil, net.ErrClosed
	}
	if c.socket == nil || time.Since(started)-time.Duration(c.readAt.Load()) < checkAfter {
		return notLookedAt{}, nil
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

// notLookedAt is the socket of a connection that is not looked at.
type notLookedAt struct{}

func (notLookedAt) Control(func(uintptr)) error    { return nil }
func (notLookedAt) Read(func(uintptr) bool) error  { return nil }
func (notLookedAt) Write(func(uintptr) bool) error { return nil }

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
		below, _ := conn.(syscall.Conn)
		return checkedConnection{dialled, below}, nil
	}
}

func (*connections) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (*connections) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
