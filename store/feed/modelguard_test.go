package feed

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

const (
	modelLease   = time.Second
	modelHandles = 6
)

// guardModel is a guard as docs/consistency.md describes one. It asks about everything that it does not know.
type guardModel struct {
	w    *world
	name string

	mu     sync.Mutex
	after  string
	known  time.Time
	active map[int]bool // what it answers from memory
	asking map[int]bool
	stamp  int         // counts voids and resets
	voided map[int]int // handle → the stamp of its last void
	reset  int         // the stamp of the last reset
}

func modelHandle(h int) Handle { return OfClient(fmt.Sprint(h)) }

func (g *guardModel) run() {
	for !g.w.isOver() {
		answered := make(chan struct{})
		wait := time.Duration([]int{0, 100, 450}[g.w.intn(3)]) * time.Millisecond
		g.w.wg.Go(func() { defer close(answered); g.poll(wait) })
		late := time.NewTimer(wait + 150*time.Millisecond)
		select {
		case <-answered:
		case <-late.C: // the next poll goes elsewhere; the answer may come later
		}
		late.Stop()
		if g.w.chance(10) {
			time.Sleep(g.w.until(2 * modelLease))
		}
	}
}

// poll asks any replica.
func (g *guardModel) poll(wait time.Duration) {
	r := g.w.anyReplica()
	g.mu.Lock()
	after := g.after
	g.mu.Unlock()
	sent := time.Now()
	time.Sleep(g.w.latency())
	if r == nil || r.isDead() {
		time.Sleep(50 * time.Millisecond)
		return
	}
	r.stand()
	a, err := r.f.Poll(context.Background(), Question{After: after, Wait: wait, Arrived: time.Now()})
	r.stand()
	time.Sleep(g.w.latency())
	switch {
	case err != nil:
		time.Sleep(50 * time.Millisecond)
	case !g.w.chance(30): // else the answer is lost
		g.apply(sent, after, a)
	}
}

func (g *guardModel) apply(sent time.Time, after string, a *Answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.w.step()
	if after != g.after {
		return
	}
	g.after = a.Cursor.String()
	if a.Reset {
		g.stamp++
		g.reset = g.stamp
		clear(g.active)
	}
	for h := range modelHandles {
		for _, voided := range a.Voids.Handles() {
			if voided == modelHandle(h) {
				g.stamp++
				g.voided[h] = g.stamp
				delete(g.active, h)
			}
		}
	}
	if known := sent.Add(a.Fresh); a.Fresh >= 0 && !a.More && known.After(g.known) {
		g.known = known
	}
	g.w.judge(g)
	for h := range modelHandles {
		if !g.active[h] && !g.asking[h] {
			g.asking[h] = true
			stamp := g.stamp
			g.w.wg.Go(func() { g.ask(h, stamp) })
		}
	}
}

// ask is one question about a credential.
func (g *guardModel) ask(h, stamp int) {
	time.Sleep(g.w.latency())
	active := g.w.introspect(h)
	time.Sleep(g.w.latency())
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.asking, h)
	if active && stamp >= g.voided[h] && stamp >= g.reset {
		g.active[h] = true
		g.w.judge(g)
	}
}

// revocation is one that was acknowledged.
type revocation struct {
	number int
	at     time.Time
	excess time.Duration // how much later it may be known, as is documented
}

// judge is the promise. Everything that was revoked before the moment up to which a guard knows everything, it has
// forgotten; so it answers at most a lease after a revocation from memory. It does not cover a revocation that Redis has lost,
// of which introspection does not know either.
func (w *world) judge(g *guardModel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for h := range maps.Keys(g.active) {
		r, revoked := w.revoked[h]
		if revoked && w.deleted()[h] == r.number && g.known.After(r.at.Add(r.excess)) && w.violation == "" {
			w.violation = fmt.Sprintf("%s: revocation %d of %d was acknowledged at %s; guard %s knows everything until %s, and answers \"active\" from memory",
				w.ago(time.Now()), r.number, h, w.ago(r.at), g.name, w.ago(g.known))
		}
	}
}
