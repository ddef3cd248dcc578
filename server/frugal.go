package server

import (
	"net"
	"sync"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// refusalLimit is how long a caller who is refused may keep the descriptor, however slow he is.
const refusalLimit = time.Second

// frugalListener accepts callers for whom there is no file descriptor too, with the spare ones, and hands their connections
// to refuse.
type frugalListener struct {
	net.Listener
	spare  *store.Spare
	refuse func(net.Conn)
}

// Accept returns the next connection for which there is a descriptor beside the spare ones.
func (l *frugalListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case store.OutOfFiles(err):
			l.spare.Release()
		case err != nil:
			return nil, err
		case l.spare.Admit():
			return c, nil
		default:
			l.refuse(newRefusedConn(c, l.spare))
		}
	}
}

// refusedConn gives its descriptor back to those that are spare.
type refusedConn struct {
	net.Conn
	close func() error
}

func newRefusedConn(c net.Conn, spare *store.Spare) *refusedConn {
	end := sync.OnceValue(func() error { return spare.TakeBack(c) })
	limit := time.AfterFunc(refusalLimit, func() { _ = end() })
	return &refusedConn{c, func() error {
		limit.Stop()
		return end()
	}}
}

// Close closes the connection.
func (c *refusedConn) Close() error { return c.close() }
