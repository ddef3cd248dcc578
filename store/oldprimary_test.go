package store_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// address may lead to another server later; the connections from before still lead to the old one.
type address struct {
	listener net.Listener
	to       atomic.Pointer[string]
}

func newAddress(t *testing.T, to string) *address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	a := &address{listener: l}
	a.to.Store(&to)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go a.connect(conn)
		}
	}()
	return a
}

func (a *address) connect(down net.Conn) {
	defer down.Close()
	up, err := net.Dial("tcp", *a.to.Load())
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(up, down); _ = up.Close() }()
	_, _ = io.Copy(down, up)
}

// moved is a store whose primary changes behind its address: two has all that one had, and one has become a replica
// whose link is down.
type moved struct {
	t        *testing.T
	one, two *storetest.Server
	b        *storetest.Backend
	a        *address
	s        *store.Store
}

func newMoved(t *testing.T) *moved {
	t.Helper()
	m := &moved{t: t, one: storetest.Redis(t), two: storetest.Redis(t)}
	m.b, m.a = m.one.Backend(t), newAddress(t, m.one.Addr())
	m.s = m.b.Open(t, func(o *store.Options) { o.URL = "redis://" + m.a.listener.Addr().String() })
	create(t, m.s, "a")
	m.s.Heartbeat(t.Context())
	m.s.Heartbeat(t.Context())
	return m
}

func (m *moved) move() {
	m.t.Helper()
	host, port, _ := net.SplitHostPort(m.one.Addr())
	must2(m.t)(m.two.Do("REPLICAOF", host, port))
	m.one.AwaitReplicas(1)
	must2(m.t)(m.one.Do("SET", "last", "1"))
	m.two.Await("in step", func(ctx context.Context, c *redis.Client) bool { return c.Exists(ctx, "last").Val() == 1 })
	must2(m.t)(m.two.Do("REPLICAOF", "NO", "ONE"))
	to := m.two.Addr()
	m.a.to.Store(&to)
	must2(m.t)(m.one.Do("REPLICAOF", "127.0.0.1", "1"))
}

// crowd calls so often at once that it takes as many connections, while srv does not answer.
func (m *moved) crowd(srv *storetest.Server, pause string, n int, f func()) {
	m.t.Helper()
	must2(m.t)(srv.Do("CLIENT", "PAUSE", pause, "ALL"))
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

// A store whose connections lead to the former primary finds the new one within a few heartbeats, whatever it has to
// replay.
func TestPrimaryChangesBehindItsAddress(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(ctx context.Context, s *store.Store) error{
		"a token to end": func(ctx context.Context, s *store.Store) error {
			return s.RevokeToken(ctx, store.DigestOf("x"), store.Cause{})
		},
		"a client to end":   func(ctx context.Context, s *store.Store) error { return s.DisableClient(ctx, "a", store.Cause{}) },
		"nothing to repeat": func(context.Context, *store.Store) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			m, ctx := newMoved(t), t.Context()
			must(t, end(ctx, m.s))
			m.move()
			for range 3 {
				m.s.Heartbeat(ctx)
			}
			wantOpen(t, "three pulses later", m.s)
		})
	}
}

// Connections to the former primary are not used beside those to the new one: nothing that was revoked at the new one
// is answered from them.
func TestConnectionsToTheOldPrimary(t *testing.T) {
	t.Parallel()
	m, ctx := newMoved(t), t.Context()
	d := issue(t, m.b, m.s, "a", "token")
	ping := func() { _ = m.s.Ping(ctx) }
	m.crowd(m.one, "150", 8, ping)
	m.move()
	must2(t)(m.two.Do("CLIENT", "PAUSE", "400", "ALL")) // those to the new one come back last
	m.crowd(m.one, "150", 12, ping)
	for range 5 {
		m.s.Heartbeat(ctx)
	}
	wantOpen(t, "five pulses later", m.s)
	other := m.b.Open(t, func(o *store.Options) { o.URL = m.two.URL() })
	must(t, other.RevokeToken(ctx, d, store.Cause{}))
	var active atomic.Int64
	m.crowd(m.two, "150", 12, func() {
		_ = m.s.Ping(ctx)
		if _, err := m.s.Credential(ctx, d); err == nil {
			active.Add(1)
		}
	})
	if n := active.Load(); n > 0 {
		t.Errorf("a token that was ended elsewhere is live %d times of 12", n)
	}
}
