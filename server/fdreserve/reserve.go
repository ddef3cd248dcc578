package fdreserve

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// size is how many file descriptors a reserve keeps.
	size = 32
	// forCallers of them are for rejections, one for each connection. The others are for Redis.
	forCallers = 24
	// perDial is what a dial may need at once, to look up or to try both kinds of address. The connection keeps one.
	perDial = 2
	// emptyWait is how long Accept waits when no descriptor is left for a rejection.
	emptyWait = 50 * time.Millisecond
)

// Reserve is a number of file descriptors that a process keeps back. [New] creates one. It is safe for concurrent use.
//
// A descriptor that is given up here can go to any user in the process: a connection may be accepted with one that was
// meant for Redis, or the other way round. So the reserve does not count who got it. It counts what is missing until it
// can be opened again. A caller is served only while nothing is missing, and a connection to Redis is kept only while
// the callers' part is complete.
type Reserve struct {
	fresh func() (*os.File, error) // opens one
	conns *connections

	mu       sync.Mutex
	files    []*os.File
	lent     int           // to connections that are being rejected
	dialling int           // given up for dials in progress
	serving  bool          // a connection was accepted; before that the reserve keeps nothing
	closed   bool          // opens nothing more
	returned chan struct{} // has an element after a rejected connection gave its descriptor back
}

// New creates an empty reserve. It opens its descriptors when the first connection is accepted, and has no more after
// [Reserve.Close].
func New() *Reserve {
	return &Reserve{
		fresh: func() (*os.File, error) { return os.Open(os.DevNull) },
		conns: newConnections(), returned: make(chan struct{}, 1),
	}
}

// release gives a descriptor up, so that the next connection can be accepted. If there is none for callers, it waits
// briefly until one is given back.
func (r *Reserve) release() {
	if r.tryRelease() {
		return
	}
	select {
	case <-r.returned:
	case <-time.After(emptyWait):
	}
}

func (r *Reserve) tryRelease() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lent >= forCallers || len(r.files) == 0 {
		return false
	}
	r.drop()
	return true
}

// admit is whether the connection that was just accepted may be served: nothing is missing. Otherwise its descriptor
// counts as lent until takeBack.
func (r *Reserve) admit() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serving = true
	if r.open() && r.dialling == 0 {
		return true
	}
	r.lent++
	return false
}

// complete is whether no descriptor is missing, after it has opened what it can.
func (r *Reserve) complete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open()
}

// lend counts a connection as rejected that needs no descriptor of the reserve. It is false while as many are being
// rejected as may be at once.
func (r *Reserve) lend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lent >= forCallers {
		return false
	}
	r.lent++
	return true
}

// takeBack closes a rejected connection and opens a descriptor in its place, unless another user is quicker. Both happen
// under the lock: in between, the next connection would seem to have room.
func (r *Reserve) takeBack(conn io.Closer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := conn.Close()
	r.lent--
	r.open()
	select {
	case r.returned <- struct{}{}:
	default:
	}
	return err
}

// DialFunc makes a connection, as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Dialer is dial, which tries once more with what is kept for Redis when the process has no other descriptor. It is for
// the Dial of the store's options.
func (r *Reserve) Dialer(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if n := r.forDial(err); n > 0 {
			conn, err = dial(ctx, network, addr)
			r.dialled(n)
		}
		if err == nil {
			err = r.keep(conn)
		}
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
}

// forDial gives descriptors up for a dial that failed for want of one, as long as the callers' part is complete.
func (r *Reserve) forDial(err error) (n int) {
	if !Exhausted(err) {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; n < perDial && len(r.files) > 0 && len(r.files)+r.lent > forCallers; n++ {
		r.drop()
	}
	r.dialling += n
	return n
}

// dialled opens again what the dial has not used, or not kept.
func (r *Reserve) dialled(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dialling -= n
	r.open()
}

// keep closes a connection to Redis that got the descriptor which was released for a caller, unless callers have enough.
func (r *Reserve) keep(conn io.Closer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.serving || r.open() || len(r.files)+r.lent >= forCallers {
		return nil
	}
	_ = conn.Close()
	r.open()
	return syscall.EMFILE
}

// drop closes one.
func (r *Reserve) drop() {
	last := len(r.files) - 1
	_ = r.files[last].Close()
	r.files = r.files[:last]
}

// open opens what is missing, but for what a dial is about to use, and is whether the reserve is complete. If anything
// but a want of descriptors prevents it, the process goes on without the reserve.
func (r *Reserve) open() bool {
	for !r.closed && len(r.files)+r.lent+r.dialling < size {
		f, err := r.fresh()
		if err != nil {
			return !Exhausted(err)
		}
		r.files = append(r.files, f)
	}
	return true
}

// Close closes all descriptors and opens no more.
func (r *Reserve) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for len(r.files) > 0 {
		r.drop()
	}
}

// Exhausted is whether an operation failed because the process, or the system, has no file descriptor left.
func Exhausted(err error) bool {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return true
	}
	var lookup *net.DNSError // has the cause in words only, and those for ENFILE begin with those for EMFILE
	return errors.As(err, &lookup) && strings.Contains(lookup.Err, syscall.EMFILE.Error())
}
