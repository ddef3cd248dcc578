package faults

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

const (
	guardCount = 20
	// guardLease is how long a guard answers from memory after the moment up to which it has every void.
	guardLease = time.Second
	// guardPace is the time between two checks of one guard.
	guardPace = 20 * time.Millisecond
)

// guard keeps what introspection said, is told by the feed what to forget, and answers the checks of its callers from memory
// while its lease lasts. It asks only while it has a lease, so that a fault does not multiply the calls.
type guard struct {
	*load
	number int
	dice   *mathrand.Rand

	mu       sync.Mutex
	cursor   string
	known    time.Duration // up to then it has every void; by the clock of the history
	current  bool
	applied  uint64 // counts voids and resets
	reset    uint64 // applied, at the last reset
	voided   map[string]uint64
	verdicts map[string]verdict
}

// verdict is an active answer of introspection.
type verdict struct {
	ties  []string
	until time.Duration
}

// guards are those of a scene.
type guards struct {
	all     []*guard
	answers atomic.Int64 // from memory
	voids   atomic.Int64
	resets  atomic.Int64
}

// guard starts the guards.
func (l *load) guard(done <-chan struct{}) {
	l.guards = &guards{}
	for i := range guardCount {
		g := &guard{load: l, number: 500 + i, dice: mathrand.New(mathrand.NewPCG(uint64(i), 9))}
		g.voided, g.verdicts = map[string]uint64{}, map[string]verdict{}
		l.guards.all = append(l.guards.all, g)
		l.workers.Go(func() { g.each(done, 0, g.poll) })
		l.workers.Go(func() { g.each(done, guardPace, g.answer) })
	}
}

// each repeats something until the load is over, and not while it pauses.
func (g *guard) each(done <-chan struct{}, pace time.Duration, do func()) {
	for {
		select {
		case <-done:
			return
		default:
		}
		g.working.RLock()
		do()
		g.working.RUnlock()
		time.Sleep(pace)
	}
}

// areCurrent is whether all guards have a lease.
func (g *guards) areCurrent() bool {
	for _, it := range g.all {
		it.mu.Lock()
		current := it.hasLease(it.log.Now())
		it.mu.Unlock()
		if !current {
			return false
		}
	}
	return true
}

// awaitGuards waits until all guards have a lease again, and have done enough to prove something.
func (s *scene) awaitGuards() {
	s.t.Helper()
	processtest.Eventually(s.t, processtest.Patience, func() bool {
		return s.guards.areCurrent() && s.guards.answers.Load() >= 50 && s.guards.voids.Load() >= guardCount
	}, func() string {
		return fmt.Sprintf("not all guards have a lease again: %d answers from memory, %d voids\n%s", s.guards.answers.Load(), s.guards.voids.Load(), s.state())
	})
}

// hasLease is whether it may answer from memory. The caller holds the lock.
func (g *guard) hasLease(now time.Duration) bool { return g.current && now-g.known <= guardLease }

// feedAnswer is an answer of the feed.
type feedAnswer struct {
	Nonce, Cursor string
	Reset, More   bool
	Void          []string
	Fresh         *int64
}

func (g *guard) poll() {
	nonce := rand.Text()
	g.mu.Lock()
	body := fmt.Sprintf(`{"after":%q,"wait":200,"nonce":%q,"instance":"guard-%d","lease":%d}`, g.cursor, nonce, g.number, guardLease.Milliseconds())
	g.mu.Unlock()
	sent := g.log.Now()
	a := g.caller.Call(http.MethodPost, "/oauth/changes", "application/json", body, g.auditor)
	var c feedAnswer
	if !g.expects("POST /oauth/changes", a) || json.Unmarshal([]byte(a.Body), &c) != nil || c.Nonce != nonce {
		time.Sleep(50 * time.Millisecond)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cursor = c.Cursor
	if c.Reset {
		g.applied++
		g.reset = g.applied
		g.verdicts = map[string]verdict{}
		g.guards.resets.Add(1)
	}
	for _, tie := range c.Void {
		g.applied++
		g.voided[tie] = g.applied
		for name, v := range g.verdicts {
			for _, its := range v.ties {
				if its == tie {
					delete(g.verdicts, name)
				}
			}
		}
	}
	g.guards.voids.Add(int64(len(c.Void)))
	if c.Fresh != nil && !c.More {
		g.known, g.current = max(g.known, sent+time.Duration(*c.Fresh)*time.Millisecond), true
	}
}

// answer checks a credential: from memory, or by a question whose answer is kept.
func (g *guard) answer() {
	c, ok := g.pick(g.dice)
	if !ok {
		return
	}
	g.mu.Lock()
	now := g.log.Now()
	v, remembered := g.verdicts[c.name()]
	current, known, stamp := g.hasLease(now), g.known, g.applied
	g.mu.Unlock()
	switch {
	case !current:
	case remembered && now < v.until:
		g.log.Add(history.Event{
			Worker: g.number, Op: history.Check, On: c.name(), Answer: history.Active, Start: now, End: now, Lease: guardLease,
			Note: fmt.Sprintf("from memory, known at %.4f s", known.Seconds()),
		})
		g.guards.answers.Add(1)
	default:
		g.ask(c, stamp)
	}
}

func (g *guard) ask(c credential, stamp uint64) {
	sent := g.log.Now()
	a := g.caller.Form("/oauth/introspect", g.auditor, url.Values{"token": {c.value}, "ties": {"true"}})
	var v struct {
		Active bool
		Ties   []string
		Left   *int64
	}
	if !g.expects("POST /oauth/introspect", a) || json.Unmarshal([]byte(a.Body), &v) != nil || !v.Active {
		return
	}
	if len(v.Ties) == 0 {
		g.ledger.wrong("introspection has no ties: %s", a.Body)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tie := range v.Ties {
		if g.voided[tie] > stamp || g.reset > stamp {
			return // what was answered may be older than the void
		}
	}
	until := time.Duration(1<<63 - 1)
	if v.Left != nil {
		until = sent + time.Duration(*v.Left)*time.Millisecond
	}
	g.verdicts[c.name()] = verdict{v.Ties, until}
}

// expects is whether the answer is 200. During a fault it may be 503, or missing; and 401 where data is lost.
func (g *guard) expects(what string, a processtest.Answer) bool {
	switch {
	case a.Err != nil, a.Header.Get(unanswered) != "", a.Status == http.StatusServiceUnavailable:
	case a.Status == http.StatusUnauthorized && g.lossy:
	case a.Status != http.StatusOK:
		g.ledger.wrong("%s: %d %s", what, a.Status, strings.TrimSpace(a.Body))
	}
	return a.Err == nil && a.Status == http.StatusOK
}
