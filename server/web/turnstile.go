package web

import (
	"container/list"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"time"
)

const (
	// roomPerProcessor is how many requests are worked on at once while the processors are behind. Few enough that
	// each is through in a fraction of its store budget, enough for full batches (store/batch.go).
	roomPerProcessor = 256
	// longestWait is for how long a request is let wait for its turn, as far as that can be foreseen: such that it
	// is answered within a second.
	longestWait = 750 * time.Millisecond
	// paceOver is over how many requests the pace of the server is reckoned: a tenth of a second's or so, lest every
	// hiccup of the machine be taken for the pace.
	paceOver = 1024
	// behindAfter is how long ready work waits for a processor before the processors count as behind.
	behindAfter = 2 * time.Millisecond
)

// turnstile keeps the server useful when it is asked for more than its processors can do. Without one, all that came
// would be worked on at once, each request would take the longer the more there are, and in the end each would be given
// up by its caller, or run out of its store budget, when most of the work for it was done.
//
// While the processors are behind, only so many requests as have room are worked on. The others wait, in the order in
// which they came, and before they have cost much. One that would wait too long is refused at once: its caller can ask
// another replica.
//
// A bound on the requests at once would do harm by itself: with a Redis that is far away, or slow today, a thousand may
// be waiting for it while the processors have nothing to do. So what counts is how long ready work waits for a
// processor. While that is next to nothing nobody waits here.
type turnstile struct {
	room int           // zero: roomPerProcessor
	lag  func() bool   // whether the processors are behind; nil: as the runtime tells
	long time.Duration // zero: longestWait

	mu     sync.Mutex
	sched  schedule
	inside int
	queue  list.List     // of chan struct{}, closed when the turn has come; empty while there is room
	pace   time.Duration // between two who leave, while others wait
	left   time.Time     // when the last of these left
}

// errOverloaded is what the log has of a request that got no turn.
var errOverloaded = errors.New("overloaded: more requests wait for a processor than can be answered in time; add replicas, or processors")

// overloaded is the answer to it. Not all come back at the same moment.
func overloaded() *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "The server has more to do than it can; try again in a moment",
		RetryAfter:  time.Duration(1+rand.IntN(2)) * time.Second, //nolint:gosec // no secret
		Cause:       errOverloaded,
	}
}

// enter waits for a turn, which [turnstile.leave] gives back. It is false when none will come in time, or nobody waits
// for the answer any more.
func (t *turnstile) enter(ctx context.Context, now time.Time) bool {
	t.mu.Lock()
	t.prepare()
	free := !t.behind(now)
	if t.inside < t.room || free && t.queue.Len() == 0 {
		t.inside++
		t.mu.Unlock()
		return true
	}
	if ahead := t.queue.Len() + max(0, t.inside-t.room); time.Duration(ahead)*t.pace > t.long {
		t.mu.Unlock()
		return false
	}
	turn := make(chan struct{})
	place := t.queue.PushBack(turn)
	t.admit(free)
	t.mu.Unlock()
	return t.await(ctx, turn, place)
}

func (t *turnstile) await(ctx context.Context, turn chan struct{}, place *list.Element) bool {
	timer := time.NewTimer(t.long) // what was foreseen may turn out wrong; the store's budget comes on top
	defer timer.Stop()
	select {
	case <-turn:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-turn: // it came at the same moment
		return true
	default:
		t.queue.Remove(place)
		return false
	}
}

// leave gives a turn back.
func (t *turnstile) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inside--
	if t.queue.Len() == 0 {
		t.left = time.Time{}
		return
	}
	now := time.Now()
	if !t.left.IsZero() {
		t.pace += (now.Sub(t.left) - t.pace) / paceOver
	}
	t.left = now
	t.admit(!t.behind(now))
}

// admit gives turns to those who have waited longest: as many as there is room for, and two when the processors are
// free, whatever the room.
func (t *turnstile) admit(free bool) {
	extra := 0
	if free {
		extra = 2
	}
	for ; t.queue.Len() > 0 && (t.inside < t.room || extra > 0); extra-- {
		close(t.queue.Remove(t.queue.Front()).(chan struct{}))
		t.inside++
	}
}

func (t *turnstile) prepare() {
	if t.room == 0 {
		t.room = roomPerProcessor * runtime.GOMAXPROCS(0)
	}
	if t.long == 0 {
		t.long = longestWait
	}
}

// behind is whether ready work waits for a processor.
func (t *turnstile) behind(now time.Time) bool {
	if t.lag != nil {
		return t.lag()
	}
	return t.sched.behind(now)
}
