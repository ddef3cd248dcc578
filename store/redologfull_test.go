package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/rollback"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// fillMemory leaves Redis without memory for anything new, from now until empty is called.
func fillMemory(srv *storetest.Server) (empty func()) {
	srv.Config("maxmemory-policy", "noeviction")
	srv.Config("maxmemory", "1")
	return func() { srv.Config("maxmemory", "0") }
}

// A Redis out of memory accepts no watermark. That alone must not keep the breaker open.
func TestOutOfMemoryLeavesTheBreakerClosed(t *testing.T) {
	t.Parallel()
	for name, blip := range map[string]func(t *testing.T, srv *storetest.Server, s *store.Store, loses func()){
		"it stalls after an end": func(t *testing.T, srv *storetest.Server, s *store.Store, _ func()) {
			must(t, s.RevokeToken(t.Context(), store.DigestOf("gone"), store.Cause{}))
			srv.Freeze()
			s.Heartbeat(hurry(t))
			srv.Thaw()
			wantRejected(t, "stalled", s, store.ErrUnavailable)
		},
		"it is a replica for a moment": func(t *testing.T, srv *storetest.Server, s *store.Store, _ func()) {
			srv.Do("REPLICAOF", "127.0.0.1", "1")
			s.Heartbeat(t.Context())
			wantRejected(t, "read-only", s, store.ErrUnavailable)
			srv.Do("REPLICAOF", "NO", "ONE")
		},
		"it loses two heartbeats": func(_ *testing.T, _ *storetest.Server, _ *store.Store, loses func()) { loses() },
	} {
		t.Run(name, func(t *testing.T) {
			srv := storetest.Redis(t)
			b, ctx := srv.Backend(t).Impatient(), t.Context()
			s := b.Open(t)
			create(t, s, "a")
			kept := issue(t, b, s, "a", "kept")
			s.Heartbeat(ctx)
			before := backUp(t, srv)
			s.Heartbeat(ctx)
			s.Heartbeat(ctx)
			empty := fillMemory(srv)
			s.Heartbeat(ctx)
			wantOpen(t, "full", s)
			blip(t, srv, s, func() {
				empty()
				before.restore()
				fillMemory(srv)
			})
			s.Heartbeat(ctx)
			wantOpen(t, "it answers again, and is full", s)
			if !live(t, s, "a", kept) {
				t.Error("what is live is dead")
			}
		})
	}
}

// A revocation that a full Redis applied, and then lost, is replayed, however many there are. One for which the redo log
// has no room is not acknowledged.
func TestOutOfMemoryThenRollback(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s := b.Open(t)
	create(t, s, "a")
	c, err := s.Client(ctx, "a")
	must(t, err)
	tokens := make([]store.Digest, rollback.MaxEntries+10)
	for i := range tokens {
		tokens[i] = store.DigestOf(fmt.Sprint("token", i))
	}
	for i := range tokens {
		must(t, s.SaveToken(ctx, tokens[i], store.Credential{Generation: c.Generation}, b.Clock.Now().Add(time.Hour), nil))
	}
	s.Heartbeat(ctx)
	before, empty := backUp(t, srv), fillMemory(srv)
	ended := 0
	for _, d := range tokens {
		switch err := s.RevokeToken(ctx, d, store.Cause{}); {
		case err == nil:
			ended++
		case !errors.Is(err, store.ErrUnconfirmed):
			t.Fatal(err)
		}
	}
	if ended != rollback.MaxEntries {
		t.Errorf("%d ends were acknowledged, want %d", ended, rollback.MaxEntries)
	}
	if err := s.ConfirmRevoked(ctx, tokens[len(tokens)-1], true, "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("what may come back is confirmed to be gone: %v", err)
	}
	empty()
	before.restore()
	fillMemory(srv)
	s.Heartbeat(ctx)
	wantNone(t, "after a heartbeat", s, tokens[:ended])

	empty()
	s.Heartbeat(ctx)
	for _, d := range tokens[ended:] {
		must(t, s.RevokeToken(ctx, d, store.Cause{}))
	}
	wantNone(t, "with memory", s, tokens)
	if open := s.Pending(); open > 10 {
		t.Errorf("%d ends are not written down", open)
	}
}

func wantNone(t *testing.T, when string, s *store.Store, tokens []store.Digest) {
	t.Helper()
	live := 0
	for _, d := range tokens {
		if _, err := s.Credential(t.Context(), d); !errors.Is(err, store.ErrNotFound) {
			live++
		}
	}
	if live > 0 {
		t.Errorf("%s: of %d tokens that have ended %d are live", when, len(tokens), live)
	}
}
