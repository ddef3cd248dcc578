package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/rollback"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// wantRejected fails the test unless the breaker is open, for this reason.
func wantRejected(t *testing.T, what string, s *store.Store, why error) {
	t.Helper()
	_, err := s.Client(t.Context(), "a")
	wantErr(t, what+": read", err, why)
	wantErr(t, what+": read", err, store.ErrUnavailable)
	wantErr(t, what+": end", s.RevokeToken(t.Context(), store.DigestOf("x"), store.Cause{}), why)
	wantErr(t, what+": ping", s.Ping(t.Context()), why)
}

func wantOpen(t *testing.T, what string, s *store.Store) {
	t.Helper()
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// A Redis that is emptied under a running replica is quarantined until the operator fences it. A replica that has
// just started accepts it.
func TestEmptied(t *testing.T) {
	t.Parallel()
	for name, srv := range map[string]*storetest.Server{"redis": storetest.Redis(t), "cluster": storetest.Cluster(t)} {
		t.Run(name, func(t *testing.T) {
			b, ctx := srv.Backend(t), t.Context()
			s := b.Open(t)
			s.Heartbeat(ctx)
			create(t, s, "a")
			s.Heartbeat(ctx)
			b.Do("FLUSHALL")
			s.Heartbeat(ctx)
			wantRejected(t, "emptied", s, store.ErrQuarantined)
			s.Heartbeat(ctx)
			wantRejected(t, "emptied, a heartbeat later", s, store.ErrQuarantined)

			fresh := b.Open(t)
			fresh.Heartbeat(ctx)
			wantOpen(t, "a replica that has just started", fresh)
			fresh.Heartbeat(ctx)
			s.Heartbeat(ctx)
			wantRejected(t, "after another has started", s, store.ErrQuarantined)

			_, err := fresh.Fence(ctx)
			must(t, err)
			s.Heartbeat(ctx)
			wantOpen(t, "fenced", s)
			s.Heartbeat(ctx)
			wantOpen(t, "fenced, a heartbeat later", s)
			b.Do("FLUSHALL")
			s.Heartbeat(ctx)
			wantRejected(t, "emptied again", s, store.ErrQuarantined)
		})
	}
}

// The first connection to an old backup that is put back notices it, before any command of a request.
func TestOldBackup(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s := b.Open(t)
	create(t, s, "a")
	s.Heartbeat(ctx)
	d := issue(t, b, s, "a", "token")
	old := backUp(t, srv)
	grow(t, b, s)
	must(t, s.RevokeToken(ctx, d, store.Cause{}))
	s.Heartbeat(ctx)
	newer := backUp(t, srv)

	old.restore()
	wantRejected(t, "before a heartbeat", s, store.ErrUnavailable)
	s.Heartbeat(ctx)
	wantRejected(t, "old", s, store.ErrQuarantined)
	s.Heartbeat(ctx)
	wantRejected(t, "old, a heartbeat later", s, store.ErrQuarantined)

	newer.restore() // the operator finds a better one
	s.Heartbeat(ctx)
	wantOpen(t, "with what it had", s)
	if live(t, s, "a", d) {
		t.Error("a token that was ended is live")
	}
	old.restore()
	s.Heartbeat(ctx)
	wantRejected(t, "old again", s, store.ErrQuarantined)
	tool := b.Open(t)
	must2(t)(tool.RevokeAllTokens(ctx, store.Cause{}, nil))
	must2(t)(tool.Fence(ctx))
	s.Heartbeat(ctx)
	wantOpen(t, "fenced", s)
	if live(t, s, "a", d) {
		t.Error("after the fence a token that was ended is live")
	}
	g, err := startGeneration(ctx, s, "a")
	if err != nil || g == (store.Generation{}) || !live(t, s, "a", issue(t, b, s, "a", "new")) {
		t.Errorf("after the fence the client gets no token: %v", err)
	}
}

func must2(t *testing.T) func(any, error) {
	return func(_ any, err error) { t.Helper(); must(t, err) }
}

// A server that accepts no writes may lag behind the primary. One that is out of memory does not.
func TestTakesNoWrites(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s := b.Open(t)
	create(t, s, "a")
	s.Heartbeat(ctx)
	for _, tt := range []struct {
		name     string
		on, off  []any
		says     string
		staysPut bool // the breaker stays closed
	}{
		{"replica", []any{"REPLICAOF", "127.0.0.1", "1"}, []any{"REPLICAOF", "NO", "ONE"}, "READONLY", false},
		{"alone", []any{"CONFIG", "SET", "min-replicas-to-write", "1"}, []any{"CONFIG", "SET", "min-replicas-to-write", "0"}, "NOREPLICAS", false},
		{"out of memory", []any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}, "", true},
	} {
		b.Do(tt.on...)
		s.Heartbeat(ctx)
		if tt.staysPut {
			wantOpen(t, tt.name, s)
			if err := s.RevokeToken(ctx, store.DigestOf("x"), store.Cause{}); err != nil {
				t.Errorf("%s: an end: %v", tt.name, err)
			}
		} else {
			wantRejected(t, tt.name, s, store.ErrUnavailable)
			if err := s.Ping(ctx); err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, store.ErrQuarantined) {
				t.Errorf("%s: got %v, want %s", tt.name, err, tt.says)
			}
		}
		b.Do(tt.off...)
		s.Heartbeat(ctx)
		wantOpen(t, tt.name+" no longer", s)
	}
	if n := s.Pending(); n != 0 {
		t.Errorf("%d ends are not written down, want 0", n)
	}
}

// An unavailable Redis decides nothing.
func TestHeartbeatWithoutRedis(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	b, ctx := srv.Backend(t), t.Context()
	s := b.Open(t)
	s.Heartbeat(ctx) // once more than the server answered
	s.Heartbeat(ctx)
	srv.Kill()
	s.Heartbeat(ctx)
	wantErr(t, "ping", s.Ping(ctx), store.ErrUnavailable)
	srv.Start()
	wantOpen(t, "back with all that it had", s)
	s.Heartbeat(ctx)
	wantOpen(t, "a heartbeat later", s)
}

// Watermarks of replicas that are gone do not pile up. Removing the watermark of a replica that was only disconnected
// for long does no harm.
func TestWatermarks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			return
		}
		ctx := t.Context()
		s, other, away := b.Open(t), b.Open(t), b.Open(t)
		for range 2 {
			s.Heartbeat(ctx)
			other.Heartbeat(ctx)
			away.Heartbeat(ctx)
		}
		key := "mk:epoch"
		if b.Name == "cluster" {
			key = s.EpochKeys()[0]
		}
		marks := func() int64 { return b.Do("HLEN", key).(int64) - 3 } // without line, n and lost
		if got := marks(); got != 3 {
			t.Errorf("%d marks of three replicas", got)
		}
		for i := range 32 { // in most parts of a cluster
			must(t, other.UseOnce(ctx, assertion(b, fmt.Sprint("other ", i))))
			must(t, away.UseOnce(ctx, assertion(b, fmt.Sprint("away ", i))))
		}
		other.Leave(ctx)
		b.Do("HINCRBY", key, "n", rollback.StaleHeartbeats)
		s.Heartbeat(ctx) // its watermark is the counter that it knew
		s.Heartbeat(ctx)
		must(t, s.SweepWatermarks(ctx))
		if got := marks(); got != 1 {
			t.Errorf("%d marks after one replica has ended and another is away, want 1", got)
		}
		away.Heartbeat(ctx)
		wantOpen(t, "the one that was away", away)
	})
}

// Without Run there is no heartbeat: the store of a CLI command sends nothing more to Redis.
func TestFenceGrows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, last := b.Open(t), int64(0)
		for range 3 {
			fence, err := s.Fence(t.Context())
			if err != nil || fence <= last || fence < b.Clock.Now().UnixMilli() {
				t.Errorf("fence %d after %d, %v", fence, last, err)
			}
			last = fence
		}
		b.Clock.Advance(time.Hour)
		if fence, err := s.Fence(t.Context()); err != nil || fence != b.Clock.Now().UnixMilli() {
			t.Errorf("an hour later: %d, %v; want the present, %d", fence, err, b.Clock.Now().UnixMilli())
		}
	})
}
