package faults

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// credential is a token or key that a worker uses or checks.
type credential struct {
	kind  string // "token" or "key"
	value string
	id    string // of a key
}

// name is its name in the history.
func (c credential) name() string { return named(c.kind, c.value) }

func named(kind, value string) string {
	digest := sha256.Sum256([]byte(value))
	return kind + " " + hex.EncodeToString(digest[:8])
}

// load is the workers and what they share.
type load struct {
	log    *history.Log
	ledger *ledger
	caller processtest.Caller // of the front

	// auditor is the Authorization header of the client that introspects tokens and is never changed.
	auditor string
	// lossy is whether this fault makes the store lose data: then a client or user may be missing.
	lossy bool
	pace  time.Duration

	mu     sync.Mutex
	known  []credential // all of the run
	claims int

	stop    context.CancelFunc
	workers sync.WaitGroup
	working sync.RWMutex // held for writing while the load pauses

	disperse func() // stops the crowd
	guards   *guards
}

// strangers gives every request an address of its own, as if through a trusted proxy: the failures that are intended
// here must not be limited as the guesses of one caller.
type strangers struct{ *http.Transport }

func (s strangers) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", rand.IntN(256), rand.IntN(256), rand.IntN(256)))
	return s.Transport.RoundTrip(r)
}

func newCaller(url string) processtest.Caller {
	return processtest.Caller{URL: url, HTTP: &http.Client{
		Transport: strangers{&http.Transport{MaxIdleConnsPerHost: 64}}, Timeout: callTimeout,
	}}
}

// run starts n workers, and the guards.
func (l *load) run(n int) {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	for i := range n {
		w := &worker{load: l, number: i + 1, dice: rand.New(rand.NewPCG(uint64(i), 7))}
		l.workers.Go(func() { w.work(ctx) })
	}
	l.guard(ctx.Done())
}

// finish stops the workers after their current calls.
func (l *load) finish() {
	l.stop()
	l.workers.Wait()
}

// pause holds all workers between two calls until the function that it returns is called.
func (l *load) pause() (resume func()) {
	l.working.Lock()
	return l.working.Unlock
}

// learn makes a credential known to all workers.
func (l *load) learn(c credential) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = append(l.known, c)
}

// pick is a credential of any worker, most often a recent one.
func (l *load) pick(dice *rand.Rand) (credential, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.known
	if dice.IntN(4) > 0 {
		from = from[max(0, len(from)-60):]
	}
	if len(from) == 0 {
		return credential{}, false
	}
	return from[dice.IntN(len(from))], true
}

// claim is the next id to claim: each is given to two workers.
func (l *load) claim() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claims++
	return fmt.Sprintf("claimed-%d", l.claims/2)
}

// check asks whether a credential is active and records the answer. The caller is the front's, or a server's.
func (l *load) check(by processtest.Caller, worker int, c credential, note string) {
	e := history.Event{Worker: worker, Op: history.Check, On: c.name(), Answer: history.Unknown, Start: l.log.Now()}
	var a processtest.Answer
	switch {
	case c.kind == "key" || len(c.value)%5 == 0: // some tokens too
		a = by.Me(c.value)
		l.ledger.note("GET /api/v1/users/me", a, http.StatusOK, http.StatusUnauthorized)
		switch a.Status {
		case http.StatusOK:
			e.Answer = history.Active
		case http.StatusUnauthorized:
			e.Answer = history.Inactive
		}
	default:
		a = by.Introspect(l.auditor, c.value)
		l.ledger.note("POST /oauth/introspect", a, l.expect(http.StatusOK, http.StatusUnauthorized)...)
		switch {
		case a.Active():
			e.Answer = history.Active
		case a.Inactive():
			e.Answer = history.Inactive
		}
	}
	if a.Err != nil { // the answer was cut short
		e.Answer = history.Unknown
	}
	e.End, e.Note = l.log.Now(), fmt.Sprintf("%s%d", note, a.Status)
	l.log.Add(e)
}

// expect adds the statuses that are allowed once the store has lost data.
func (l *load) expect(status int, forgetful ...int) []int {
	if l.lossy {
		return append(forgetful, status)
	}
	return []int{status}
}

// crowd starts n more workers, until disperse.
func (l *load) crowd(n int) {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range n {
		w := &worker{load: l, number: 1000 + i, dice: rand.New(rand.NewPCG(uint64(i), 8))}
		all.Go(func() { w.work(ctx) })
	}
	l.disperse = func() {
		stop()
		all.Wait()
	}
}
