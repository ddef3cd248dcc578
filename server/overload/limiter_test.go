package overload

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// busy is a limiter whose processors are overloaded.
func busy(limit int) *Limiter {
	return &Limiter{Limit: limit, MaxWait: 10 * time.Second, Overloaded: func() bool { return true }}
}

// queueUp acquires in another goroutine and returns when that waits, with the channel on which it tells whether it may run.
func queueUp(ctx context.Context, t *testing.T, l *Limiter) chan bool {
	t.Helper()
	before := l.waiting()
	got := make(chan bool, 1)
	go func() { got <- l.Acquire(ctx, time.Now()) }()
	for deadline := time.Now().Add(time.Minute); l.waiting() == before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("no request waits")
		}
	}
	return got
}

func (l *Limiter) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.Len()
}

func has(t *testing.T, admitted chan bool, want bool) {
	t.Helper()
	select {
	case got := <-admitted:
		if got != want {
			t.Errorf("admitted: %v, want %v", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("nothing came, want %v", want)
	}
}

func TestLimiterInOrder(t *testing.T) {
	l := busy(2)
	for range 2 {
		if !l.Acquire(t.Context(), time.Now()) {
			t.Fatal("not admitted although there is room")
		}
	}
	first := queueUp(t.Context(), t, l)
	second := queueUp(t.Context(), t, l)
	l.Release()
	has(t, first, true)
	if n := l.waiting(); n != 1 {
		t.Errorf("%d wait, want the second", n)
	}
	l.Release()
	has(t, second, true)
}

// A Redis that is slow keeps many requests waiting, and the processors idle: then the limit does not hold.
func TestLimiterFreeProcessors(t *testing.T) {
	l := &Limiter{Limit: 2, Overloaded: func() bool { return false }}
	for i := range 1000 {
		if !l.Acquire(t.Context(), time.Now()) {
			t.Fatalf("request %d: not admitted although the processors are free", i)
		}
	}
	// Those that wait since they were overloaded are admitted then, two for each that comes or is done.
	var late atomic.Bool
	late.Store(true)
	l = &Limiter{Limit: 1, MaxWait: time.Minute, Overloaded: late.Load}
	l.Acquire(t.Context(), time.Now())
	var waiting []chan bool
	for range 3 {
		waiting = append(waiting, queueUp(t.Context(), t, l))
	}
	late.Store(false)
	l.Release()
	has(t, waiting[0], true)
	has(t, waiting[1], true)
	if n := l.waiting(); n != 1 {
		t.Errorf("%d wait, want 1", n)
	}
	if !l.Acquire(t.Context(), time.Now()) { // after the third, and both are admitted
		t.Error("not admitted although the processors are free")
	}
	has(t, waiting[2], true)
}

func TestLimiterSheds(t *testing.T) {
	l := busy(1)
	l.Acquire(t.Context(), time.Now())
	l.pace = 4 * time.Second // between two that are done
	var waiting []chan bool
	for range 3 { // they would wait 0, 4 and 8 s
		waiting = append(waiting, queueUp(t.Context(), t, l))
	}
	if l.Acquire(t.Context(), time.Now()) {
		t.Error("admitted after a wait of 12 s")
	}
	for _, admitted := range waiting {
		l.Release()
		has(t, admitted, true)
	}
	if got, atMost := l.pace, 4*time.Second; got >= atMost {
		t.Errorf("the pace is %v after three that were done at once, want less than %v", got, atMost)
	}
}

// A request that waits in vain, or whose caller is gone, leaves no trace.
func TestLimiterGivesUp(t *testing.T) {
	l := busy(1)
	l.Acquire(t.Context(), time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	gone := queueUp(ctx, t, l)
	cancel()
	has(t, gone, false)

	l.MaxWait = 10 * time.Millisecond
	if l.Acquire(t.Context(), time.Now()) {
		t.Error("admitted although there is no room")
	}
	if l.waiting() != 0 || l.running != 1 {
		t.Errorf("%d wait, %d running, want 0 and 1", l.waiting(), l.running)
	}
	l.Release()
	if !l.Acquire(t.Context(), time.Now()) {
		t.Error("not admitted although there is room")
	}
}

// However requests come, end and give up, no more than the limit run at once, and none at the end.
func TestLimiterRace(t *testing.T) {
	const limit, callers, rounds = 4, 32, 200
	l := busy(limit)
	var running, most atomic.Int64
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for n := range rounds {
				ctx, cancel := context.WithCancel(context.Background())
				if (i+n)%5 == 0 {
					go cancel()
				}
				if l.Acquire(ctx, time.Now()) {
					most.Store(max(most.Load(), running.Add(1)))
					runtime.Gosched()
					running.Add(-1)
					l.Release()
				}
				cancel()
			}
		})
	}
	all.Wait()
	if most.Load() > limit || l.running != 0 || l.waiting() != 0 {
		t.Errorf("at most %d at once, want %d; at the end %d running and %d waiting", most.Load(), limit, l.running, l.waiting())
	}
}

// With many times more work than processors the probe tells overload, without work it does not.
func TestLatencyProbe(t *testing.T) {
	var p latencyProbe
	var stop atomic.Bool
	var work sync.WaitGroup
	for range 1024 * runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for !stop.Load() {
				for began := time.Now(); time.Since(began) < 20*time.Microsecond; {
				}
				runtime.Gosched()
			}
		})
	}
	becomes(t, &p, true)
	stop.Store(true)
	work.Wait()
	becomes(t, &p, false)
}

func becomes(t *testing.T, p *latencyProbe, want bool) {
	t.Helper()
	// Where other processes take most of the machine, it takes longer until there are enough samples for a verdict.
	for interval, deadline := probeInterval, time.Now().Add(time.Minute); ; interval = min(2*interval, time.Second) {
		time.Sleep(interval)
		if p.overloaded(time.Now()) == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("overloaded is %v for a minute, want %v", p.delayed, want)
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if limiter.Acquire(context.Background(), time.Now()) {
				limiter.Release()
			}
		}
	})
}

var limiter Limiter
