package server

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
)

// refusalPatience is for the head of a request that is refused, and once more for its body. They come with the connection,
// as a rule, or one retransmission later, and others wait for the descriptor.
const refusalPatience = 300 * time.Millisecond

// refuser answers those for whom there is no descriptor: probes as ever, all others with 503. It speaks no HTTP/2, by which
// a caller may keep a connection without asking anything.
func (s *Server) refuser() *http.Server {
	hs := s.httpServer()
	hs.Protocols = new(http.Protocols)
	hs.Protocols.SetHTTP1(true)
	hs.ReadHeaderTimeout, hs.ReadTimeout = refusalPatience, 2*refusalPatience
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
