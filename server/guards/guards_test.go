package guards_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// replica is a server as far as guards see it.
type replica struct {
	*guards.Registry
	store *store.Store
	clock *storetest.Clock
}

func start(t *testing.T, b *storetest.Backend) *replica {
	t.Helper()
	s := b.Open(t, func(o *store.Options) { o.Feed = true })
	r := &replica{store: s, clock: b.Clock, Registry: guards.New(guards.Options{
		Store: s, Audit: &audit.Log{Store: s, Now: b.Clock.Now}, Now: b.Clock.Now, Logger: slog.New(slog.DiscardHandler), WriteEvery: 100 * time.Millisecond,
	})}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return r
}

// instance is a guard that polls replicas in turn until it is stopped.
type instance struct {
	name string
	stop context.CancelFunc
	done chan struct{}
}

func poll(t *testing.T, name string, replicas ...*replica) *instance {
	ctx, stop := context.WithCancel(t.Context())
	g := &instance{name, stop, make(chan struct{})}
	go func() {
		defer close(g.done)
		after, served := "", int64(0)
		for i := 0; ctx.Err() == nil; i++ {
			r := replicas[i%len(replicas)]
			served += 10
			p := guards.Poll{
				Instance: name, ClientID: "orders", Version: "0.1.0", Lease: time.Second, Entries: 7, Served: served, Refused: served / 10,
				After: after, At: r.clock.Now(), Address: "192.0.2.1",
			}
			r.Asked(p)
			arrived := time.Now()
			a, err := r.store.Feed().Poll(ctx, feed.Question{After: after, Wait: 200 * time.Millisecond, Arrived: arrived})
			if err != nil {
				continue
			}
			after = a.Cursor.String()
			p.At, p.Lag = r.clock.Now(), -1
			if a.Fresh >= 0 && !a.More {
				p.Lag = time.Since(arrived) - a.Fresh
			}
			r.Heard(p)
		}
	}()
	t.Cleanup(g.end)
	return g
}

func (g *instance) end() { g.stop(); <-g.done }

// list waits until the guards are as wanted, as "name state".
func (r *replica) wantList(t *testing.T, want ...string) []guards.Guard {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		list, err := r.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, g := range list.Guards {
			state := "current"
			if g.Late {
				state = "late"
			}
			got = append(got, g.Instance+" "+state)
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return list.Guards
		}
	}
	t.Fatalf("the list has %q, want %q", got, want)
	return nil
}

func TestStoppedGuardIsLateAndThenForgotten(t *testing.T) {
	t.Parallel()
	r := start(t, storetest.Embedded(t))
	poll(t, "orders-1", r)
	stopped := poll(t, "orders-2", r)
	r.wantList(t, "orders-1 current", "orders-2 current")
	stopped.end()
	r.clock.Advance(1500 * time.Millisecond)
	found := r.wantList(t, "orders-1 current", "orders-2 late")
	if lag := found[1].Lag; lag < 1500*time.Millisecond || lag > 2500*time.Millisecond {
		t.Errorf("the lag of the one that stopped is %v", lag)
	}
	if g := found[0]; g.ClientID != "orders" || g.Version != "0.1.0" || g.Lease != time.Second || g.Entries != 7 || g.Served == 0 || g.Refused == 0 {
		t.Errorf("the guard is listed as %+v", g)
	}
	if ago := r.clock.Now().Sub(found[1].LastHeard); ago < 1500*time.Millisecond || ago > 2500*time.Millisecond {
		t.Errorf("the one that stopped was heard of %v ago", ago)
	}
	r.clock.Advance(time.Minute)
	r.wantList(t, "orders-1 current")
}

func TestReplicasShareWhatTheyHear(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			return // there is one replica
		}
		one, other := start(t, b), start(t, b)
		poll(t, "orders-1", one)
		poll(t, "orders-2", other)
		both := poll(t, "orders-3", one, other)
		want := []string{"orders-1 current", "orders-2 current", "orders-3 current"}
		one.wantList(t, want...)
		other.wantList(t, want...)
		both.end()
		b.Clock.Advance(1500 * time.Millisecond)
		one.wantList(t, "orders-1 current", "orders-2 current", "orders-3 late")
		other.wantList(t, "orders-1 current", "orders-2 current", "orders-3 late")
	})
}

func TestTooManyGuards(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	r := start(t, b)
	for i := range guards.MaxGuards + 1 {
		r.Heard(guards.Poll{Instance: fmt.Sprint(i), ClientID: "orders", At: b.Clock.Now(), Lag: -1})
	}
	r.Heard(guards.Poll{Instance: "1", ClientID: "orders", Version: "2", At: b.Clock.Now(), Lag: -1})
	list, err := r.List(t.Context())
	if err != nil || len(list.Guards) != guards.MaxGuards || !list.Full {
		t.Errorf("%d guards are listed, full: %v, %v", len(list.Guards), list.Full, err)
	}
	id, err := r.Probe(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.Passed(t.Context(), id, 0); err != nil || len(p.Guards) != guards.MaxGuards || !p.Full || p.Complete {
		t.Errorf("a probe counts %d guards, %v", len(p.Guards), err)
	}
	b.Clock.Advance(time.Minute + time.Second)
	r.Heard(guards.Poll{Instance: "new", ClientID: "orders", At: b.Clock.Now(), Lag: -1})
	if list, err = r.List(t.Context()); err != nil || len(list.Guards) != 1 || list.Full {
		t.Errorf("a minute later %d guards are listed, full: %v, %v", len(list.Guards), list.Full, err)
	}
}

// A poll is noted within a microsecond or so, in any case without an allocation that grows with the number of guards.
func BenchmarkHeard(b *testing.B) {
	r := guards.New(guards.Options{Store: storetest.Embedded(b).Open(b), Now: time.Now})
	p := guards.Poll{Instance: "orders-1", ClientID: "orders", Lease: time.Second, At: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		p.At = p.At.Add(time.Millisecond)
		r.Heard(p)
	}
}
