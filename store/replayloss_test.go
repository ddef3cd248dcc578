package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// wantLossHandled fails the test unless what was used, and may have been lost just now, is never accepted, new assertions are
// accepted within half a minute, and secrets work at once.
func wantLossHandled(t *testing.T, what string, b *storetest.Backend, s *store.Store, used ...*store.ReplayRecord) {
	t.Helper()
	ctx := t.Context()
	must(t, s.SaveToken(ctx, store.DigestOf(what), store.Credential{}, b.Clock.Now().Add(time.Hour), nil))
	recovered := 0
	for second := range 6 * 60 {
		for _, u := range used {
			err := s.UseOnce(ctx, u)
			if second > 31 {
				wantErr(t, what+": half a minute later", err, store.ErrReplayed)
			}
			if err == nil || !errors.Is(err, store.ErrReplayed) && !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("%s: %d s after the loss an assertion that was used: %v", what, second, err)
			}
		}
		err := s.UseOnce(ctx, store.NewReplayRecord("client", what, time.Duration(second).String(), b.Clock.Now().Truncate(time.Second), b.Clock.Now().Add(5*time.Minute)))
		var later interface{ RetryAfter() time.Duration }
		switch {
		case err == nil && recovered == 0:
			recovered = second
		case err != nil && (recovered > 0 || !errors.Is(err, store.ErrUnavailable)):
			t.Fatalf("%s: %d s after the loss a new assertion: %v", what, second, err)
		case err != nil && (!errors.As(err, &later) || later.RetryAfter() > 31*time.Second || later.RetryAfter() <= 0):
			t.Fatalf("%s: %d s after the loss there is no Retry-After in %v", what, second, err)
		}
		b.Clock.Advance(time.Second)
		if second > 32 { // nothing changes any more
			b.Clock.Advance(30 * time.Second)
		}
	}
	if recovered < 25 || recovered > 31 {
		t.Errorf("%s: new assertions are accepted %d s after the loss, want half a minute", what, recovered)
	}
}

// ofBefore uses two assertions, of which one was created by a clock that is ahead.
func ofBefore(t *testing.T, b *storetest.Backend, s *store.Store) []*store.ReplayRecord {
	t.Helper()
	used := []*store.ReplayRecord{assertion(b, "now"), createdAt("ahead", b.Clock.Now().Add(25*time.Second))}
	for _, u := range used {
		must(t, s.UseOnce(t.Context(), u))
	}
	return used
}

func wantAccepted(t *testing.T, what string, b *storetest.Backend, s *store.Store) {
	t.Helper()
	must(t, s.UseOnce(t.Context(), assertion(b, what)))
	wantErr(t, what, s.UseOnce(t.Context(), assertion(b, what)), store.ErrReplayed)
}

// A backup that is restored under running replicas: an assertion from before stays used, at the replica that has
// noticed the loss and at one that starts later, with and without mintkeep fence.
func TestAssertionAfterARollback(t *testing.T) {
	t.Parallel()
	for name, fenced := range map[string]bool{"replayed": false, "fenced": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := storetest.Redis(t)
			b, ctx := srv.Backend(t), t.Context()
			s := b.Open(t)
			create(t, s, "a")
			s.Heartbeat(ctx)
			old := backUp(t, srv)
			if fenced {
				grow(t, b, s)
			}
			used := ofBefore(t, b, s)
			s.Heartbeat(ctx)
			old.restore()
			for _, u := range used {
				wantErr(t, "before a heartbeat", s.UseOnce(ctx, u), store.ErrUnavailable)
			}
			s.Heartbeat(ctx)
			if fenced {
				wantRejected(t, "old", s, store.ErrQuarantined)
				fence(t, b)
				s.Heartbeat(ctx)
			}
			wantOpen(t, "afterwards", s)
			later := b.Open(t)
			later.Heartbeat(ctx)
			wantErr(t, "at a replica that starts later", later.UseOnce(ctx, used[0]), store.ErrUnavailable)
			wantLossHandled(t, name, b, s, used...)
			wantErr(t, "at a replica that has started later", later.UseOnce(ctx, used[1]), store.ErrReplayed)
		})
	}
}

// A loss that one replica notices is known to the others: to those that run, by their next heartbeat, and to those that
// start later.
func TestLossIsShared(t *testing.T) {
	t.Parallel()
	for name, srv := range map[string]*storetest.Server{"redis": storetest.Redis(t), "cluster": storetest.Cluster(t)} {
		t.Run(name, func(t *testing.T) {
			b, ctx := srv.Backend(t), t.Context()
			one, other := b.Open(t), b.Open(t)
			one.Heartbeat(ctx)
			other.Heartbeat(ctx)
			used := ofBefore(t, b, one)
			loseUses(t, b, one, used...)
			one.Heartbeat(ctx)
			other.Heartbeat(ctx)
			started := b.Open(t)
			for i, s := range []*store.Store{one, other, started} {
				for _, u := range used {
					if err := s.UseOnce(ctx, u); !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("replica %d: got %v, want ErrUnavailable", i+1, err)
					}
				}
			}
			b.Clock.Advance(32 * time.Second)
			for _, s := range []*store.Store{one, other, started} {
				for _, u := range used {
					wantErr(t, "half a minute later", s.UseOnce(ctx, u), store.ErrReplayed)
				}
				must(t, s.UseOnce(ctx, store.NewReplayRecord("client", "a", rndName(), b.Clock.Now(), b.Clock.Now().Add(time.Minute))))
			}
		})
	}
}

// loseUses has Redis lose replay records, and the count behind each, as a failover does that loses the last moment: every
// watermark is still there.
func loseUses(t *testing.T, b *storetest.Backend, s *store.Store, used ...*store.ReplayRecord) {
	t.Helper()
	for _, u := range used {
		b.Do("DEL", "mk:j:"+string(u.Digest[:]))
	}
	for _, key := range s.EpochKeys() {
		for _, field := range b.Do("HKEYS", key).([]any) {
			if name := field.(string); len(name) > 2 && name[:2] == "u:" {
				b.Do("HDEL", key, name)
			}
		}
	}
}

func rndName() string { return time.Now().String() }

// A failover that loses what was written since the last heartbeat loses no watermark. It is noticed all the same, before
// an assertion is accepted.
func TestAssertionAfterAFailover(t *testing.T) {
	t.Parallel()
	primary, replica := storetest.Redis(t), storetest.Redis(t)
	follow(t, replica, primary)
	road := newRoad(t, primary)
	ctx, b := t.Context(), primary.Backend(t)
	s := b.Open(t, func(o *store.Options) { o.URL = "redis://" + road.Addr().String() })
	s.Heartbeat(ctx)
	s.Heartbeat(ctx)
	wantAccepted(t, "before", b, s)
	catchUp(t, replica, primary)
	must2(t)(replica.Do("REPLICAOF", "NO", "ONE"))
	used := ofBefore(t, b, s)
	road.lead(replica)
	for _, u := range used {
		wantErr(t, "after the failover", s.UseOnce(ctx, u), store.ErrUnavailable)
	}
	s.Heartbeat(ctx)
	wantLossHandled(t, "after the failover", b, s, used...)
}

// A Redis that is emptied without a new connection is noticed by the use itself.
func TestAssertionWhenRedisIsEmptied(t *testing.T) {
	t.Parallel()
	for name, srv := range map[string]*storetest.Server{"redis": storetest.Redis(t), "cluster": storetest.Cluster(t)} {
		t.Run(name, func(t *testing.T) {
			b, ctx := srv.Backend(t), t.Context()
			s := b.Open(t)
			s.Heartbeat(ctx)
			used := assertion(b, "one")
			must(t, s.UseOnce(ctx, used))
			b.Do("FLUSHALL")
			wantErr(t, "again", useFor(t, b, s, "again", used), store.ErrUnavailable)
			if isIssued(t, s, "again") {
				t.Error("the record of the token is there")
			}
		})
	}
}

// A replica that starts cannot tell a restored backup from intact data, if none was there before it. It rejects
// assertions for half a minute.
func TestAssertionAfterARestoreWhileNothingRan(t *testing.T) {
	t.Parallel()
	for name, srv := range map[string]*storetest.Server{"redis": storetest.Redis(t), "cluster": storetest.Cluster(t)} {
		t.Run(name, func(t *testing.T) {
			b, ctx := srv.Backend(t), t.Context()
			before := b.Open(t)
			before.Heartbeat(ctx)
			used := ofBefore(t, b, before)
			before.Leave(ctx)
			must(t, before.Close())
			loseUses(t, b, before, used...)
			b.Clock.Advance(6 * time.Second) // and the key that says that a replica is there expires
			s := b.Open(t)
			wantLossHandled(t, "started on "+name, b, s, used...)
		})
	}
}

// A first start, and a restart of one of several replicas, reject no assertion.
func TestAssertionAfterAStart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		one := b.Open(t)
		wantAccepted(t, "a first start", b, one)
		must(t, one.UseOnce(t.Context(), createdAt("of before", b.Clock.Now().Add(-4*time.Minute))))
		if b.Server == nil {
			return
		}
		for range 3 {
			one.Heartbeat(t.Context())
			restarted := b.Open(t)
			wantAccepted(t, "a replica beside another, "+rndName(), b, restarted)
			restarted.Leave(t.Context())
			b.Clock.Advance(10 * time.Second)
		}
	})
}

// Data of a version that uses nothing once has nothing to lose.
func TestAssertionAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	b.Do("HSET", "mk:epoch", "line", "x", "n", 4711, "r:y", 4710)
	wantAccepted(t, "upgraded", b, b.Open(t))
}

// mintkeep fence declares what is in Redis valid. What was used before it may have been lost.
func TestAssertionAfterAFence(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s, ctx := b.Open(t), t.Context()
	s.Heartbeat(ctx)
	used := ofBefore(t, b, s)
	for _, u := range used {
		b.Do("DEL", "mk:j:"+string(u.Digest[:]))
	}
	fence(t, b)
	s.Heartbeat(ctx)
	wantLossHandled(t, "fenced", b, s, used...)
}

// A loss that is told by a clock which is far ahead stops no replica for longer than a minute.
func TestLossByAWrongClock(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s, ctx := b.Open(t), t.Context()
	s.Heartbeat(ctx)
	b.Do("SET", "mk:fence", b.Clock.Now().Add(time.Hour).UnixMilli())
	b.Do("HSET", "mk:epoch", "lost", b.Clock.Now().Add(time.Hour).UnixMilli())
	s.Heartbeat(ctx)
	wantErr(t, "at once", s.UseOnce(ctx, assertion(b, "one")), store.ErrUnavailable)
	b.Clock.Advance(62 * time.Second)
	s.Heartbeat(context.WithoutCancel(ctx))
	wantAccepted(t, "a minute later", b, s)
}
