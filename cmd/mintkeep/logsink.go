package main

import (
	"io"
	"sync"
	"time"
)

// logSink passes log lines on to a writer and never blocks its callers: a pipe that is not read, or a stopped terminal,
// must not stop the server. Lines wait in memory, up to a bound; beyond it they are dropped, and their number is logged
// when the writer accepts lines again. Many lines at once are one write.
type logSink struct {
	to io.Writer
	// onDrop is called for each line that is dropped; it must not block.
	onDrop func()
	// onDropped gets the number of lines that were dropped, once one can be written again; it may log.
	onDropped func(lines int)

	mu      sync.Mutex
	waiting []byte
	spare   []byte // the former waiting, to be filled again
	dropped int
	telling bool // onDropped is running: its lines always have room
	closed  bool
	more    *sync.Cond    // signalled for new lines, and by Close
	over    chan struct{} // closed when everything was written, after Close
}

const (
	logSinkBound = 1 << 20         // bytes
	logSinkWait  = 1 * time.Second // for the last lines to be written
)

func newLogSink(to io.Writer) *logSink {
	s := &logSink{to: to, onDrop: func() {}, onDropped: func(int) {}, over: make(chan struct{})}
	s.more = sync.NewCond(&s.mu)
	go s.pass()
	return s
}

// Write takes one line, or drops it; it never fails.
func (s *logSink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting)+len(line) > logSinkBound && !s.telling {
		s.dropped++
		s.onDrop()
		return len(line), nil
	}
	s.waiting = append(s.waiting, line...)
	s.more.Signal()
	return len(line), nil
}

// Close waits a little for the writer to take what is left. What is written later is lost.
func (s *logSink) Close() {
	s.mu.Lock()
	s.closed = true
	s.more.Signal()
	s.mu.Unlock()
	select {
	case <-s.over:
	case <-time.After(logSinkWait):
	}
}

// pass writes the waiting lines until Close.
func (s *logSink) pass() {
	defer close(s.over)
	for {
		lines := s.next()
		if lines == nil {
			return
		}
		_, _ = s.to.Write(lines)
		s.tell(lines)
	}
}

// next waits for lines; nil after Close.
func (s *logSink) next() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 {
		if s.closed {
			return nil
		}
		s.more.Wait()
	}
	lines := s.waiting
	s.waiting, s.spare = s.spare[:0], nil
	return lines
}

// tell takes back a buffer that was written, and reports how many lines were dropped meanwhile.
func (s *logSink) tell(buffer []byte) {
	s.mu.Lock()
	s.spare = buffer
	n := s.dropped
	s.dropped, s.telling = 0, n > 0
	s.mu.Unlock()
	if n == 0 {
		return
	}
	s.onDropped(n)
	s.mu.Lock()
	s.telling = false
	s.mu.Unlock()
}
