package store_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// road is an address that leads to one server or another, as a DNS name or a virtual address does.
type road struct {
	net.Listener

	mu    sync.Mutex
	to    string
	conns []net.Conn
}

func newRoad(t *testing.T, to *storetest.Server) *road {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &road{Listener: listener, to: to.Addr()}
	t.Cleanup(func() { listener.Close(); r.lead(nil) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.carry(conn)
		}
	}()
	return r
}

func (r *road) carry(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	onward, err := net.Dial("tcp", r.to)
	if err != nil {
		conn.Close()
		return
	}
	r.conns = append(r.conns, conn, onward)
	go func() { _, _ = io.Copy(onward, conn); onward.Close() }()
	go func() { _, _ = io.Copy(conn, onward); conn.Close() }()
}

// lead sends new connections to another server, and drops those under way.
func (r *road) lead(to *storetest.Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if to != nil {
		r.to = to.Addr()
	}
	for _, conn := range r.conns {
		conn.Close()
	}
	r.conns = nil
}

// A failover to a replica that lags: what was revoked stays revoked, pending or covered, and nothing is answered before
// the replay.
func TestFailoverThatLosesWrites(t *testing.T) {
	t.Parallel()
	for name, written := range map[string]bool{"written down": true, "not written down": false} {
		t.Run(name, func(t *testing.T) {
			primary := storetest.Redis(t)
			replica := storetest.Redis(t)
			follow(t, replica, primary)
			road := newRoad(t, primary)
			ctx, b := t.Context(), primary.Backend(t)
			s := b.Open(t, func(o *store.Options) { o.URL = "redis://" + road.Addr().String() })
			create(t, s, "a")
			ended, kept := issue(t, b, s, "a", "ended"), issue(t, b, s, "a", "kept")
			s.Heartbeat(ctx)
			s.Heartbeat(ctx)
			catchUp(t, replica, primary)

			if _, err := replica.Do("REPLICAOF", "NO", "ONE"); err != nil {
				t.Fatal(err)
			}
			must(t, s.RevokeToken(ctx, ended, store.Cause{}))
			if written {
				s.Heartbeat(ctx)
			}
			road.lead(replica)
			if written {
				wantRejected(t, "after the failover", s, store.ErrUnavailable)
			}
			s.Heartbeat(ctx)
			wantOpen(t, "healed", s)
			if live(t, s, "a", ended) || !live(t, s, "a", kept) {
				t.Error("of two tokens, not just the one that was not ended is live")
			}
			road.lead(primary) // the old one comes back, with watermarks of its own
			s.Heartbeat(ctx)
			s.Heartbeat(ctx)
			wantOpen(t, "on the old primary", s)
			if live(t, s, "a", ended) {
				t.Error("on the old primary the token is live")
			}
		})
	}
}

// The same with Sentinels, by what a replica does itself: it comes back.
func TestSentinelFailoverThatLosesWrites(t *testing.T) {
	t.Parallel()
	primary, replica := storetest.Redis(t), storetest.Redis(t)
	follow(t, replica, primary)
	sentinel := storetest.Sentinel(t, primary)
	b := sentinel.Backend(t)
	s := b.Open(t)
	await(t, "the Sentinel knows the replica", func() error {
		_, err := sentinel.Do("SENTINEL", "CKQUORUM", "mintkeep")
		return err
	})
	await(t, "ping", func() error { return s.Ping(t.Context()) })
	create(t, s, "a")
	d := issue(t, primary.Backend(t), s, "a", "ended")
	go s.Run(t.Context())
	await(t, "a mark on the replica", func() error {
		catchUp(t, replica, primary)
		if n, err := replica.Do("HLEN", "mk:epoch"); err != nil || n.(int64) < 3 {
			return io.ErrNoProgress
		}
		return nil
	})
	replica.Freeze()
	used := assertion(primary.Backend(t), "one")
	must(t, s.UseOnce(t.Context(), used))
	must(t, s.RevokeToken(t.Context(), d, store.Cause{}))
	await(t, "the end is written down", func() error {
		if s.Pending() > 0 {
			return io.ErrNoProgress
		}
		return nil
	})
	primary.Kill()
	replica.Thaw()
	await(t, "the Sentinel fails over", func() error {
		_, err := sentinel.Do("SENTINEL", "FAILOVER", "mintkeep")
		return err
	})
	await(t, "the replica is the primary", func() error {
		role, err := replica.Do("INFO", "replication")
		if err != nil || !strings.Contains(role.(string), "role:master") {
			return io.ErrNoProgress
		}
		return nil
	})
	await(t, "back", func() error { return s.Ping(t.Context()) })
	if live(t, s, "a", d) {
		t.Error("a token that was ended is live")
	}
	if err := s.UseOnce(t.Context(), used); !errors.Is(err, store.ErrReplayed) && !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("an assertion that was used: got %v, want that it is rejected", err)
	}
}

func follow(t *testing.T, replica, primary *storetest.Server) {
	t.Helper()
	host, port, err := net.SplitHostPort(primary.Addr())
	must(t, err)
	_, err = primary.Do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	must(t, err)
	_, err = replica.Do("REPLICAOF", host, port)
	must(t, err)
	await(t, "the replica follows", func() error {
		info, err := replica.Do("INFO", "replication")
		if err == nil && !strings.Contains(info.(string), "master_link_status:up") {
			err = io.ErrNoProgress
		}
		return err
	})
}

// catchUp waits until the replica has everything.
func catchUp(t *testing.T, replica, primary *storetest.Server) {
	t.Helper()
	await(t, "the replica catches up", func() error {
		var offsets [2]string
		for i, srv := range []*storetest.Server{primary, replica} {
			info, err := srv.Do("INFO", "replication")
			if err != nil {
				return err
			}
			_, rest, _ := strings.Cut(info.(string), "master_repl_offset:")
			offsets[i], _, _ = strings.Cut(rest, "\r")
		}
		if offsets[0] != offsets[1] {
			return io.ErrNoProgress
		}
		return nil
	})
}
