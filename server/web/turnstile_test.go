package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

// busy is a turnstile whose processors are behind, with so much room.
func busy(room int) *turnstile {
	return &turnstile{room: room, long: 10 * time.Second, lag: func() bool { return true }}
}

// queueUp enters in another goroutine and returns when it waits, with where it tells whether it got a turn.
func queueUp(ctx context.Context, t *testing.T, k *turnstile) chan bool {
	t.Helper()
	before := k.waiting()
	got := make(chan bool, 1)
	go func() { got <- k.enter(ctx, time.Now()) }()
	for deadline := time.Now().Add(5 * time.Second); k.waiting() == before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
	}
	return got
}

func (t *turnstile) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.queue.Len()
}

func has(t *testing.T, turn chan bool, want bool) {
	t.Helper()
	select {
	case got := <-turn:
		if got != want {
			t.Errorf("got a turn: %v, want %v", got, want)
		}
	case <-time.After(time.Second):
		t.Fatalf("nothing came, want %v", want)
	}
}

func TestTurnstileInOrder(t *testing.T) {
	k := busy(2)
	for range 2 {
		if !k.enter(t.Context(), time.Now()) {
			t.Fatal("no turn although there is room")
		}
	}
	first := queueUp(t.Context(), t, k)
	second := queueUp(t.Context(), t, k)
	k.leave()
	has(t, first, true)
	if n := k.waiting(); n != 1 {
		t.Errorf("%d wait, want the second", n)
	}
	k.leave()
	has(t, second, true)
}

// A Redis that is slow keeps many requests waiting, and the processors idle: then the room is no limit.
func TestTurnstileFreeProcessors(t *testing.T) {
	k := &turnstile{room: 2, lag: func() bool { return false }}
	for i := range 1000 {
		if !k.enter(t.Context(), time.Now()) {
			t.Fatalf("request %d: no turn although the processors are free", i)
		}
	}
	// And those who wait since they were not go in, two for each who comes or leaves.
	var behind atomic.Bool
	behind.Store(true)
	k = &turnstile{room: 1, long: time.Minute, lag: behind.Load}
	k.enter(t.Context(), time.Now())
	var turns []chan bool
	for range 3 {
		turns = append(turns, queueUp(t.Context(), t, k))
	}
	behind.Store(false)
	k.leave()
	has(t, turns[0], true)
	has(t, turns[1], true)
	if n := k.waiting(); n != 1 {
		t.Errorf("%d wait, want 1", n)
	}
	if !k.enter(t.Context(), time.Now()) { // behind the third, and both go in
		t.Error("no turn although the processors are free")
	}
	has(t, turns[2], true)
}

func TestTurnstileRefuses(t *testing.T) {
	k := busy(1)
	k.enter(t.Context(), time.Now())
	k.pace = 4 * time.Second // between two who leave
	var turns []chan bool
	for range 3 { // they would wait 0, 4 and 8 s
		turns = append(turns, queueUp(t.Context(), t, k))
	}
	if k.enter(t.Context(), time.Now()) {
		t.Error("got a turn that would take 12 s")
	}
	for _, turn := range turns {
		k.leave()
		has(t, turn, true)
	}
	if got, atMost := k.pace, 4*time.Second; got >= atMost {
		t.Errorf("the pace is %v after three who left at once, want less than %v", got, atMost)
	}
}

// Who waits in vain, or is gone, leaves no trace and takes nobody's turn.
func TestTurnstileGivesUp(t *testing.T) {
	k := busy(1)
	k.enter(t.Context(), time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	gone := queueUp(ctx, t, k)
	cancel()
	has(t, gone, false)

	k.long = 10 * time.Millisecond
	has(t, queueUp(t.Context(), t, k), false)
	if k.waiting() != 0 || k.inside != 1 {
		t.Errorf("%d wait, %d inside, want 0 and 1", k.waiting(), k.inside)
	}
	k.leave()
	if !k.enter(t.Context(), time.Now()) {
		t.Error("no turn although there is room")
	}
}

// However they come, leave and give up, there are never more inside than have room, and in the end nobody.
func TestTurnstileRace(t *testing.T) {
	const room, callers, rounds = 4, 32, 200
	k := busy(room)
	var inside, most atomic.Int64
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for n := range rounds {
				ctx, cancel := context.WithCancel(context.Background())
				if (i+n)%5 == 0 {
					go cancel()
				}
				if k.enter(ctx, time.Now()) {
					most.Store(max(most.Load(), inside.Add(1)))
					runtime.Gosched()
					inside.Add(-1)
					k.leave()
				}
				cancel()
			}
		})
	}
	all.Wait()
	if most.Load() > room || k.inside != 0 || k.waiting() != 0 {
		t.Errorf("at most %d at once, want %d; at the end %d inside and %d waiting", most.Load(), room, k.inside, k.waiting())
	}
}

// The answer in overload has what every answer has, and comes before the handler is asked. A probe is answered.
func TestOverloaded(t *testing.T) {
	k := &Kit{}
	k.turns = turnstile{room: 1, inside: 2, pace: time.Hour, lag: func() bool { return true }}
	counted := 0
	k.Count = func(_, _ string, status int, _ time.Duration) {
		if status == http.StatusServiceUnavailable {
			counted++
		}
	}
	w, log := serve(k, NoBody, func(http.ResponseWriter, *http.Request) error {
		t.Error("the handler was called")
		return nil
	}, httptest.NewRequest(http.MethodGet, "/r/", http.NoBody))
	retry := w.Header().Get("Retry-After")
	if w.Code != 503 || errorCode(w) != "temporarily_unavailable" || retry != "1" && retry != "2" {
		t.Errorf("got %d %s, Retry-After %q", w.Code, w.Body, retry)
	}
	if w.Header().Get("X-Request-Id") == "" || w.Header().Get("Cache-Control") != "no-store" || counted != 1 {
		t.Errorf("headers %v, counted %d times", w.Header(), counted)
	}
	if !strings.Contains(log, `"error":"overloaded: `) {
		t.Errorf("log: %s", log)
	}
	engine := gin.New()
	engine.GET("/probe", k.Always(ok))
	w = httptest.NewRecorder()
	engine.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/probe", http.NoBody))
	if w.Code != http.StatusOK {
		t.Errorf("a probe gets %d %s", w.Code, w.Body)
	}
	if k.turns.inside != 2 {
		t.Errorf("%d inside, want the 2 of before", k.turns.inside)
	}
}

// A turn is given back, also by a handler that panics.
func TestTurnGivenBack(t *testing.T) {
	k := &Kit{}
	for _, h := range []Handler{ok, func(http.ResponseWriter, *http.Request) error { panic("boom") }} {
		serve(k, NoBody, h, httptest.NewRequest(http.MethodGet, "/r/", http.NoBody))
		if k.turns.inside != 0 {
			t.Errorf("%d inside, want 0", k.turns.inside)
		}
	}
}

// What the runtime tells: with many times more work than processors it is behind, without work it is not.
func TestSchedule(t *testing.T) {
	var s schedule
	var stop atomic.Bool
	var work sync.WaitGroup
	for range 64 * runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for !stop.Load() {
				for began := time.Now(); time.Since(began) < 200*time.Microsecond; {
				}
				runtime.Gosched()
			}
		})
	}
	becomes(t, &s, true)
	stop.Store(true)
	work.Wait()
	becomes(t, &s, false)
}

func becomes(t *testing.T, s *schedule, want bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(scheduleLooked / 2) {
		if s.behind(time.Now()) == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("behind is %v for 10 s, want %v", s.late, want)
		}
	}
}

func BenchmarkTurnstile(b *testing.B) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if turns.enter(context.Background(), time.Now()) {
				turns.leave()
			}
		}
	})
}

var turns turnstile
