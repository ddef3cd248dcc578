package store_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// beatsKey has the beats of the replicas that append what they revoke.
const beatsKey = "mk:feed:beats:{mk:feed}"

// guard polls the feed of a store as a guard does, and remembers which credentials are active. It fails the test if it would
// answer from memory that one is active, later than its revocation was acknowledged and its lease is over.
type guard struct {
	t     *testing.T
	s     *store.Store // that it polls
	after string
	void  []feed.Handle // since the last reset
	reset int

	known  time.Time                 // up to when it has every void
	active map[feed.Handle]time.Time // what it remembers to be active, and when it asked
	acks   *acknowledged             // nil: it is not judged
}

// acknowledged are the revocations that were answered with success, and when. Several guards share them.
type acknowledged struct {
	mu sync.Mutex
	at map[feed.Handle]time.Time
}

// revoked notes that the revocation of a handle was acknowledged just now.
func (k *acknowledged) revoked(h feed.Handle) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at == nil {
		k.at = map[feed.Handle]time.Time{}
	}
	k.at[h] = time.Now()
}

func newGuard(t *testing.T, s *store.Store) *guard {
	return &guard{t: t, s: s, active: map[feed.Handle]time.Time{}, acks: &acknowledged{}}
}

// remember is a guard that has just asked about these, and was told that they are active.
func (g *guard) remember(handles ...feed.Handle) {
	for _, h := range handles {
		g.active[h] = time.Now()
	}
}

// ask sends one poll.
func (g *guard) ask(wait time.Duration) (*feed.Answer, error) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	sent := time.Now()
	a, err := g.s.Feed().Poll(ctx, feed.Question{After: g.after, Wait: wait, Arrived: sent})
	if err != nil {
		return nil, err
	}
	g.after = a.Cursor.String()
	if a.Reset {
		g.reset++
		g.void = nil
		clear(g.active)
	}
	g.void = append(g.void, a.Voids.Handles()...)
	for _, h := range a.Voids.Handles() {
		delete(g.active, h)
	}
	if n := len(a.Voids.Handles()); n > 4_096 {
		g.t.Errorf("an answer has %d handles", n)
	}
	if !a.More && a.Fresh >= 0 {
		g.known = sent.Add(a.Fresh)
		g.judge()
	}
	return a, nil
}

// judge fails the test if the guard knows everything up to a moment after the acknowledgement of a revocation, and still
// has what it asked before: until the end of its lease it would answer so from memory.
func (g *guard) judge() {
	g.t.Helper()
	if g.acks == nil {
		return
	}
	g.acks.mu.Lock()
	defer g.acks.mu.Unlock()
	for h, at := range g.acks.at {
		if asked, remembered := g.active[h]; remembered && asked.Before(at) && g.known.After(at) {
			g.t.Errorf("the guard knows everything up to %v after a revocation was acknowledged, and has missed it", g.known.Sub(at))
		}
	}
}

// poll sends one poll, and again while the feed does not answer.
func (g *guard) poll(wait time.Duration) *feed.Answer {
	g.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		a, err := g.ask(wait)
		if err == nil {
			return a
		}
		wantErr(g.t, "a poll", err, store.ErrUnavailable)
		if time.Now().After(deadline) {
			g.t.Fatal(err)
		}
	}
}

// pollUntil polls until ok.
func (g *guard) pollUntil(what string, wait time.Duration, ok func(*feed.Answer) bool) {
	g.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(g.poll(wait)); {
		if time.Now().After(deadline) {
			g.t.Fatal("not within a minute: ", what)
		}
	}
}

// catchUp polls until the guard knows everything up to now.
func (g *guard) catchUp() {
	g.t.Helper()
	now := time.Now()
	g.pollUntil("the guard knows everything", 0, func(*feed.Answer) bool { return g.known.After(now) })
}

// wantNoAnswer fails the test if the store says that anything is known up to now. It may tell what it has read, once.
func (g *guard) wantNoAnswer(what string) {
	g.t.Helper()
	before := g.reset
	for range 10 {
		a, err := g.ask(0)
		if err != nil {
			wantErr(g.t, what, err, store.ErrUnavailable)
			return
		}
		if a.Fresh >= 0 || g.reset > before {
			g.t.Errorf("%s: the answer to a poll is %+v", what, a)
		}
	}
	g.t.Errorf("%s: polls are answered", what)
}

// wantReset fails the test unless the guard was reset so often.
func (g *guard) wantReset(what string, times int) {
	g.t.Helper()
	if g.reset != times {
		g.t.Errorf("%s: the guard was reset %d times, want %d", what, g.reset, times)
	}
}

// wantVoid fails the test unless the guard was told to forget each of these, since it was reset last, in this order.
func (g *guard) wantVoid(what string, want ...feed.Handle) {
	g.t.Helper()
	var got []feed.Handle
	has := map[feed.Handle]bool{}
	for _, h := range g.void { // it may be told twice
		if !has[h] {
			has[h] = true
			got = append(got, h)
		}
	}
	for i := range max(len(got), len(want)) {
		if i >= min(len(got), len(want)) || got[i] != want[i] {
			g.t.Errorf("%s: the guard was told to forget %d, want %d; the first difference is at %d", what, len(got), len(want), i)
			return
		}
	}
}

// feeding has a store append what it revokes.
func feeding(o *store.Options) { o.Feed = true }

// running runs a store until the test is over, or stop is called.
func running(t *testing.T, s *store.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); s.Run(ctx) }()
	stop = func() { cancel(); <-ran }
	t.Cleanup(stop)
	return stop
}

// runFeed opens a store that appends what it revokes, and runs it.
func runFeed(t *testing.T, b *storetest.Backend, change ...func(*store.Options)) *store.Store {
	t.Helper()
	s := b.Open(t, append(change, feeding)...)
	running(t, s)
	return s
}

// awaitContinuous waits until so many replicas say that their feed is continuous: a replica that starts from now on needs no mark.
func awaitContinuous(t *testing.T, srv *storetest.Server, n int) {
	t.Helper()
	srv.Await("replicas whose feed is continuous", func(ctx context.Context, c *redis.Client) bool {
		continuous := 0
		for _, beat := range c.HGetAll(ctx, beatsKey).Val() {
			if n, err := strconv.Atoi(beat); err == nil && n > 0 {
				continuous++
			}
		}
		return continuous >= n
	})
}

// settled is a guard that was reset once, and has polled each of the replicas.
func settled(t *testing.T, replicas ...*store.Store) *guard {
	t.Helper()
	for _, s := range replicas {
		newGuard(t, s).catchUp()
	}
	g := newGuard(t, replicas[0])
	g.catchUp()
	return g
}

func TestFeed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := runFeed(t, b)
		create(t, s, "billing")
		billing := feed.OfClient("billing")
		g := newGuard(t, s)
		if a := g.poll(0); !a.Reset || a.Fresh < 0 {
			t.Fatalf("the first answer is %+v", a)
		}
		g.remember(billing)
		must(t, s.DisableClient(t.Context(), "billing", store.Cause{}))
		g.acks.revoked(billing)
		g.pollUntil("a void", time.Second, func(*feed.Answer) bool { return len(g.void) > 0 })
		g.wantVoid("disabled", billing)
		g.catchUp()
		g.wantReset("at last", 1)
	})
}

// awaitBeats waits until each replica has beaten once more at this server.
func awaitBeats(t *testing.T, srv *storetest.Server) {
	t.Helper()
	var before map[string]string
	srv.Await("beats of all replicas", func(ctx context.Context, c *redis.Client) bool {
		now := c.HGetAll(ctx, beatsKey).Val()
		if before == nil {
			before = now
		}
		for replica, beat := range before {
			if now[replica] == beat {
				return false
			}
		}
		return len(before) > 0
	})
}
