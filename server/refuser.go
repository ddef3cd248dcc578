package server

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
)

// refusalPatience is for the request of a caller who is refused. It comes with the connection, as a rule, and others
// wait for the descriptor.
const refusalPatience = 200 * time.Millisecond

// refuser answers those for whom there is no descriptor: probes as ever, all others with 503.
func (s *Server) refuser() *http.Server {
	hs := s.httpServer()
	hs.ReadHeaderTimeout, hs.ReadTimeout = refusalPatience, refusalPatience
	hs.BaseContext = func(net.Listener) context.Context { return web.WithoutFiles(context.Background()) }
	hs.SetKeepAlivesEnabled(false)
	return hs
}

// handover is a listener to the connections that it is given.
type handover struct {
	addr  net.Addr
	conns chan net.Conn
	done  context.Context
	Stop  context.CancelFunc
}

func newHandover(addr net.Addr) *handover {
	h := &handover{addr: addr, conns: make(chan net.Conn)}
	h.done, h.Stop = context.WithCancel(context.Background())
	return h
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

// Close ends Accept.
func (h *handover) Close() error {
	h.Stop()
	return nil
}

// Addr is that of the listener that they come from.
func (h *handover) Addr() net.Addr { return h.addr }
