package feed

import (
	"context"
	"time"
)

// Question is one poll of a guard.
type Question struct {
	After   string        // the cursor of the last answer; empty: none
	Wait    time.Duration // how long the answer may wait for a void
	Arrived time.Time     // when the request arrived
	Drain   <-chan struct{}
}

// Answer is what a guard is told.
type Answer struct {
	Cursor Cursor
	// Reset: this continues nothing, and the guard forgets all its answers.
	Reset bool
	Voids *Voids
	// More: there are more voids, so that the guard asks again at once.
	More bool
	// Fresh: all that was appended until so long after the arrival of the question is in this answer or in earlier ones. It is
	// the time at which the newest look was sent all of whose entries these answers have. Negative: it was sent before the question
	// arrived.
	Fresh time.Duration
	// Read is when this replica read the first of the voids, repeated ones apart; zero: there are none. That void may have
	// been appended up to 200 ms earlier: voids are gathered.
	Read time.Time
}

// lookPatience is how long a poll that needs a look waits for one.
const lookPatience = 350 * time.Millisecond

// Poll answers a guard. It waits until there is something to say, at most as long as the question allows, or until the
// drain. The error matches [redisdb.ErrUnavailable]: the guard is told nothing. No command is sent because of it.
func (f *Feed) Poll(ctx context.Context, q Question) (*Answer, error) {
	f.want()
	f.enter(1)
	defer f.enter(-1)
	after, isCursor := ParseCursor(q.After)
	if !isCursor {
		return f.reset(ctx, q)
	}
	f.mu.Lock()
	from, ok := f.ring.find(after)
	epoch, ahead := f.ring.epoch, f.ring.isAhead(after)
	f.mu.Unlock()
	if !ok && ahead { // another replica has read more
		if err := f.awaitLook(ctx, q); err != nil {
			return nil, err
		}
		f.mu.Lock()
		from, ok = f.ring.find(after)
		epoch = f.ring.epoch
		f.mu.Unlock()
	}
	if !ok {
		return f.reset(ctx, q)
	}
	return f.await(ctx, q, epoch, from)
}

// enter counts waiting polls.
func (f *Feed) enter(n int) {
	f.mu.Lock()
	f.waiting += n
	f.mu.Unlock()
	if n < 0 {
		f.pace.answered()
	}
}

// await waits until something follows the position, and answers.
func (f *Feed) await(ctx context.Context, q Question, epoch, from uint64) (*Answer, error) {
	end := time.NewTimer(time.Until(q.Arrived.Add(q.Wait)))
	defer end.Stop()
	for {
		f.mu.Lock()
		news := f.news
		if f.ring.epoch != epoch || !f.ring.continues(from) {
			f.mu.Unlock()
			return f.reset(ctx, q)
		}
		if f.wakesSince(from) {
			a := f.answer(q, from)
			f.mu.Unlock()
			return a, nil
		}
		f.mu.Unlock()
		select {
		case <-news:
		case <-end.C:
			if err := f.awaitLook(ctx, q); err != nil {
				return nil, err
			}
			return f.answerNow(ctx, q, epoch, from)
		case <-q.Drain:
			return f.answerNow(ctx, q, epoch, from)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// wakesSince is whether an entry from this position on is worth an answer. The caller holds the lock.
func (f *Feed) wakesSince(from uint64) bool {
	for i := from - f.ring.first; i < uint64(len(f.ring.entries)); i++ {
		if f.ring.entries[i].wakes() {
			return true
		}
	}
	return false
}

func (f *Feed) answerNow(ctx context.Context, q Question, epoch, from uint64) (*Answer, error) {
	f.mu.Lock()
	if f.ring.epoch == epoch && f.ring.continues(from) {
		defer f.mu.Unlock()
		return f.answer(q, from), nil
	}
	f.mu.Unlock()
	return f.reset(ctx, q)
}

// answer says what follows a position that continues. The caller holds the lock.
func (f *Feed) answer(q Question, from uint64) *Answer {
	part := f.ring.since(from)
	return &Answer{Cursor: f.ring.cursorBefore(part.to), Voids: part.voids, More: part.more, Fresh: f.fresh(q, part.to), Read: part.read}
}

// fresh is Answer.Fresh of an answer with all entries before a position. The caller holds the lock.
func (f *Feed) fresh(q Question, to uint64) time.Duration {
	if f.trouble != nil || f.last.end > to || f.last.sent.Before(q.Arrived) {
		return -1
	}
	return f.last.sent.Sub(q.Arrived)
}

// reset answers a question whose cursor is not valid.
func (f *Feed) reset(ctx context.Context, q Question) (*Answer, error) {
	if err := f.awaitLook(ctx, q); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ring.newest() == nil {
		return nil, errNoLook
	}
	return &Answer{Cursor: f.ring.newest().Cursor, Reset: true, Fresh: f.fresh(q, f.ring.end())}, nil
}

// awaitLook waits for a look that was sent after the question arrived and that counts. The error is why there is none.
func (f *Feed) awaitLook(ctx context.Context, q Question) error {
	looks, trouble, counts := f.hasLooked(q)
	if counts {
		return nil
	}
	f.hurried.Add(1)
	defer f.hurried.Add(-1)
	patience := time.NewTimer(lookPatience)
	defer patience.Stop()
	for ; !counts; looks, trouble, counts = f.hasLooked(q) {
		select {
		case <-looks:
		case <-patience.C:
			if trouble == nil {
				trouble = errNoLook
			}
			return trouble
		case <-q.Drain:
			return errDraining
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// hasLooked is whether a look counts that was sent after the question arrived; if not, why, and when the next has ended.
func (f *Feed) hasLooked(q Question) (next <-chan struct{}, trouble error, counts bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.looks, f.trouble, f.trouble == nil && !f.last.sent.Before(q.Arrived)
}

var errDraining = unavailable("this replica is shutting down")
