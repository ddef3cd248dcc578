package overload

import (
	"container/list"
	"context"
	"runtime"
	"sync"
	"time"
)

const (
	// limitPerProcessor is the default Limit. Few enough that each request is done in a fraction of its store budget,
	// enough for full batches to Redis.
	limitPerProcessor = 256
	// defaultMaxWait makes an answer possible within a second.
	defaultMaxWait = 750 * time.Millisecond
	// paceSamples is how many requests the pace is averaged over. They take a tenth of a second or so, so that a short
	// stall of the machine is not taken for the pace.
	paceSamples = 1024
)

// Limiter bounds how many requests run at once while the processors are overloaded. The zero value is ready to use. It is
// safe for concurrent use.
type Limiter struct {
	Limit      int           // how many requests run at once in overload; zero: 256 per processor
	MaxWait    time.Duration // for how long a request may wait, foreseen or real; zero: 750 ms
	Overloaded func() bool   // whether the processors are overloaded; nil: as the Go runtime tells

	mu       sync.Mutex
	probe    latencyProbe
	running  int
	queue    list.List     // of chan struct{}, closed when the request may run; empty while there is room
	pace     time.Duration // between two that are done, while others wait
	lastDone time.Time     // when the last of these was done; zero: none waited then
}

// Acquire waits until the request may run, which then calls [Limiter.Release] when it is done. It is false when the
// request is shed: it would wait longer than MaxWait, has done so, or ctx is done.
func (l *Limiter) Acquire(ctx context.Context, now time.Time) bool {
	l.mu.Lock()
	l.setDefaults()
	free := !l.overloaded(now)
	if l.running < l.Limit || free && l.queue.Len() == 0 {
		l.running++
		l.mu.Unlock()
		return true
	}
	if ahead := l.queue.Len() + max(0, l.running-l.Limit); time.Duration(ahead)*l.pace > l.MaxWait {
		l.mu.Unlock()
		return false
	}
	admitted := make(chan struct{})
	place := l.queue.PushBack(admitted)
	l.admit(free)
	l.mu.Unlock()
	return l.await(ctx, admitted, place)
}

func (l *Limiter) await(ctx context.Context, admitted chan struct{}, place *list.Element) bool {
	timer := time.NewTimer(l.MaxWait) // what was foreseen may turn out wrong; the store's budget comes on top
	defer timer.Stop()
	select {
	case <-admitted:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-admitted: // at the same moment
		return true
	default:
		l.queue.Remove(place)
		return false
	}
}

// Release is called by a request that is done.
func (l *Limiter) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	if l.queue.Len() == 0 {
		l.lastDone = time.Time{}
		return
	}
	now := time.Now()
	if !l.lastDone.IsZero() {
		l.pace += (now.Sub(l.lastDone) - l.pace) / paceSamples
	}
	l.lastDone = now
	l.admit(!l.overloaded(now))
}

// admit lets those run that have waited longest: as many as there is room for, and at least two when the processors are
// free.
func (l *Limiter) admit(free bool) {
	extra := 0
	if free {
		extra = 2
	}
	for ; l.queue.Len() > 0 && (l.running < l.Limit || extra > 0); extra-- {
		close(l.queue.Remove(l.queue.Front()).(chan struct{}))
		l.running++
	}
}

func (l *Limiter) setDefaults() {
	if l.Limit == 0 {
		l.Limit = limitPerProcessor * runtime.GOMAXPROCS(0)
	}
	if l.MaxWait == 0 {
		l.MaxWait = defaultMaxWait
	}
}

func (l *Limiter) overloaded(now time.Time) bool {
	if l.Overloaded != nil {
		return l.Overloaded()
	}
	return l.probe.overloaded(now)
}
