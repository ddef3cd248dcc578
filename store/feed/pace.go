package feed

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// Voids are gathered for gatherMin, so that they travel together; longer if it takes long to answer all guards, up to
	// gatherMax: so answering them takes at most a quarter of the time.
	gatherMin = 10 * time.Millisecond
	gatherMax = 200 * time.Millisecond
	// retryMin, doubled at each failure up to retryMax, is the time until the next look after one that failed.
	retryMin = 10 * time.Millisecond
	retryMax = 250 * time.Millisecond
)

// pace is the time between two looks.
type pace struct {
	pause time.Duration // only Run's

	mu      sync.Mutex
	woken   time.Time // when waiting polls were woken last, and
	pending int       // how many have not gone on since
	took    time.Duration
}

// wake notes that so many waiting polls are answered now.
func (p *pace) wake(waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.woken, p.pending = time.Now(), waiting
}

// answered notes that one of them was.
func (p *pace) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == 0 {
		return
	}
	if p.pending--; p.pending == 0 {
		p.took = time.Since(p.woken)
	}
}

// gather is how long voids are gathered.
func (p *pace) gather() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.took
	if p.pending > 0 {
		took = max(took, time.Since(p.woken))
	}
	return min(max(4*took, gatherMin), gatherMax)
}

// looked decides how long to wait after a look.
func (p *pace) looked(woken, blocked bool, err error) {
	switch {
	case errors.Is(err, errMore), errors.Is(err, errGone), errors.Is(err, errUnmarked) && p.pause < retryMin:
		p.pause = 0
	case err != nil:
		p.pause = min(max(2*p.pause, retryMin), retryMax)
	case woken:
		p.pause = p.gather()
	case !blocked:
		p.pause = gatherMin
	default:
		p.pause = 0
	}
}

func (p *pace) wait(ctx context.Context) {
	if p.pause == 0 {
		return
	}
	select {
	case <-time.After(p.pause):
	case <-ctx.Done():
	}
}
