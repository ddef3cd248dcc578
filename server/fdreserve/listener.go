package fdreserve

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// rejectionLimit is how long a rejected connection may keep its descriptor, however slow its caller is.
const rejectionLimit = time.Second

// Split divides the connections of l. Those of admitted may be served. Those of rejected use a descriptor of the reserve:
// they are to be answered and closed, and are closed anyway after a second. rejected delivers while admitted is served;
// the caller closes both. The addresses that exempt names may have any number of connections. All listeners of a reserve
// close idle connections for each other, and an address has one share of them all.
func (r *Reserve) Split(l net.Listener, exempt func(netip.Addr) bool) (admitted *Listener, rejected net.Listener) {
	h := &handover{addr: l.Addr(), conns: make(chan net.Conn)}
	h.done, h.stop = context.WithCancel(context.Background())
	return &Listener{l, r, r.conns, exempt, h}, h
}

// Listener accepts connections even if the process has no descriptor for them: it closes idle connections for them, or,
// if none is idle, accepts them with a descriptor of the reserve and passes them on to rejected.
type Listener struct {
	net.Listener
	reserve  *Reserve
	conns    *connections
	exempt   func(netip.Addr) bool
	rejected *handover
}

// ConnState is for the http.Server that serves the listener, which tells by it what connections are idle.
func (l *Listener) ConnState(c net.Conn, to http.ConnState) { l.conns.changed(c, to) }

// Accept returns the next connection for which there is a descriptor outside the reserve.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			c = watched(c)
		}
		switch {
		case Exhausted(err):
			if !l.conns.closeIdle() {
				l.reserve.release()
			}
		case err != nil:
			return nil, err
		case l.admit(c):
			return c, nil
		}
	}
}

// admit is whether c may be served; otherwise it is rejected.
func (l *Listener) admit(c net.Conn) bool {
	if err := l.conns.add(c, l.exempt); err != nil {
		if l.reserve.lend() {
			l.rejected.give(newRejectedConn(c, l.reserve, err))
		} else {
			_ = c.Close() // its address keeps all that reject others busy
		}
		return false
	}
	for !l.reserve.complete() {
		if !l.conns.closeIdle() {
			break
		}
	}
	if l.reserve.admit() {
		return true
	}
	l.conns.changed(c, http.StateClosed)
	l.rejected.give(newRejectedConn(c, l.reserve, errExhausted))
	return false
}

var errExhausted = errors.New("out of file descriptors: more connections than the process may have open files; " +
	"raise the limit (ulimit -n, LimitNOFILE), or add replicas")

// rejectedConn gives its descriptor back to the reserve.
type rejectedConn struct {
	net.Conn
	cause error
	close func() error
}

func newRejectedConn(c net.Conn, reserve *Reserve, cause error) *rejectedConn {
	takeBack := sync.OnceValue(func() error { return reserve.takeBack(c) })
	limit := time.AfterFunc(rejectionLimit, func() { _ = takeBack() })
	return &rejectedConn{c, cause, func() error {
		limit.Stop()
		return takeBack()
	}}
}

// Close closes the connection.
func (c *rejectedConn) Close() error { return c.close() }

// Cause is why a connection of rejected is rejected, for the log; c may be a TLS connection over it.
func Cause(c net.Conn) error {
	if over, ok := c.(*tls.Conn); ok {
		c = over.NetConn()
	}
	return c.(*rejectedConn).cause
}

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
