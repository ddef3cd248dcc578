package load

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// lease is how long a guard answers from memory after the moment up to which it has every void.
const lease = time.Second

// revoked are the tokens that a load revokes, and when the answer that acknowledged it was read.
type revoked struct {
	tokens []string
	index  map[string]int
	at     []atomic.Int64 // in nanoseconds since begun; 0: not yet
	begun  time.Time
}

func newRevoked(tokens []string) *revoked {
	r := &revoked{tokens: tokens, index: map[string]int{}, at: make([]atomic.Int64, len(tokens)), begun: time.Now()}
	for i, token := range tokens {
		digest := sha256.Sum256([]byte(token))
		r.index[base64.RawURLEncoding.EncodeToString(digest[:16])] = i
	}
	return r
}

func (r *revoked) since() time.Duration { return time.Since(r.begun) }

// guards are simulated ones: each polls the feed as a guard does, and notes when it learns of each revocation.
type guards struct {
	tb      testing.TB
	addrs   []string
	header  string
	revoked *revoked
	all     []*guard
	stop    atomic.Bool
	working sync.WaitGroup
}

type guard struct {
	of    *guards
	name  string
	addr  int
	wire  *wire
	after string

	mu     sync.Mutex
	known  time.Duration // since begun
	began  bool
	oldest time.Duration // how old what it knew was at most
	learnt []bool        // which revocations it was told of
	took   [3_000]uint32 // of those, by milliseconds
	late   int           // those of which it was told when it knew of later ones already
	voids  int
	polls  int
	resets int
	failed int
	first  error // of those
}

// startGuards starts so many guards, which poll the servers in turn.
func startGuards(tb testing.TB, n int, header string, r *revoked, addrs ...string) *guards {
	tb.Helper()
	g := &guards{tb: tb, addrs: addrs, header: header, revoked: r}
	for i := range n {
		it := &guard{of: g, name: fmt.Sprintf("guard-%d", i), addr: i % len(addrs), learnt: make([]bool, len(r.tokens))}
		g.all = append(g.all, it)
		g.working.Go(it.run)
	}
	tb.Cleanup(g.end)
	g.await("is not current", func(it *guard) bool { return it.began })
	return g
}

func (g *guards) end() {
	g.stop.Store(true)
	g.working.Wait()
}

// await waits until all guards are so.
func (g *guards) await(otherwise string, is func(*guard) bool) {
	g.tb.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		var lacks *guard
		for _, it := range g.all {
			it.mu.Lock()
			if !is(it) {
				lacks = it
			}
			it.mu.Unlock()
		}
		if lacks == nil {
			return
		}
		if time.Since(begun) > patience {
			g.tb.Fatalf("%s %s; %v", lacks.name, otherwise, lacks.first)
		}
	}
}

// forget forgets how old what the guards knew was, for the next measurement.
func (g *guards) forget() {
	for _, it := range g.all {
		it.mu.Lock()
		it.oldest, it.polls = 0, 0
		it.mu.Unlock()
	}
}

// changes is an answer of the feed.
type changes struct {
	Nonce  string
	Cursor string
	Reset  bool
	More   bool
	Void   []string
	Fresh  *int64
}

func (it *guard) run() {
	for n := 0; !it.of.stop.Load(); n++ {
		if err := it.poll(n); err != nil {
			it.mu.Lock()
			it.failed++
			if it.first == nil {
				it.first = err
			}
			it.mu.Unlock()
			if it.wire != nil {
				it.wire.close()
				it.wire = nil
			}
			it.addr = (it.addr + 1) % len(it.of.addrs)
			time.Sleep(50 * time.Millisecond)
		}
	}
	if it.wire != nil {
		it.wire.close()
	}
}

func (it *guard) poll(n int) (err error) {
	if it.wire == nil || it.wire.last {
		if it.wire != nil { // this server drains
			it.wire.close()
			it.addr = (it.addr + 1) % len(it.of.addrs)
		}
		if it.wire, err = dial(it.of.addrs[it.addr]); err != nil {
			it.wire = nil
			return err
		}
	}
	nonce := fmt.Sprintf("%08d-%s", n, it.name)
	body := fmt.Sprintf(`{"after":%q,"wait":450,"nonce":%q,"instance":%q,"lease":1000}`, it.after, nonce, it.name)
	if it.after == "" {
		body = fmt.Sprintf(`{"nonce":%q,"instance":%q}`, nonce, it.name)
	}
	sent := it.of.revoked.since()
	a, err := it.wire.ask(fmt.Appendf(nil, "POST /oauth/changes HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", it.of.header, len(body), body))
	if err != nil {
		return err
	}
	if a.status != 200 {
		return fmt.Errorf("%s", a)
	}
	var c changes
	if err := json.Unmarshal(a.body, &c); err != nil {
		return err
	}
	if c.Nonce != nonce {
		return fmt.Errorf("the nonce is %q", c.Nonce)
	}
	it.take(c, sent)
	return nil
}

// take processes an answer.
func (it *guard) take(c changes, sent time.Duration) {
	now := it.of.revoked.since()
	it.mu.Lock()
	defer it.mu.Unlock()
	it.after = c.Cursor
	it.polls++
	if c.Reset {
		it.resets++
	}
	for _, handle := range c.Void {
		it.voids++
		i, ours := it.of.revoked.index[handle]
		if !ours || it.learnt[i] {
			continue
		}
		it.learnt[i] = true
		at := time.Duration(it.of.revoked.at[i].Load())
		took := time.Duration(0)
		if at > 0 {
			took = max(0, now-at)
		}
		it.took[min(took.Milliseconds(), int64(len(it.took)-1))]++
		if at > 0 && it.began && it.known > at { // it answered from memory as if it knew
			it.late++
		}
	}
	if c.Fresh == nil || c.More {
		return
	}
	if it.began {
		it.oldest = max(it.oldest, now-it.known)
	}
	if known := sent + time.Duration(*c.Fresh)*time.Millisecond; !it.began || known > it.known {
		it.known, it.began = known, true
	}
}

// propagation is how long after the acknowledgement the guards were told, in milliseconds.
func (g *guards) propagation() (p50, p99, most int, told int) {
	var sum []uint64
	for _, it := range g.all {
		it.mu.Lock()
		if sum == nil {
			sum = make([]uint64, len(it.took))
		}
		for ms, n := range it.took {
			sum[ms] += uint64(n)
			told += int(n)
		}
		it.mu.Unlock()
	}
	at := func(share float64) int {
		left := uint64(share * float64(told))
		for ms, n := range sum {
			if n > left {
				return ms
			}
			left -= n
		}
		return len(sum) - 1
	}
	for ms, n := range sum {
		if n > 0 {
			most = ms
		}
	}
	return at(0.5), at(0.99), most, told
}

// sum adds up something of all guards, and the most of something.
func (g *guards) sum(of func(*guard) int) (sum, most int) {
	for _, it := range g.all {
		it.mu.Lock()
		n := of(it)
		it.mu.Unlock()
		sum, most = sum+n, max(most, n)
	}
	return sum, most
}
