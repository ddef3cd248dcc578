package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// hurried is a server with short timeouts, in which a busy machine still answers who is not slow.
func hurried(t *testing.T) *served {
	t.Helper()
	s := servertest.New(t, storetest.Embedded(t))
	s.Server.Hurry(func(p *server.Timeouts) {
		p.Header, p.Read, p.Write, p.Idle = time.Second, 2*time.Second, 3*time.Second, time.Second
	})
	return serve(t, s)
}

// TestDocumentedTimeouts holds the timeouts that the other tests here shorten.
func TestDocumentedTimeouts(t *testing.T) {
	want := server.Timeouts{
		Header: 5 * time.Second, Read: 10 * time.Second, Write: 15 * time.Second, Idle: 2 * time.Minute,
		Shutdown: 7 * time.Second, End: 1500 * time.Millisecond, Certificate: time.Second,
	}
	if diff := cmp.Diff(want, server.Patience); diff != "" {
		t.Error(diff)
	}
}

// within fails the test unless f returns before the limit.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > limit {
		t.Errorf("it took %v, want at most %v", took, limit)
	}
}

func TestTimeouts(t *testing.T) {
	s := hurried(t)
	c := s.Register(t, servertest.M{"scope": "read"})
	head := tokenHead(c)
	const limit = 40 * time.Second // for a busy machine; the server's own are far shorter, and nothing else ends a connection earlier

	t.Run("slow headers", func(t *testing.T) {
		t.Parallel() // like all here: they wait for a timeout
		within(t, limit, func() {
			conns := make([]*wire, 200)
			for i := range conns {
				conns[i] = s.dial(t).say("POST /oauth/token HT")
			}
			s.Token(t, c) // another client is served meanwhile
			for _, w := range conns {
				if a := w.answer(); a.Status != 0 && a.Status != 400 && a.Status != 408 {
					t.Errorf("got %d", a.Status)
				}
			}
		})
	})
	t.Run("a body shorter than its Content-Length", func(t *testing.T) {
		t.Parallel()
		within(t, limit, func() {
			w := s.dial(t).say(head + "Content-Length: 100\r\n\r\n" + grant)
			r := w.answer()
			wantRefusal(t, r, 408)
			if r.Header.Get("Connection") != "close" {
				t.Error("the connection is kept")
			}
			w.closed()
		})
	})
	t.Run("chunks without end", func(t *testing.T) {
		t.Parallel()
		within(t, limit, func() {
			conns := make([]*wire, 100)
			for i := range conns {
				conns[i] = s.dial(t).say(head + "Transfer-Encoding: chunked\r\n\r\n1\r\ng\r\n")
			}
			s.Token(t, c)
			for _, w := range conns {
				wantRefusal(t, w.answer(), 408)
				w.closed()
			}
		})
	})
	t.Run("a slow reader", func(t *testing.T) {
		t.Parallel()
		within(t, limit, func() {
			w := s.dial(t)
			_ = w.SetDeadline(time.Now().Add(limit))
			get := strings.Repeat(request("GET", "/openapi.yaml", "", ""), 100)
			for { // until the server has had enough: it does not read either, while it cannot write
				if _, err := io.WriteString(w.Conn, get); err != nil {
					if strings.Contains(err.Error(), "timeout") {
						t.Error("the connection stays open")
					}
					return
				}
			}
		})
	})
	t.Run("idle connections", func(t *testing.T) {
		t.Parallel()
		within(t, limit, func() {
			w := s.dial(t).say(request("GET", "/healthz", "", ""))
			if r := w.answer(); r.Status != 200 || r.Header.Get("Connection") == "close" {
				t.Errorf("got %d %v", r.Status, r.Header)
			}
			w.closed()
			s.dial(t).closed() // and one that never said a word
		})
	})
}

// becomes waits until /readyz answers with the status.
func becomes(t *testing.T, s *servertest.Server, status int) servertest.Response {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if r := s.Get(t, "/readyz"); r.Status == status {
			return r
		}
	}
	t.Fatalf("/readyz does not become %d", status)
	return servertest.Response{}
}

func TestDrain(t *testing.T) {
	one := servertest.New(t, storetest.Embedded(t))
	drained := make(chan struct{})
	one.Server.DrainUntil(drained)
	s := serve(t, one)
	c := s.Register(t, servertest.M{"scope": "read"})
	early := s.dial(t).say(tokenHead(c) + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(grant), grant[:5]))
	late := s.dial(t).say(tokenHead(c) + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(grant), grant[:5]))
	idle := s.dial(t).say(request("GET", "/healthz", "", ""))
	idle.answer() // the two that connected before have been accepted

	done := make(chan error, 1)
	go func() { done <- s.stop() }()
	r := becomes(t, s.Server, 503)
	wantRefusal(t, r, 503)
	s.Get(t, "/healthz").Want(t, 200, "")
	s.Token(t, c) // new requests are still served

	early.say(grant[5:])
	if r := early.answer(); r.Status != 200 || r.Header.Get("Connection") != "close" {
		t.Errorf("in flight: got %d %v", r.Status, r.Header)
	}
	early.closed()
	close(drained)
	idle.closed() // at the end of the drain, when the listener is closed
	late.say(grant[5:])
	if r := late.answer(); r.Status != 200 {
		t.Errorf("in flight until the end: got %d", r.Status)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := http.Get(s.URL + "/healthz"); err == nil {
		t.Error("it still listens")
	}
}

// A Redis that never answers delays the end of the process by the one time that all of the background has.
func TestEndWithoutAnAnswer(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	s.Server.Hurry(func(p *server.Timeouts) { p.End = time.Nanosecond })
	never := make(chan struct{})
	defer close(never)
	s.Server.Finish(func() { <-never }) // or the test does not end
}

// A request that never finishes does not make an orderly shutdown a failure.
func TestDrainWithAStraggler(t *testing.T) {
	one := servertest.New(t, storetest.Embedded(t))
	one.Server.Hurry(func(p *server.Timeouts) { p.Shutdown = 50 * time.Millisecond })
	s := serve(t, one)
	c := s.Register(t, servertest.M{"scope": "read"})
	w := s.dial(t).say(tokenHead(c) + "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	if line, err := w.r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatal(line, err) // it is under way
	}
	within(t, 5*time.Second, func() {
		if err := s.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	if !strings.Contains(s.Log.String(), "the remaining requests were aborted") {
		t.Errorf("the log says nothing of it")
	}
}
