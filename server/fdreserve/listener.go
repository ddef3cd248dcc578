package fdreserve

import (
	"context"
	"net"
	"sync"
	"time"
)

// rejectionLimit is how long a rejected connection may keep its descriptor, however slow its caller is.
const rejectionLimit = time.Second

// Split divides the connections of l. Those of admitted may be served. Those of rejected use a descriptor of the reserve:
// they are to be answered and closed, and are closed anyway after a second. rejected delivers while admitted is served;
// the caller closes both.
func (r *Reserve) Split(l net.Listener) (admitted, rejected net.Listener) {
	h := &handover{addr: l.Addr(), conns: make(chan net.Conn)}
	h.done, h.stop = context.WithCancel(context.Background())
	return &listener{l, r, h}, h
}

// listener accepts connections even if the process has no descriptor for them, with those of the reserve, and passes
// these connections on to rejected.
type listener struct {
	net.Listener
	reserve  *Reserve
	rejected *handover
}

// Accept returns the next connection for which there is a descriptor outside the reserve.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case Exhausted(err):
			l.reserve.release()
		case err != nil:
			return nil, err
		case l.reserve.admit():
			return c, nil
		default:
			l.rejected.give(newRejectedConn(c, l.reserve))
		}
	}
}

// rejectedConn gives its descriptor back to the reserve.
type rejectedConn struct {
	net.Conn
	close func() error
}

func newRejectedConn(c net.Conn, reserve *Reserve) *rejectedConn {
	takeBack := sync.OnceValue(func() error { return reserve.takeBack(c) })
	limit := time.AfterFunc(rejectionLimit, func() { _ = takeBack() })
	return &rejectedConn{c, func() error {
		limit.Stop()
		return takeBack()
	}}
}

// Close closes the connection.
func (c *rejectedConn) Close() error { return c.close() }

// handover is a listener for the connections that it is given.
type handover struct {
	addr  net.Addr
	conns chan net.Conn
	done  context.Context
	stop  context.CancelFunc
}

func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done.Done():
		_ = c.Close()
	}
}

// Accept returns the next that is given.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done.Done():
		return nil, net.ErrClosed
	}
}

// Close makes Accept return net.ErrClosed.
func (h *handover) Close() error {
	h.stop()
	return nil
}

// Addr is the address of the listener that the connections come from.
func (h *handover) Addr() net.Addr { return h.addr }
