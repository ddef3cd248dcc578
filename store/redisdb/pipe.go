package redisdb

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe makes the two ends of a connection within this process.
//
// It is what net.Pipe is, but with a buffer. Neither end of net.Pipe can write before the other
// reads, and the embedded Redis writes the reply to a pipeline's first command while the client is
// still sending the last: beyond 4 KiB the two wait for each other. A pair of sockets only moves
// that limit to what the kernel lends them, costs two file descriptors, and is not to be had on
// Windows. Here the buffer grows to what is in flight, which the client, being ourselves, bounds.
func pipe() (net.Conn, net.Conn) {
	a, b := newStream(), newStream()
	return &pipeEnd{r: a, w: b}, &pipeEnd{r: b, w: a}
}

type pipeEnd struct{ r, w *stream }

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.r.read(b) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.w.write(b) }

func (p *pipeEnd) Close() error {
	p.r.close()
	p.w.close()
	return nil
}

func (p *pipeEnd) SetDeadline(t time.Time) error     { return p.SetReadDeadline(t) }
func (p *pipeEnd) SetReadDeadline(t time.Time) error { p.r.setDeadline(t); return nil }

// SetWriteDeadline has nothing to do: a write never waits.
func (p *pipeEnd) SetWriteDeadline(time.Time) error { return nil }

func (p *pipeEnd) LocalAddr() net.Addr  { return pipeAddr{} }
func (p *pipeEnd) RemoteAddr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "memory" }
func (pipeAddr) String() string  { return "embedded" }

// keptBuffer is how large a buffer an idle stream keeps for the next message.
const keptBuffer = 16 << 10

// stream is one direction of a pipe: any number of writers, one reader at a time.
type stream struct {
	mu       sync.Mutex
	buf      []byte // what was written and not yet read begins at off
	off      int
	closed   bool
	deadline time.Time
	waiting  bool // the reader found nothing, and is to be woken

	wake  chan struct{}
	timer *time.Timer // only the reader uses it
}

func newStream() *stream {
	s := &stream{wake: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	s.timer.Stop()
	return s
}

func (s *stream) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	s.buf = append(s.buf, b...)
	s.signal()
	return len(b), nil
}

func (s *stream) read(b []byte) (int, error) {
	for {
		n, wait, err := s.take(b)
		if n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
		if wait == 0 {
			<-s.wake
			continue
		}
		s.timer.Reset(wait)
		select {
		case <-s.wake:
		case <-s.timer.C:
		}
		s.timer.Stop()
	}
}

// take reads what there is. If that is nothing, it says how long to wait for more; 0: without a limit.
func (s *stream) take(b []byte) (n int, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n = copy(b, s.buf[s.off:]); n > 0 {
		s.off += n
		s.waiting = false
		s.reuse()
		return n, 0, nil
	}
	if s.closed {
		return 0, 0, io.EOF
	}
	if !s.deadline.IsZero() {
		if wait = time.Until(s.deadline); wait <= 0 {
			return 0, 0, os.ErrDeadlineExceeded
		}
	}
	s.waiting = true
	return 0, wait, nil
}

// reuse starts the buffer over once everything was read, and gives a large one back.
func (s *stream) reuse() {
	if s.off < len(s.buf) {
		return
	}
	s.off, s.buf = 0, s.buf[:0]
	if cap(s.buf) > keptBuffer {
		s.buf = nil
	}
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	s.signal()
}

func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.signal()
}

// signal wakes the reader if it waits, or is about to. s.mu is held.
func (s *stream) signal() {
	if !s.waiting {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
