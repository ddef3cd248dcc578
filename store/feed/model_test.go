package feed

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// TestModel lets guards poll the real feed of several replicas, over a Redis that is only a model, while everything goes
// wrong that can, in virtual time: failovers that lose the last writes, data that goes back, late and lost commands and
// answers, replicas that stop and go on, start, leave and are killed, replicas that do not append.
//
//	go test ./store/feed -run TestModel -rapid.checks=300   the long form
func TestModel(t *testing.T) {
	checks := "40"
	if testing.Short() { // with the race detector
		checks = "6"
	}
	unlessGiven(t, "rapid.checks", checks)
	steps := 0
	rapid.Check(t, func(rt *rapid.T) {
		plan := modelPlan{
			Seed: rapid.Uint64().Draw(rt, "seed"), Cluster: rapid.Bool().Draw(rt, "cluster"),
			Hidden: rapid.IntRange(0, 5).Draw(rt, "hidden") == 5,
			Events: rapid.SliceOfN(rapid.Custom(drawEvent), 150, 150).Draw(rt, "events"),
		}
		var w *world
		synctest.Test(t, func(*testing.T) { w = plan.run() })
		steps += int(w.steps.Load())
		if w.violation != "" {
			rt.Fatalf("%s\n%v", w.violation, w.log[max(0, len(w.log)-40):])
		}
	})
	t.Logf("%d steps", steps)
}

// unlessGiven sets a flag of rapid's for this test, unless the command line did.
func unlessGiven(t *testing.T, name, value string) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if given {
		return
	}
	f := flag.Lookup(name)
	was := f.Value.String()
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(was) })
}

type modelPlan struct {
	Seed    uint64
	Cluster bool // the records of credentials are on another shard, which loses nothing
	Hidden  bool // INFO is not allowed
	Events  []modelEvent
}

type modelEvent struct {
	What string
	Wait time.Duration
	Arg  int
}

// modelEvents are what may happen, and how often.
var modelEvents = map[string]int{
	"revoke": 40, "enable": 15, "rest": 10,
	"failover": 4, "lose": 4, "isolate": 2, "go back": 3, "trim": 3, "delete": 2, "memory": 2, "clock": 2,
	"restart": 4, "kill": 3, "stop": 5, "drop": 4, "stranger": 2, "break": 1,
}

func drawEvent(rt *rapid.T) modelEvent {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(modelEvents)) {
		names = append(names, slices.Repeat([]string{name}, modelEvents[name])...)
	}
	return modelEvent{
		What: rapid.SampledFrom(names).Draw(rt, "what"), Arg: rapid.IntRange(0, 1000).Draw(rt, "arg"),
		Wait: time.Duration(rapid.SampledFrom([]int{1, 20, 90, 200, 500, 1200}).Draw(rt, "wait")) * time.Millisecond,
	}
}

// world is all that is outside of the feed.
type world struct {
	wg     sync.WaitGroup
	begun  time.Time
	hidden bool
	length int  // of the stream
	smooth bool // nothing is late or lost but by an event
	steps  atomic.Int64
	sent   atomic.Int64 // pipelines
	// between is called behind each command. Nil: nothing happens there.
	between func(*redisModel, redis.Cmder)
	trusted func() bool // of each replica; nil: always
	over    atomic.Bool

	mu        sync.Mutex
	rand      *rand.Rand
	primary   *redisModel
	replicas  []*replicaModel
	moved     time.Time   // when an isolated primary goes away
	records   map[int]int // of the other shard; nil: they are where the feed is
	revoked   map[int]revocation
	number    int
	strangers int
	lost      time.Time // when writes were lost last
	wentBack  time.Time // when they were under the same replication id
	log       []string
	violation string
}

func (p modelPlan) run() *world {
	w := &world{
		begun: time.Now(), hidden: p.Hidden, length: 48, rand: rand.New(rand.NewPCG(p.Seed, 1)), revoked: map[int]revocation{},
	}
	if p.Cluster {
		w.records = map[int]int{}
	}
	w.primary = w.newRedis(newData())
	for range 3 {
		w.start()
	}
	for i := range 3 {
		g := &guardModel{w: w, name: fmt.Sprint(i), active: map[int]bool{}, asking: map[int]bool{}, voided: map[int]int{}}
		w.wg.Go(g.run)
	}
	for _, e := range p.Events {
		time.Sleep(e.Wait)
		if w.isOver() {
			break
		}
		w.note("%s %d", e.What, e.Arg)
		w.happen(e)
		w.step()
	}
	time.Sleep(3 * time.Second)
	w.over.Store(true)
	for _, r := range w.living() {
		r.leave()
	}
	w.wg.Wait()
	return w
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, w.ago(time.Now())+" "+fmt.Sprintf(format, args...)+"\n")
}

func (w *world) ago(at time.Time) string { return at.Sub(w.begun).String() }
func (w *world) step()                   { w.steps.Add(1) }

func (w *world) isOver() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over.Load() || w.violation != ""
}

func (w *world) intn(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

func (w *world) chance(of int) bool                  { return !w.smooth && w.intn(of) == 0 }
func (w *world) until(d time.Duration) time.Duration { return time.Duration(w.intn(int(d))) + 1 }

// latency is mostly short.
func (w *world) latency() time.Duration {
	if w.chance(50) {
		return w.until(700 * time.Millisecond)
	}
	return w.until(2 * time.Millisecond)
}

func (w *world) newRedis(d *data) *redisModel {
	return &redisModel{w: w, replid: fmt.Sprint("replid", w.rand.Uint64()), primary: true, up: true, d: d, changed: make(chan struct{})}
}

// deleted are the records of what is revoked. The caller holds the lock.
func (w *world) deleted() map[int]int {
	if w.records != nil {
		return w.records
	}
	return w.primary.d.deleted
}

func (w *world) introspect(h int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deleted()[h] == 0
}

// setDeleted changes a record. 0: it is not revoked.
func (w *world) setDeleted(h, number int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.records != nil {
		w.records[h] = number
	} else {
		w.primary.write(func(d *data) { d.deleted[h] = number })
	}
}

func (w *world) living() (living []*replicaModel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.replicas {
		if !r.isDead() {
			living = append(living, r)
		}
	}
	return living
}

func (w *world) anyReplica() *replicaModel {
	living := w.living()
	if len(living) == 0 {
		return nil
	}
	return living[w.intn(len(living))]
}

// replicaModel is a replica with a real feed.
type replicaModel struct {
	w       *world
	id      string
	f       *Feed
	own     *link
	cancel  context.CancelFunc
	left    chan struct{}
	dead    atomic.Bool
	stopped atomic.Int64 // until when, in nanoseconds since the beginning
}

func (r *replicaModel) isDead() bool { return r.dead.Load() }

// stand waits while the process is stopped.
func (r *replicaModel) stand() {
	for {
		left := time.Until(r.w.begun.Add(time.Duration(r.stopped.Load())))
		if left <= 0 {
			return
		}
		time.Sleep(left)
	}
}

func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.mu.Lock()
	r := &replicaModel{w: w, id: fmt.Sprintf("r%d", len(w.replicas)), cancel: cancel, left: make(chan struct{})}
	w.replicas = append(w.replicas, r)
	w.mu.Unlock()
	r.f = newFeed(Options{
		Key: modelKey, BeatsKey: modelBeats, Replica: r.id, Logger: slog.New(slog.DiscardHandler), Watermarks: r.watermarks, Trusted: w.trusted,
	})
	r.f.limit = 5
	r.own = &link{r: r}
	r.f.own, r.f.pool = r.own.send, (&link{r: r, pool: true}).send
	ran := make(chan struct{})
	w.wg.Go(func() { defer close(ran); r.f.Run(ctx) })
	w.wg.Go(func() {
		defer close(r.left)
		r.f.Beat(ctx)
		for ctx.Err() == nil {
			r.heartbeat()
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
		<-ran
		if !r.isDead() {
			w.mu.Lock()
			w.primary.write(func(d *data) { delete(d.marks, r.id) })
			w.mu.Unlock()
			r.f.Leave(context.Background())
		}
	})
}

func (r *replicaModel) watermarks(context.Context) (Watermarks, error) {
	r.stand()
	time.Sleep(r.w.latency())
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return Watermarks{Counter: r.w.primary.d.counter, Of: maps.Clone(r.w.primary.d.marks)}, nil
}

func (r *replicaModel) heartbeat() {
	r.stand()
	if r.isDead() {
		return
	}
	r.w.writeWatermark(r.id)
}

func (w *world) writeWatermark(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.primary.oom {
		w.primary.write(func(d *data) { d.counter, d.marks[id] = d.counter+1, d.counter })
	}
}

func (r *replicaModel) leave() {
	r.cancel()
	<-r.left
	r.dead.Store(true)
}

func (r *replicaModel) kill() {
	r.dead.Store(true)
	r.cancel()
}
