package fdreserve

import (
	"net"
	"sync/atomic"
)

// conn is an accepted connection that notes when something was received. It has all that a TCP connection can do, which
// net/http looks for.
type conn struct {
	*net.TCPConn
	received atomic.Bool // since this was last false
	entry    *connection // what connections has of it; set before it is served
}

// watched is c, noting what it receives if it is a TCP connection.
func watched(c net.Conn) net.Conn {
	if over, ok := c.(*net.TCPConn); ok {
		return &conn{TCPConn: over}
	}
	return c
}

// Read reads from the connection.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if n > 0 {
		c.received.Store(true)
	}
	return n, err
}

// forget is for the time when all that was received is answered.
func forget(c net.Conn) {
	if c, ok := c.(*conn); ok {
		c.received.Store(false)
	}
}

// hasReceived is whether something was received since the last call, or since forget. What lies in the socket is looked for
// first: it may be read at any moment.
func hasReceived(c net.Conn) bool {
	it, ok := c.(*conn)
	if !ok {
		return false
	}
	return unread(it.TCPConn) || it.received.Swap(false)
}
