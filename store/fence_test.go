package store_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// fence does what mintkeep fence does.
func fence(t *testing.T, b *storetest.Backend) {
	t.Helper()
	tool := b.Open(t)
	must2(t)(tool.RevokeAllTokens(t.Context(), store.Cause{}, nil))
	must2(t)(tool.Fence(t.Context()))
}

// A fence counts for a replica that has not observed Redis since the rollback. A fence from before the rollback does not.
func TestFenceBeforeTheFirstObservation(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	s := b.Open(t)
	create(t, s, "a")
	s.Heartbeat(ctx)
	s.Heartbeat(ctx)
	for range 2 {
		b.Clock.Advance(time.Second)
		b.Do("FLUSHALL")
		fence(t, b)
		s.Heartbeat(ctx)
		wantOpen(t, "fenced after the loss", s)
		s.Heartbeat(ctx)
		s.Heartbeat(ctx)
	}
	last := b.Do("GET", "mk:fence")
	b.Do("FLUSHALL")
	b.Do("SET", "mk:fence", last)
	s.Heartbeat(ctx)
	wantRejected(t, "with the fence that it had", s, store.ErrQuarantined)
}

// In a store that was fenced, a replica replays its own revocations before its breaker closes: no other may know them.
func TestFenceKeepsRevocations(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s := b.Open(t)
	u := add(t, s, "u@example.com")
	k := makeKey(t, b, s, u, "k", 0)
	s.Heartbeat(ctx)
	old := backUp(t, srv)
	grow(t, b, s)
	must2(t)(s.RevokeKey(ctx, k.ID, ended(b, "stolen")))
	s.Heartbeat(ctx)
	old.restore()
	s.Heartbeat(ctx)
	wantRejected(t, "old", s, store.ErrQuarantined)
	fence(t, b)
	s.Heartbeat(ctx)
	wantOpen(t, "fenced", s)
	if opens(t, b, s, k) {
		t.Error("the key that it has ended is live")
	}
	if n := s.Pending(); n != 0 {
		t.Errorf("%d ends are not written down", n)
	}
}

// inAHeartbeat is a hook that does something once, before a heartbeat writes.
type inAHeartbeat struct{ do atomic.Pointer[func()] }

func (h *inAHeartbeat) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *inAHeartbeat) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *inAHeartbeat) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "hsetnx" {
			if do := h.do.Swap(nil); do != nil {
				(*do)()
			}
		}
		return next(ctx, cmds)
	}
}

// An old backup that appears during a heartbeat gets the watermark, and is noticed all the same.
func TestOldBackupDuringAHeartbeat(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx, h := srv.Backend(t), t.Context(), &inAHeartbeat{}
	s := b.Open(t, func(o *store.Options) { o.Instrument = func(c redis.UniversalClient) { c.AddHook(h) } })
	create(t, s, "a")
	s.Heartbeat(ctx)
	s.Heartbeat(ctx)
	old := backUp(t, srv)
	grow(t, b, s)
	restore := old.restore
	h.do.Store(&restore)
	for range 3 {
		s.Heartbeat(ctx)
		wantRejected(t, "old", s, store.ErrQuarantined)
	}
	started := b.Open(t) // to which it seems that another replica was there all the time
	wantErr(t, "an assertion at a replica that starts", started.UseOnce(ctx, assertion(b, "one")), store.ErrUnavailable)
	fence(t, b)
	s.Heartbeat(ctx)
	wantOpen(t, "fenced", s)
}

// A client whose entry in the list was lost is fenced like all others, and listed again.
func TestFenceFindsWhatIsNotListed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		ghost, other := create(t, s, "ghost"), create(t, s, "other")
		u := add(t, s, "u@example.com")
		b.Do("ZREM", "mk:clients:id", "ghost")
		b.Do("ZREM", "mk:clients:name", "\x00ghost")
		b.Do("ZREM", "mk:users:id", u.ID)
		if n, err := s.RevokeAllTokens(ctx, store.Cause{}, nil); err != nil || n != 2 {
			t.Errorf("got %d, %v; want 2 clients", n, err)
		}
		if n, err := s.RevokeAllSessions(ctx, store.Cause{}, nil); err != nil || n != 1 {
			t.Errorf("got %d, %v; want 1 user", n, err)
		}
		for _, before := range []*store.Client{ghost, other} {
			after, err := s.Client(ctx, before.ID)
			if err != nil || before.Generation.Matches(after.Generation) {
				t.Errorf("%s: its tokens of before are active, %v", before.ID, err)
			}
		}
		if n, err := s.ListAll(ctx); err != nil || n != 2 {
			t.Errorf("got %d, %v; want 2 that were missing", n, err)
		}
		page, _, err := s.Clients(ctx, "", "", 10)
		if err != nil || len(page) != 2 {
			t.Errorf("listed %d, %v; want both clients", len(page), err)
		}
		if users, _, err := s.Users(ctx, "u@ex", "", 10); err != nil || len(users) != 1 {
			t.Errorf("listed %d, %v; want the user", len(users), err)
		}
		if n, err := s.ListAll(ctx); err != nil || n != 0 {
			t.Errorf("again: got %d, %v; want none", n, err)
		}
	})
}
