package password

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
)

const (
	// placesPerNetwork is how many callers of one network may wait: about as many as get their turn in a request's time.
	placesPerNetwork = 50
	// mostNetworks bounds the queue.
	mostNetworks = 1000
)

var errQueueFull = errors.New("too many sign-ins are waiting for a password hash")

// queue admits callers to the few hashes that are computed at once. The networks of those who wait take turns, so that a
// flood from one network, which may have many addresses, delays the others by one hash.
type queue struct {
	free int // hashes that may begin

	mu      sync.Mutex
	waiting map[netip.Prefix][]chan struct{} // closed when the caller's turn comes
	turns   []netip.Prefix                   // the networks in waiting, the next one first
}

// networkOf is what counts as one caller: a /24 of IPv4, a /48 of IPv6, of which a site has one (RFC 6177).
func networkOf(address netip.Addr) netip.Prefix {
	address = address.Unmap()
	bits := 24
	if address.Is6() {
		bits = 48
	}
	network, _ := address.Prefix(bits) // the zero address has the zero network
	return network
}

// enter waits for the turn of a caller, who then calls leave.
func (q *queue) enter(ctx context.Context, from netip.Addr) error {
	network := networkOf(from)
	q.mu.Lock()
	if err := ctx.Err(); err != nil {
		q.mu.Unlock()
		return err
	}
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return nil
	}
	ahead := q.waiting[network]
	if len(ahead) >= placesPerNetwork || len(ahead) == 0 && len(q.turns) >= mostNetworks {
		q.mu.Unlock()
		return errQueueFull
	}
	if len(ahead) == 0 {
		q.turns = append(q.turns, network)
	}
	turn := make(chan struct{})
	q.waiting[network] = append(ahead, turn)
	q.mu.Unlock()

	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.remove(network, turn) { // its turn came at the same moment
		q.next()
	}
	return ctx.Err()
}

// leave gives the turn to the next.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next()
}

func (q *queue) next() {
	if len(q.turns) == 0 {
		q.free++
		return
	}
	network := q.turns[0]
	turn := q.waiting[network][0]
	q.remove(network, turn)
	if _, more := q.waiting[network]; more {
		q.turns = append(q.turns[1:], network)
	}
	close(turn)
}

// remove takes a caller out of the queue, and is whether they were in it.
func (q *queue) remove(network netip.Prefix, turn chan struct{}) bool {
	at := slices.Index(q.waiting[network], turn)
	if at < 0 {
		return false
	}
	q.waiting[network] = slices.Delete(q.waiting[network], at, at+1)
	if len(q.waiting[network]) == 0 {
		delete(q.waiting, network)
		q.turns = slices.DeleteFunc(q.turns, func(n netip.Prefix) bool { return n == network })
	}
	return true
}
