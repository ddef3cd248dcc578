package store

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
	// spareFiles is how many file descriptors a process keeps for the time when it gets no others.
	spareFiles = 32
	// spareForCallers of them are for callers who are refused, one at a time each. The others are for Redis.
	spareForCallers = 24
	// spareForDial is what a dial may need at once, to ask for both kinds of address, or to try both. The connection
	// keeps one.
	spareForDial = 2
	// famine is how long a caller is kept waiting when there is no descriptor for him.
	famine = 50 * time.Millisecond
)

// Spare is for a process that may run out of file descriptors: some that it keeps back. Without them a caller could not
// even be told, for nobody can be accepted, and a Redis that was restarted could not be dialled for as long as the callers
// stay, who have taken the place of its connections.
//
// What is given up here is anybody's: a caller may be accepted with what was meant for Redis, or the other way round. So
// nobody counts who got it. What is missing is missing until it can be opened again; a caller is served only while nothing
// is, and a connection to Redis is kept only while callers have theirs.
type Spare struct {
	fresh func() (*os.File, error) // opens one

	mu       sync.Mutex
	files    []*os.File
	lent     int           // to callers who are refused at this moment
	dialling int           // given up for dials that are under way
	serving  bool          // somebody was accepted: before that nothing is kept
	closed   bool          // nothing is opened any more
	returned chan struct{} // has something after a caller has given one back
}

func newSpare() *Spare {
	return &Spare{fresh: func() (*os.File, error) { return os.Open(os.DevNull) }, returned: make(chan struct{}, 1)}
}

// Spare is the reserve of the process that this store is opened in.
func (s *Store) Spare() *Spare { return s.spare }

// Release gives a descriptor up, so that the next caller can be accepted. Without one for callers it waits for one to be
// given back, a little.
func (s *Spare) Release() {
	if s.release() {
		return
	}
	select {
	case <-s.returned:
	case <-time.After(famine):
	}
}

func (s *Spare) release() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lent >= spareForCallers || len(s.files) == 0 {
		return false
	}
	s.drop()
	return true
}

// Admit is whether the caller who has just been accepted may be served: nothing is missing. Otherwise his descriptor counts
// as lent, until TakeBack.
func (s *Spare) Admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = true
	if s.open() && s.dialling == 0 {
		return true
	}
	s.lent++
	return false
}

// TakeBack closes a caller's connection, and has a spare descriptor again unless somebody is quicker. Until then it counts
// as lent: or the next caller would be taken for one who has room.
func (s *Spare) TakeBack(conn io.Closer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := conn.Close()
	s.lent--
	s.open()
	select {
	case s.returned <- struct{}{}:
	default:
	}
	return err
}

// dialFunc makes a connection, as net.Dialer.DialContext does.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer is dial, which is tried once more with what is kept for Redis when there is no other descriptor.
func (s *Spare) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if n := s.forDial(err); n > 0 {
			conn, err = dial(ctx, network, addr)
			s.dialled(n)
		}
		if err == nil {
			err = s.keep(conn)
		}
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
}

// forDial gives descriptors up for a dial that failed without, as long as callers have theirs.
func (s *Spare) forDial(err error) (n int) {
	if !OutOfFiles(err) {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; n < spareForDial && len(s.files) > 0 && len(s.files)+s.lent > spareForCallers; n++ {
		s.drop()
	}
	s.dialling += n
	return n
}

// dialled opens again what the dial has not used, or not kept.
func (s *Spare) dialled(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialling -= n
	s.open()
}

// keep closes a connection to Redis that got the descriptor which was released for a caller, unless there are enough.
func (s *Spare) keep(conn io.Closer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.serving || s.open() || len(s.files)+s.lent >= spareForCallers {
		return nil
	}
	_ = conn.Close()
	s.open()
	return syscall.EMFILE
}

// drop closes one.
func (s *Spare) drop() {
	last := len(s.files) - 1
	_ = s.files[last].Close()
	s.files = s.files[:last]
}

// open opens what is missing, but for what a dial is about to use. Whatever else than a want of descriptors prevents it,
// the process does without.
func (s *Spare) open() bool {
	for !s.closed && len(s.files)+s.lent+s.dialling < spareFiles {
		f, err := s.fresh()
		if err != nil {
			return !OutOfFiles(err)
		}
		s.files = append(s.files, f)
	}
	return true
}

// close gives all up for good.
func (s *Spare) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for len(s.files) > 0 {
		s.drop()
	}
}

// OutOfFiles is whether something failed because the process, or the system, has no file descriptor left.
func OutOfFiles(err error) bool {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return true
	}
	var lookup *net.DNSError // has the cause in words only, and those for ENFILE begin with those for EMFILE
	return errors.As(err, &lookup) && strings.Contains(lookup.Err, syscall.EMFILE.Error())
}
