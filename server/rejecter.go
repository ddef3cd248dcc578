package server

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/fdreserve"
	"github.com/mintkeep/mintkeep/server/web"
)

// rejectionTimeout is for the head of a request that is rejected, and once more for its body. They come with the
// connection, as a rule, or one retransmission later, and other callers wait for the descriptor.
const rejectionTimeout = 300 * time.Millisecond

// rejecter answers the callers for whom there is no descriptor, or whose address has its share of them: probes as usual, all others with 503. It speaks no HTTP/2,
// by which a caller may keep a connection without a request.
func (s *Server) rejecter(t *site) *http.Server {
	hs := s.httpServer(t)
	hs.Protocols = new(http.Protocols)
	hs.Protocols.SetHTTP1(true)
	hs.ReadHeaderTimeout, hs.ReadTimeout = rejectionTimeout, 2*rejectionTimeout
	hs.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return web.Rejecting(ctx, fdreserve.Cause(c)) }
	hs.SetKeepAlivesEnabled(false)
	return hs
}
