package storetest

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// LateProxy stands between one store and the servers of a Redis. It can hold one piece of what is sent, in one direction
// of one connection, and deliver it later, even after its sender has closed the connection: as a lossy path, a sidecar or
// a kernel that retransmits do.
//
//	p := storetest.NewLateProxy(t, server)
//	late, other := b.Through(p).Open(t), b.Open(t)
//	held := p.Hold(storetest.Command("set", "mk:t:")) // the next one
//	… late.SaveToken …                                // which gets no answer
//	held.Await()
//	… other.RevokeToken …
//	held.Release()                                    // Redis has carried it out
//
// What the same connection sends behind the piece waits too: TCP keeps the order. Other connections pass. If the server
// closes the connection before the piece is delivered, as by CLIENT KILL, the piece is lost.
//
// Sentinels and the nodes of a cluster announce addresses. The proxy replaces those of its servers by its own in their
// answers, so that all of a Redis goes through it: pass every Sentinel and every data node to [NewLateProxy].
type LateProxy struct {
	t     testing.TB
	ways  []way
	over  chan struct{} // closed when the test is over
	conns sync.WaitGroup

	mu    sync.Mutex
	armed []*Held
	open  map[net.Conn]struct{}
}

// way leads to one server.
type way struct{ server, listens string }

// NewLateProxy makes a proxy for the servers, for this test. It holds nothing yet.
func NewLateProxy(t testing.TB, servers ...*Server) *LateProxy {
	t.Helper()
	p := &LateProxy{t: t, over: make(chan struct{}), open: map[net.Conn]struct{}{}}
	var listeners []net.Listener
	t.Cleanup(func() {
		close(p.over)
		for _, l := range listeners {
			_ = l.Close()
		}
		p.mu.Lock()
		for c := range p.open {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.conns.Wait()
	})
	for _, s := range servers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		w := way{s.Addr(), l.Addr().String()}
		if len(w.server) != len(w.listens) {
			t.Fatalf("%s cannot stand for %s in an answer: it has another length", w.listens, w.server)
		}
		p.ways = append(p.ways, w)
	}
	for i, l := range listeners { // now that ways has all of them
		p.conns.Go(func() { p.accept(l, p.ways[i].server) })
	}
	return p
}

// URL is a MINTKEEP_REDIS_URL, or an address, as it is through the proxy.
func (p *LateProxy) URL(direct string) string {
	for _, w := range p.ways {
		direct = strings.ReplaceAll(direct, w.server, w.listens)
	}
	return direct
}

// Match picks a piece by its commands, each by its words: its name in lower case, and its arguments.
type Match func(piece [][]string) bool

// Command matches a piece with a command of this name, whose key, the word behind the name, begins so. An empty name
// matches all.
func Command(name, key string) Match {
	return func(piece [][]string) bool {
		return slices.ContainsFunc(piece, func(words []string) bool {
			return (name == "" || words[0] == name) && len(words) > 1 && strings.HasPrefix(words[1], key)
		})
	}
}

// Hold holds the next piece that has a matching command on its way to the server. A piece is what the store sends at
// once: a command, a pipeline, or a transaction from MULTI to EXEC.
func (p *LateProxy) Hold(m Match) *Held { return p.arm(m, false) }

// HoldAnswer lets the next matching command pass, and holds its answer on the way back.
func (p *LateProxy) HoldAnswer(m Match) *Held { return p.arm(m, true) }

func (p *LateProxy) arm(m Match, answer bool) *Held {
	h := &Held{p: p, match: m, answer: answer, arrived: make(chan struct{}), release: make(chan struct{}), result: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = append(p.armed, h)
	return h
}

// take is the hold whose command is in the piece; nil if there is none. A hold is for one piece.
func (p *LateProxy) take(piece []byte) *Held {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.armed) == 0 {
		return nil
	}
	commands := commandsIn(piece)
	if len(commands) == 0 { // the rest of a long one
		return nil
	}
	for i, h := range p.armed {
		if h.match(commands) {
			p.armed = slices.Delete(p.armed, i, i+1)
			return h
		}
	}
	return nil
}

// Held is one piece that is held, or will be.
type Held struct {
	p       *LateProxy
	match   Match
	answer  bool
	arrived chan struct{} // closed when the piece is here
	release chan struct{} // closed to deliver it
	result  chan struct{} // closed when delivered is decided

	once      sync.Once
	delivered bool
}

// Arrived is closed when the piece is held. Its sender waits for an answer then.
func (h *Held) Arrived() <-chan struct{} { return h.arrived }

// Await waits until the piece is held, and fails the test if it does not come.
func (h *Held) Await() {
	h.p.t.Helper()
	select {
	case <-h.arrived:
	case <-time.After(patience):
		h.p.t.Fatalf("not within %v: a piece to hold", patience)
	}
}

// Release delivers the piece and what has queued behind it. It returns when the server has answered, so that what the
// piece does is done, or, of an answer, when it is sent on. It reports whether the piece was delivered: it was not, if
// the connection to its receiver is closed. If no piece has come, none will be held.
func (h *Held) Release() (delivered bool) {
	h.once.Do(func() { close(h.release) })
	h.p.mu.Lock()
	n := len(h.p.armed)
	h.p.armed = slices.DeleteFunc(h.p.armed, func(other *Held) bool { return other == h })
	never := len(h.p.armed) < n
	h.p.mu.Unlock()
	if never {
		return false
	}
	select {
	case <-h.result:
		return h.delivered
	case <-h.p.over:
	case <-time.After(patience):
		h.p.t.Errorf("not within %v: the outcome of a piece that was released", patience)
	}
	return false
}

// wait holds the piece until it is released; not so if closed comes first.
func (h *Held) wait(closed <-chan struct{}) (released bool) {
	close(h.arrived)
	select {
	case <-h.release:
		return true
	case <-closed:
	case <-h.p.over:
	}
	return false
}

func (h *Held) decide(delivered bool) {
	h.delivered = delivered
	close(h.result)
}

func (p *LateProxy) accept(l net.Listener, server string) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		p.conns.Go(func() { p.serve(near, server) })
	}
}

// serve carries one connection until both directions are over.
func (p *LateProxy) serve(near net.Conn, server string) {
	defer near.Close()
	far, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer far.Close()
	c := &lateConn{p: p, near: near.(*net.TCPConn), far: far.(*net.TCPConn), farClosed: make(chan struct{})}
	if !p.track(near, far) {
		return
	}
	defer p.forget(near, far)
	var commands sync.WaitGroup
	commands.Go(c.commands)
	c.answers()
	close(c.farClosed)
	_ = near.Close()
	commands.Wait()
	if c.late != nil { // carried out or not, the server has said nothing
		c.late.decide(false)
	}
}

func (p *LateProxy) track(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.over:
		return false
	default:
	}
	for _, c := range conns {
		p.open[c] = struct{}{}
	}
	return true
}

func (p *LateProxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.open, c)
	}
}
