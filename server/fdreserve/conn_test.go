package fdreserve

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

// split is the first half of a listener, and goes on to the time at which every idle connection is at rest.
func split(t *testing.T) (l *Listener, goOn func()) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := New()
	t.Cleanup(r.Close)
	l, rejected := r.Split(tcp, func(netip.Addr) bool { return false })
	t.Cleanup(func() { _, _ = l.Close(), rejected.Close() })
	now := time.Now()
	l.conns.now = func() time.Time { return now } // under the lock
	return l, func() {
		l.conns.mu.Lock()
		defer l.conns.mu.Unlock()
		now = now.Add(atRest)
	}
}

// await waits for a state of the connections.
func (s *connections) await(t *testing.T, ok func() bool) {
	t.Helper()
	state := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return ok()
	}
	for end := time.Now().Add(time.Minute); !state(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the state is not reached")
		}
	}
}

// A caller whose request has begun to arrive is answered, though the server does not count the connection as active yet.
func TestNoConnectionWithRequestIsClosed(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			l, goOn := split(t)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.URL.Path)
			}))
			_ = s.Listener.Close()
			s.Listener, s.Config.ConnState = l, l.ConnState
			address, dial := l.Addr().String(), net.Dial
			if scheme == "https" {
				s.StartTLS()
				dial = func(network, address string) (net.Conn, error) {
					return tls.Dial(network, address, &tls.Config{InsecureSkipVerify: true})
				}
			} else {
				s.Start()
			}
			defer s.Close()
			caller, err := dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer caller.Close()
			_ = caller.SetDeadline(time.Now().Add(time.Minute))
			answers := bufio.NewReader(caller)
			send := func(text string) { _, _ = io.WriteString(caller, text) }
			answered := func(want string) {
				t.Helper()
				answer, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(answer.Body); string(body) != want {
					t.Fatalf("got %q %v, want %q", body, err, want)
				}
			}
			idle := func() *connection { return l.conns.idle.Front().Value.(*connection) }

			for _, path := range []string{"/a", "/b", "/c"} {
				head := "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"
				if path == "/a" {
					send(head)
				} else {
					send(head[:9])
					l.conns.await(t, idle().conn.(*conn).received.Load)
					goOn()
					if l.conns.closeIdle() {
						t.Fatal("a connection is closed whose request has begun to arrive")
					}
					send(head[9:])
				}
				answered(path)
				l.conns.await(t, func() bool { return l.conns.idle.Len() == 1 && !idle().busy.Load() })
			}
			if l.conns.closeIdle() {
				t.Error("a connection is closed that was in use a moment before")
			}
			goOn()
			if !l.conns.closeIdle() {
				t.Error("a connection at rest is not closed")
			}
			if _, err := answers.ReadByte(); err == nil || !strings.Contains(err.Error(), "EOF") {
				t.Errorf("the caller gets %v, want the end of the connection", err)
			}
		})
	}
}

// accepted is a connection, at its caller and as the server has accepted it.
func accepted(t *testing.T, l net.Listener) (caller, c net.Conn) {
	t.Helper()
	caller, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caller.Close() })
	if c, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return caller, c
}

// A request that the server has not begun to read keeps the connection open. What was read without an answer, as the frames
// of HTTP/2 may be, does so for a moment.
func TestNoConnectionWithUnreadRequestIsClosed(t *testing.T) {
	l, goOn := split(t)
	caller, c := accepted(t, l)
	l.ConnState(c, http.StateIdle)
	_, _ = io.WriteString(caller, "GET")
	l.conns.await(t, func() bool { return unread(c.(*conn).TCPConn) })
	for range 3 {
		goOn()
		if l.conns.closeIdle() {
			t.Fatal("a connection is closed on which a request waits")
		}
	}
	if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	goOn()
	if l.conns.closeIdle() {
		t.Error("a connection is closed whose request was just read")
	}
	goOn()
	if !l.conns.closeIdle() {
		t.Error("a connection at rest is not closed")
	}
}

// A request that begins while closeIdle looks at its connection keeps it open until the answer, however long that takes.
func TestNoConnectionIsClosedWhoseRequestBeginsMeanwhile(t *testing.T) {
	l, goOn := split(t)
	caller, c := accepted(t, l)
	l.ConnState(c, http.StateNew)
	l.ConnState(c, http.StateActive)
	l.ConnState(c, http.StateIdle)
	const head = "GET / HTTP/1.1\r\n\r\n"
	_, _ = io.WriteString(caller, head)
	if _, err := io.ReadFull(c, make([]byte, len(head))); err != nil {
		t.Fatal(err)
	}
	goOn()
	now := l.conns.now
	l.conns.now = func() time.Time { // asked when the connection has been found idle
		l.conns.now = now
		l.ConnState(c, http.StateActive)
		return now()
	}
	for range 3 {
		if l.conns.closeIdle() {
			t.Fatal("a connection is closed that has a request")
		}
		goOn()
	}
	l.ConnState(c, http.StateIdle)
	goOn()
	if !l.conns.closeIdle() {
		t.Error("a connection at rest is not closed")
	}
}

// net/http closes one half of a connection after it has rejected a body, and copies to it without a buffer.
var _ interface {
	io.ReaderFrom
	CloseWrite() error
} = (*conn)(nil)

// BenchmarkRequest is a request on a connection that stays, through a bare listener and through that of a reserve.
func BenchmarkRequest(b *testing.B) {
	for _, through := range []string{"tcp", "reserve"} {
		b.Run(through, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusNoContent)
			}), ReadHeaderTimeout: time.Minute}
			if through == "reserve" {
				r := New()
				defer r.Close()
				admitted, rejected := r.Split(l, func(netip.Addr) bool { return false })
				defer rejected.Close()
				l, s.ConnState = admitted, admitted.ConnState
			}
			go func() { _ = s.Serve(l) }()
			defer s.Close()
			caller, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer caller.Close()
			request, answer := []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), make([]byte, 1<<10)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := caller.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := caller.Read(answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
