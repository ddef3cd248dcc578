package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// spareFiles is how many file descriptors a server keeps for the time when it gets no others. Each refuses one
	// caller at a time.
	spareFiles = 16
	// famine is how long the listener waits when it has no descriptor to lend.
	famine = 50 * time.Millisecond
)

// frugalListener is for a process that may run out of file descriptors. Whoever comes then could not even be told: accept
// fails, the kernel holds the connection, and the caller waits until somebody else leaves. This one keeps a few
// descriptors back, for just these callers, and hands their connections to refuse.
type frugalListener struct {
	net.Listener
	refuse func(net.Conn)

	mu       sync.Mutex
	spare    []*os.File
	lent     int           // to connections that are refused at this moment
	returned chan struct{} // has something after one of them has closed
}

func newFrugalListener(l net.Listener, refuse func(net.Conn)) *frugalListener {
	return &frugalListener{Listener: l, refuse: refuse, returned: make(chan struct{}, 1)}
}

// Accept returns the next connection for which there is a descriptor beside the spare ones.
func (l *frugalListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case outOfFiles(err):
			l.release()
		case err != nil:
			return nil, err
		case l.replenish():
			return c, nil
		default:
			l.refuse(&refusedConn{c, sync.OnceValue(func() error { return l.takeBack(c) })})
		}
	}
}

// Close closes the spare files as well.
func (l *frugalListener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.spare {
		_ = f.Close()
	}
	l.spare = nil
	return err
}

// release gives one descriptor up, so that the next connection can be accepted. Without any it waits for one to be
// given back, a little.
func (l *frugalListener) release() {
	l.mu.Lock()
	last := len(l.spare) - 1
	if last >= 0 {
		_ = l.spare[last].Close()
		l.spare = l.spare[:last]
	}
	l.mu.Unlock()
	if last >= 0 {
		return
	}
	select {
	case <-l.returned:
	case <-time.After(famine):
	}
}

// replenish sees that there are as many spare descriptors as there should be. If there are not enough, it counts one as
// lent to the connection that has just been accepted.
func (l *frugalListener) replenish() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open() {
		return true
	}
	l.lent++
	return false
}

// takeBack closes a connection, and has a spare descriptor again unless the next connection is quicker. Until then it
// counts as lent: or that connection would be taken for one that has room.
func (l *frugalListener) takeBack(c net.Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := c.Close()
	l.lent--
	l.open()
	select {
	case l.returned <- struct{}{}:
	default:
	}
	return err
}

// open opens what is missing. Whatever else than a want of descriptors prevents it, the server does without.
func (l *frugalListener) open() bool {
	for len(l.spare)+l.lent < spareFiles {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return !outOfFiles(err)
		}
		l.spare = append(l.spare, f)
	}
	return true
}

// outOfFiles is whether the process, or the system, has no file descriptor left.
func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// refusedConn gives its descriptor back to those that are spare.
type refusedConn struct {
	net.Conn
	close func() error
}

// Close closes the connection.
func (c *refusedConn) Close() error { return c.close() }
