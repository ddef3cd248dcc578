package fdreserve

import (
	"container/list"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// While at least half of the file descriptors are connections, one address may have an eighth of all, and 64 in any case.
const (
	shareOfAddress = 8
	leastShare     = 64
)

// atRest is how long a connection must have been idle to be closed. The next request of a caller that sends one after
// another is probably on its way already, and would get no answer: it may come from the other side of the world, 300 ms
// away, or from a busy machine.
const atRest = 500 * time.Millisecond

// connections are those that the process serves, of all its listeners: how many each address has, and which of them have no
// request.
type connections struct {
	limit func() int // how many descriptors the process may have open
	now   func() time.Time

	mu   sync.Mutex
	open map[net.Conn]*connection
	from map[netip.Prefix]*caller
	idle list.List // of *connection: those at rest, the one at rest for the longest time first; and some that have a request since
}

// caller is an address, or a /64 of IPv6, with its connections.
type caller struct {
	address netip.Prefix
	open    int
	idle    list.List // of *connection, in the order of connections.idle
}

type connection struct {
	conn   net.Conn
	caller *caller
	busy   atomic.Bool // it has a request
	since  time.Time   // it has been idle, if it is

	// The places in the two lists; nil before the first request is answered.
	place, placeOfCaller *list.Element
}

func newConnections() *connections {
	return &connections{limit: descriptorLimit, now: time.Now, open: map[net.Conn]*connection{}, from: map[netip.Prefix]*caller{}}
}

// add takes c in, after it has closed an idle connection of the same address if that has its share. It is an error when
// the share is used up and none is at rest. An address that exempt names may have any number.
func (s *connections) add(c net.Conn, exempt func(netip.Addr) bool) error {
	address := addressOf(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.caller(address)
	if limit := s.limit(); 2*len(s.open) >= limit && from.open >= max(limit/shareOfAddress, leastShare) && !exempt(address) {
		if !s.closeFirst(&from.idle) {
			return fmt.Errorf("%v has %d connections, its share while half of the file descriptors are in use: if it is a proxy, "+
				"name it in MINTKEEP_TRUSTED_PROXIES", from.address, from.open)
		}
		from = s.caller(address)
	}
	from.open++
	s.from[from.address] = from
	it := &connection{conn: c, caller: from}
	s.open[c] = it
	if over, ok := c.(*conn); ok {
		over.entry = it
	}
	return nil
}

// caller is the one with this address; one that has no connection is new.
func (s *connections) caller(address netip.Addr) *caller {
	bits := address.BitLen()
	if address.Is6() { // a subscriber has a whole /64
		bits = 64
	}
	prefix, _ := address.Prefix(bits) // the zero address, of what is no TCP connection, has the zero prefix
	if known := s.from[prefix]; known != nil {
		return known
	}
	return &caller{address: prefix}
}

// changed is told the state of a connection, or of the TLS connection over it.
func (s *connections) changed(c net.Conn, to http.ConnState) {
	if over, ok := c.(*tls.Conn); ok {
		c = over.NetConn()
	}
	if over, ok := c.(*conn); ok && to == http.StateActive { // at each request, so without the lock
		over.entry.busy.Store(true)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.open[c]
	if it == nil {
		return // closed by closeFirst
	}
	switch to {
	case http.StateActive:
		it.busy.Store(true)
	case http.StateIdle:
		it.busy.Store(false) // only here: closeFirst calls rest for a connection that may have a request by now
		forget(it.conn)      // the server has answered it
		s.rest(it)
	case http.StateClosed, http.StateHijacked:
		s.remove(it)
	}
}

// rest puts a connection at the end of both lists: if it has no request, it is idle from now on.
func (s *connections) rest(it *connection) {
	it.since = s.now()
	if it.place == nil {
		it.place, it.placeOfCaller = s.idle.PushBack(it), it.caller.idle.PushBack(it)
		return
	}
	s.idle.MoveToBack(it.place)
	it.caller.idle.MoveToBack(it.placeOfCaller)
}

// unlist takes a connection out of the lists.
func (s *connections) unlist(it *connection) {
	if it.place != nil {
		s.idle.Remove(it.place)
		it.caller.idle.Remove(it.placeOfCaller)
		it.place, it.placeOfCaller = nil, nil
	}
}

func (s *connections) remove(it *connection) {
	s.unlist(it)
	delete(s.open, it.conn)
	if it.caller.open--; it.caller.open == 0 {
		delete(s.from, it.caller.address)
	}
}

// closeIdle closes the connection that has been idle for the longest time, which frees its descriptor. It is false when
// none is at rest.
func (s *connections) closeIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeFirst(&s.idle)
}

// closeFirst closes the first of the list that is at rest. The server tells that a connection is active only when it has
// read the whole head of a request. So one that has received something is not closed, and counts as idle from now on. What
// arrives between that check and the close is lost, as it is when an idle timeout passes (RFC 9112 §9.5).
func (s *connections) closeFirst(idle *list.List) bool {
	for first := idle.Front(); first != nil; first = idle.Front() {
		it := first.Value.(*connection)
		if it.busy.Load() { // it leaves the lists only here, so that the start of a request takes no lock
			s.unlist(it)
			continue
		}
		if s.now().Sub(it.since) < atRest { // and so are the others
			return false
		}
		if hasReceived(it.conn) {
			s.rest(it)
			continue
		}
		s.remove(it)
		_ = it.conn.Close()
		return true
	}
	return false
}

// addressOf is the peer's, and the zero address for what is no TCP connection.
func addressOf(c net.Conn) netip.Addr {
	peer, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	return peer.Addr().Unmap().WithZone("")
}
