package guards_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

var operator = audit.Actor{Name: audit.AdminTokenName}

func (r *replica) probe(t *testing.T) string {
	t.Helper()
	id, err := r.Probe(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// settled waits until the probe is complete.
func (r *replica) settled(t *testing.T, id string) *guards.Progress {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		p, err := r.Passed(t.Context(), id, guards.MaxWait)
		if err != nil {
			t.Fatal(err)
		}
		if p.Complete {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("the probe is not complete: %+v", p)
		}
	}
}

func in(p *guards.Progress, s guards.State) (names []string) {
	for _, g := range p.Guards {
		if g.State == s {
			names = append(names, g.Instance)
		}
	}
	return names
}

func TestProbeIsPassedByEachGuardAtEveryReplica(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		one := start(t, b)
		other := one
		if b.Server != nil {
			other = start(t, b)
		}
		var want []string
		for i := range 12 {
			name := fmt.Sprintf("orders-%d", i)
			poll(t, name, [][]*replica{{one}, {other}, {one, other}}[i%3]...)
			want = append(want, name+" current")
		}
		slices.Sort(want)
		one.wantList(t, want...)
		id := one.probe(t)
		p := other.settled(t, id)
		if got := in(p, guards.Passed); len(got) != 12 || p.Full {
			t.Errorf("%q have passed the probe: %+v", got, p)
		}
		// It voids nothing, and is one event of the audit log.
		events, _, err := one.store.Events(t.Context(), store.EventFilter{Action: string(audit.GuardsProbed)})
		if err != nil || len(events) != 1 || events[0].Actor != operator.Name || events[0].Detail["probe"] != id {
			t.Errorf("the audit log has %+v, %v", events, err)
		}
		for _, key := range []string{"mk:guards:probe:{mk:feed}:" + id} {
			if left := b.Client().PTTL(t.Context(), key).Val(); b.Name != "cluster" && (left <= 0 || left > time.Minute) {
				t.Errorf("%s expires in %v", key, left)
			}
		}
		b.Clock.Advance(2 * time.Minute)
		if _, err := other.Passed(t.Context(), id, 0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("two minutes later the probe is read with %v", err)
		}
	})
}

func TestProbeNamesTheGuardThatStopped(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	r := start(t, b)
	poll(t, "orders-1", r)
	stopped := poll(t, "orders-2", r)
	r.wantList(t, "orders-1 current", "orders-2 current")
	stopped.end()
	id := r.probe(t)
	p := r.until(t, id, "orders-1")
	if p.Complete || !slices.Equal(in(p, guards.Waiting), []string{"orders-2"}) {
		t.Errorf("before the lease of orders-2 has run out: %+v", p)
	}
	b.Clock.Advance(1200 * time.Millisecond)
	p = r.settled(t, id)
	if silent := in(p, guards.Silent); !slices.Equal(silent, []string{"orders-2"}) || len(in(p, guards.Passed)) != 1 {
		t.Errorf("behind its lease: %+v", p)
	}
	if g := p.Guards[0]; g.Silence < 1200*time.Millisecond || g.Lease != time.Second {
		t.Errorf("the guard that stopped is %+v", g)
	}
}

// until waits until a guard has passed the probe.
func (r *replica) until(t *testing.T, id, name string) *guards.Progress {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		p, err := r.Passed(t.Context(), id, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(in(p, guards.Passed), name) {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has not passed the probe: %+v", name, p)
		}
	}
}

// A guard that polls, and never with a newer cursor, has read nothing: it does not pass, and it is not silent.
func TestProbeIsNotPassedByOldCursor(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	r := start(t, b)
	a, err := r.store.Feed().Poll(t.Context(), feed.Question{Arrived: time.Now()})
	for err != nil {
		a, err = r.store.Feed().Poll(t.Context(), feed.Question{Arrived: time.Now()})
	}
	old := func() {
		r.Asked(guards.Poll{Instance: "stuck", ClientID: "orders", Lease: time.Second, After: a.Cursor.String(), At: b.Clock.Now()})
	}
	old()
	poll(t, "orders-1", r)
	id := r.probe(t)
	r.until(t, id, "orders-1")
	for range 3 {
		b.Clock.Advance(900 * time.Millisecond)
		old()
		p, err := r.Passed(t.Context(), id, 300*time.Millisecond)
		if err != nil || p.Complete || !slices.Equal(in(p, guards.Waiting), []string{"stuck"}) {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	for _, cursor := range []string{"", "x", feed.Cursor{}.String()} {
		r.Asked(guards.Poll{Instance: "stuck", ClientID: "orders", Lease: time.Second, After: cursor, At: b.Clock.Now()})
		if p, err := r.Passed(t.Context(), id, 200*time.Millisecond); err != nil || p.Complete {
			t.Errorf("with the cursor %q: %+v, %v", cursor, p, err)
		}
	}
}

func TestProbeWithoutGuards(t *testing.T) {
	t.Parallel()
	r := start(t, storetest.Embedded(t))
	if p := r.settled(t, r.probe(t)); len(p.Guards) != 0 {
		t.Errorf("%+v", p)
	}
	if _, err := r.Passed(t.Context(), "probe_unknown", time.Second); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown probe is read with %v", err)
	}
	for range 63 {
		r.probe(t)
	}
	if _, err := r.Probe(t.Context(), operator); !errors.Is(err, guards.ErrTooManyProbes) {
		t.Errorf("the 65th probe: %v", err)
	}
}

func TestWithoutFeed(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := b.Open(t)
	r := guards.New(guards.Options{Store: s, Audit: &audit.Log{Store: s, Now: b.Clock.Now}, Now: b.Clock.Now})
	r.Run(context.Background()) // returns
	_, listed := r.List(t.Context())
	_, probed := r.Probe(t.Context(), operator)
	_, passed := r.Passed(t.Context(), "probe_x", 0)
	for what, err := range map[string]error{"list": listed, "probe": probed, "progress": passed} {
		if !errors.Is(err, guards.ErrNoFeed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The first poll of a client in a day is an event, whatever instances it has.
func TestFirstPollOfClientIsRecorded(t *testing.T) {
	t.Parallel()
	r := start(t, storetest.Embedded(t))
	events := func(n int) []store.Event {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			found, _, err := r.store.Events(t.Context(), store.EventFilter{Action: string(audit.GuardJoined)})
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("%+v, %v", found, err)
			}
			if len(found) >= n {
				return found
			}
		}
	}
	poll(t, "orders-1", r)
	poll(t, "orders-2", r)
	if e := events(1)[0]; e.Actor != "client:orders" || e.Target != "client:orders" || e.Address != "192.0.2.1" || e.Detail["version"] != "0.1.0" {
		t.Errorf("the event is %+v", e)
	}
	r.Heard(guards.Poll{Instance: "1", ClientID: "billing", At: r.clock.Now(), Lag: -1})
	if found := events(2); len(found) != 2 || found[0].Actor != "client:billing" {
		t.Errorf("the events are %+v", found)
	}
}
