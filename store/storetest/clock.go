package storetest

import (
	"sync"
	"testing"
	"time"
)

// Clock is a time that moves only by hand.
type Clock struct {
	mu        sync.Mutex
	now       time.Time
	onAdvance []func(time.Duration)
}

// NewClock returns a clock that stands at the present, to the millisecond.
func NewClock(t testing.TB) *Clock {
	start := time.Now().UTC().Truncate(time.Millisecond)
	c := &Clock{now: start}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the clock was moved by %v to %v", c.Now().Sub(start), c.Now())
		}
	})
	return c
}

// Now is what the Now of every Options wants.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock by d and lets the backend that it belongs to age as much: when it returns, what
// has expired by then is gone, from a real Redis too.
//
// While the clock stands, the one of a real Redis runs on. So a test on one should not come nearer to the end
// of a lifetime than it takes to run itself on a busy machine; half a minute will do.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	hooks := c.onAdvance
	c.mu.Unlock()

	for _, f := range hooks {
		f(d)
	}
}

// OnAdvance has f called at every [Clock.Advance], after the clock was moved.
func (c *Clock) OnAdvance(f func(d time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onAdvance = append(c.onAdvance, f)
}
