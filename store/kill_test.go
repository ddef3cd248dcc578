package store_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within a minute: ", what)
		}
	}
}

// said is an answer of a server, or its error, as text.
func said(s *storetest.Server, args ...any) string {
	answer, err := s.Do(args...)
	return fmt.Sprint(answer, err)
}

// A transaction that was given up is stopped before its caller gets an answer.
func TestLateTransactionIsStopped(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	b, p := server.Backend(t), storetest.NewLateProxy(t, server)
	late, other := b.Through(p).Open(t), b.Open(t)
	create(t, other, "a")
	must(t, other.DisableClient(t.Context(), "a", store.Cause{}))
	held := p.Hold(transaction)
	wantErr(t, "the change", late.EnableClient(request(t), "a", store.Cause{}), store.ErrUnavailable)
	held.Await()
	if held.Release() {
		t.Error("it reached Redis after it was answered")
	}
}

// A secret whose addition got no answer is revoked, or never there, once it was reported as leaked.
func TestLateSecretIsReported(t *testing.T) {
	t.Parallel()
	eachLateAlive(t, func(t *testing.T, r twoReplicas) {
		create(t, r.other, "a")
		imported := secret(r.Backend, "sec_imp")
		imported.LastFour = ""
		held := r.p.Hold(transaction)
		late := r.Backend.Through(r.p).Impatient().Open(t)
		_, err := late.AddSecret(request(t), "a", imported, r.Clock.Now().Add(time.Hour), store.Cause{})
		wantErr(t, "the addition", err, store.ErrUnavailable)
		held.Await()
		must2(t)(r.other.RevokeLeaked(t.Context(), []store.Digest{imported.Digest}, store.Cause{}))
		delivered := held.Release()
		if slices.Contains(secretIDs(t, r.Backend, r.other), imported.ID) {
			t.Errorf("a secret that was reported as leaked is active (%v)", delivered)
		}
	})
}

// What was given up is stopped later, if Redis rejects the connection for it, or is busy, at first.
func TestKillIsRepeated(t *testing.T) {
	t.Parallel()
	for name, rejecting := range map[string]func(t *testing.T, s *storetest.Server) (end func()){
		"WRONGPASS": func(t *testing.T, s *storetest.Server) func() {
			_, err := s.Do("acl", "setuser", "mint", "<one", ">two")
			must(t, err)
			return func() { _, err := s.Do("acl", "setuser", "mint", "<two", ">one"); must(t, err) }
		},
		"BUSY": func(t *testing.T, s *storetest.Server) func() {
			s.Config("busy-reply-threshold", "10")
			go func() { _, _ = s.Do("eval", "while true do end", 0) }()
			eventually(t, "BUSY", func() bool { return strings.Contains(said(s, "PING"), "BUSY") })
			return func() {
				_, err := s.Do("script", "kill")
				must(t, err)
				eventually(t, "not BUSY", func() bool { return !strings.Contains(said(s, "PING"), "BUSY") })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := storetest.Redis(t)
			_, err := server.Do("acl", "setuser", "mint", "on", ">one", "~*", "&*", "+@all")
			must(t, err)
			b, p := server.Backend(t), storetest.NewLateProxy(t, server)
			late, err := store.Open(store.Options{URL: "redis://mint:one@" + p.URL(server.Addr()), Now: b.Clock.Now})
			must(t, err)
			defer late.Close()
			ctx := t.Context()
			for range 3 {
				late.Heartbeat(ctx)
			}
			must(t, late.Ping(ctx))
			held := p.Hold(storetest.Command("hincrby", "mk:epoch"))
			done := make(chan struct{})
			go func() { defer close(done); late.Heartbeat(ctx) }() // no answer within 600 ms; then CLIENT KILL
			held.Await()
			end := rejecting(t, server)
			<-done
			end()
			for range 20 {
				b.Clock.Advance(time.Minute)
				late.Heartbeat(ctx)
			}
			must(t, late.Ping(ctx))
			delivered := held.Release()
			late.Heartbeat(ctx)
			if err := late.Ping(ctx); err != nil || delivered {
				t.Errorf("delivered %v, ping %v", delivered, err)
			}
		})
	}
}

// forwarder is a name behind which there is one server after another.
type forwarder struct {
	target atomic.Value
	l      net.Listener
}

func newForwarder(t *testing.T, target string) *forwarder {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &forwarder{l: l}
	f.target.Store(target)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				far, err := net.Dial("tcp", f.target.Load().(string))
				if err != nil {
					return
				}
				defer far.Close()
				go func() { _, _ = io.Copy(far, near); _ = far.(*net.TCPConn).CloseWrite() }()
				_, _ = io.Copy(near, far)
			}()
		}
	}()
	return f
}

// After a failover behind a name, what was given up is stopped at the present server.
func TestKillAfterAFailover(t *testing.T) {
	t.Parallel()
	one, two := storetest.Redis(t), storetest.Redis(t)
	b := one.Backend(t)
	p1, p2 := storetest.NewLateProxy(t, one), storetest.NewLateProxy(t, two)
	h1, port1, _ := net.SplitHostPort(one.Addr())
	h2, port2, _ := net.SplitHostPort(two.Addr())
	_, err := two.Do("replicaof", h1, port1)
	must(t, err)
	f := newForwarder(t, p1.URL(one.Addr()))
	late, err := store.Open(store.Options{URL: "redis://" + f.l.Addr().String(), Now: b.Clock.Now})
	must(t, err)
	defer late.Close()
	ctx := t.Context()
	for range 3 {
		late.Heartbeat(ctx)
	}
	// The first write that is given up is at the old primary.
	held := p1.Hold(storetest.Command("zadd", "mk:clients:id"))
	wantErr(t, "created", late.CreateClient(request(t), client("x")), store.ErrUnavailable)
	held.Await()
	held.Release()
	eventually(t, "the replica has all", func() bool { return said(one, "HGETALL", "mk:epoch") == said(two, "HGETALL", "mk:epoch") })
	// The failover behind the name.
	_, err = two.Do("replicaof", "no", "one")
	must(t, err)
	_, err = one.Do("replicaof", h2, port2)
	must(t, err)
	f.target.Store(p2.URL(two.Addr()))
	for range 4 {
		late.Heartbeat(ctx)
	}
	must(t, late.Ping(ctx))
	held = p2.Hold(storetest.Command("hincrby", "mk:epoch"))
	late.Heartbeat(ctx)
	held.Await()
	for range 20 {
		b.Clock.Advance(time.Minute)
		late.Heartbeat(ctx)
	}
	must(t, late.Ping(ctx))
	delivered := held.Release()
	late.Heartbeat(ctx)
	if err := late.Ping(ctx); err != nil || delivered {
		t.Errorf("delivered %v, ping %v", delivered, err)
	}
}

// A node of a cluster that rejects a new connection has applied nothing.
func TestClusterRejectsConnection(t *testing.T) {
	t.Parallel()
	server := storetest.Cluster(t, "--appendonly", "yes", "--appendfsync", "always")
	_, err := server.Do("acl", "setuser", "mint", "on", ">one", "~*", "&*", "+@all")
	must(t, err)
	b := server.Backend(t)
	s, err := store.Open(store.Options{URL: "redis+cluster://mint:one@" + server.Addr(), Now: b.Clock.Now, Durability: config.Durability{Fsync: true}})
	must(t, err)
	defer s.Close()
	c := create(t, s, "a")
	d := store.DigestOf("token")
	must(t, s.SaveToken(t.Context(), d, store.Credential{Generation: c.Generation}, b.Clock.Now().Add(time.Hour), nil))
	must(t, s.RevokeToken(t.Context(), store.DigestOf("another"), store.Cause{})) // the node's client is known
	_, err = server.Do("acl", "setuser", "mint", "<one", ">two")
	must(t, err)
	_, err = server.Do("client", "kill", "user", "mint")
	must(t, err)
	err = s.RevokeToken(request(t), d, store.Cause{})
	there, _ := server.Do("exists", recordKey(d))
	if errors.Is(err, store.ErrUnconfirmed) && there.(int64) == 1 {
		t.Errorf("what was never sent is %v", err)
	}
}

// Where Redis takes no further connection, heartbeats go on with those that are open.
func TestKillWithoutAPlace(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	b, p := server.Backend(t), storetest.NewLateProxy(t, server)
	late := b.Through(p).Impatient().Open(t)
	ctx := t.Context()
	c := create(t, late, "a")
	d := store.DigestOf("token")
	must(t, late.SaveToken(ctx, d, store.Credential{Generation: c.Generation}, b.Clock.Now().Add(time.Hour), nil))
	for range 3 {
		late.Heartbeat(ctx)
	}
	held := p.Hold(storetest.Command("exists", "mk:ping")) // a read that is late once
	_ = late.Ping(request(t))
	held.Await()
	must(t, late.Ping(ctx)) // a connection that works
	_, err := server.Do("config", "set", "maxclients", 1)
	must(t, err)
	must(t, late.RevokeToken(ctx, d, store.Cause{}))
	for range 3 {
		late.Heartbeat(ctx)
	}
	err = late.Ping(ctx)
	_, e := server.Do("config", "set", "maxclients", 10000)
	must(t, e)
	if err != nil {
		t.Errorf("a replica with an open connection: %v", err)
	}
	held.Release()
}
