package feed

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// Voids are gathered for minGather, so that they travel together; longer if it takes long to answer all guards, up to
	// maxGather. Until then, answering takes at most a fifth of the time.
	minGather = 10 * time.Millisecond
	maxGather = 200 * time.Millisecond
	// minRetry, doubled at each failure up to maxRetry, is the time until the next look after one that failed.
	minRetry = 10 * time.Millisecond
	maxRetry = 250 * time.Millisecond
)

// pace is the time between two looks.
type pace struct {
	pause    time.Duration // only Run's, as
	unmarked bool          // the last look has appended a mark

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
	return min(max(4*took, minGather), maxGather)
}

// looked decides how long to wait after a look. Not at all, if there is more to read, or a mark was just appended. If the
// mark is still missing after that, Redis has rejected it.
func (p *pace) looked(woken, blocked bool, err error) {
	wasUnmarked := p.unmarked
	p.unmarked = errors.Is(err, errUnmarked)
	switch {
	case errors.Is(err, errMore), errors.Is(err, errGone), p.unmarked && !wasUnmarked:
		p.pause = 0
	case err != nil:
		p.pause = min(max(2*p.pause, minRetry), maxRetry)
	case woken:
		p.pause = p.gather()
	case !blocked:
		p.pause = minGather
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
