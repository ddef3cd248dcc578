package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// inWorld runs a test with replicas at a Redis that is a model, in virtual time.
func inWorld(t *testing.T, replicas int, change func(*world), test func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{begun: time.Now(), length: 1000, rand: rand.New(rand.NewPCG(1, 1)), revoked: map[int]revocation{}, smooth: true}
		w.primary = w.newRedis(newData())
		change(w)
		for range replicas {
			w.start()
		}
		test(t, w)
		for _, r := range w.living() {
			r.leave()
		}
		w.wg.Wait()
	})
}

// ask is one poll, which is answered within five seconds.
func (r *replicaModel) ask(t *testing.T, after string, wait time.Duration) *Answer {
	t.Helper()
	var err error
	for range 50 {
		var a *Answer
		if a, err = r.f.Poll(t.Context(), Question{After: after, Wait: wait, Arrived: time.Now()}); err == nil {
			return a
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal(err)
	return nil
}

// resets counts the entries that reset.
func (w *world) resets() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.primary.d.stream {
		if e, _ := parseEntry(m, time.Now()); e.resets() {
			n++
		}
	}
	return n
}

// Without the right to INFO each replica appends a mark for its connection, and answers no mark of another one with a mark.
func TestMarksWhereInfoIsDenied(t *testing.T) {
	inWorld(t, 2, func(w *world) { w.hidden = true }, func(t *testing.T, w *world) {
		after := []string{"", ""}
		for range 40 {
			for i, r := range w.replicas {
				after[i] = r.ask(t, after[i], 100*time.Millisecond).Cursor.String()
			}
		}
		if n := w.resets(); n > 4 { // one each for the connection, and for the start
			t.Errorf("%d marks", n)
		}
	})
}

// While Redis accepts no mark, looks are rare.
func TestLooksWhileNoMarkIsAccepted(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.primary.oom = true
		w.primary.d.beats["other"], w.primary.d.marks["other"] = "1", 0
	}, func(t *testing.T, w *world) {
		w.replicas[0].f.beats.alone = true // the beat is rejected too
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for ctx.Err() == nil {
			_, err := w.replicas[0].f.Poll(ctx, Question{Arrived: time.Now()})
			if err == nil {
				t.Fatal("a poll is answered")
			}
		}
		if looks := w.sent.Load(); looks > 200 {
			t.Errorf("%d pipelines in 10 s", looks)
		}
	})
}

// An idle replica looks ten times a second, and not at all when no guard has polled for a minute.
func TestLooksOfAnIdleReplica(t *testing.T) {
	inWorld(t, 1, func(*world) {}, func(t *testing.T, w *world) {
		r := w.replicas[0]
		after := r.ask(t, "", 0).Cursor.String()
		r.ask(t, after, time.Second)
		before := w.sent.Load()
		r.ask(t, after, 2*time.Second)
		if looks := w.sent.Load() - before; looks > 30 {
			t.Errorf("%d pipelines in 2 s", looks)
		}
		time.Sleep(2 * time.Minute)
		before = w.sent.Load()
		time.Sleep(10 * time.Second)
		if looks := w.sent.Load() - before; looks > 12 { // beats
			t.Errorf("%d pipelines in 10 s without a guard", looks)
		}
	})
}

// The drain ends a wait at once, with what is known.
func TestDrainEndsTheWait(t *testing.T) {
	inWorld(t, 1, func(*world) {}, func(t *testing.T, w *world) {
		r := w.replicas[0]
		after := r.ask(t, "", 0).Cursor.String()
		drain := make(chan struct{})
		time.AfterFunc(300*time.Millisecond, func() { close(drain) })
		begun := time.Now()
		a, err := r.f.Poll(t.Context(), Question{After: after, Wait: 2 * time.Second, Arrived: begun, Drain: drain})
		if took := time.Since(begun); err != nil || a.Reset || a.Fresh < 0 || took != 300*time.Millisecond {
			t.Errorf("%+v, %v after %s", a, err, took)
		}
	})
}

// A Redis that may have lost writes is not looked at, and what was read from it does not count.
func TestUntrustedRedis(t *testing.T) {
	var tripped atomic.Bool
	var asked atomic.Int64
	inWorld(t, 1, func(w *world) {
		w.trusted = func() bool { return !tripped.Load() || asked.Add(1)%2 == 1 }
	}, func(t *testing.T, w *world) {
		r := w.replicas[0]
		r.ask(t, "", 0)
		tripped.Store(true)
		time.Sleep(time.Second)
		if _, err := r.f.Poll(t.Context(), Question{Arrived: time.Now()}); !errors.Is(err, errUntrusted) || asked.Load() < 2 {
			t.Errorf("%v after %d looks", err, asked.Load()/2)
		}
	})
}

// A deletion of the feed in the middle of a look is noticed by the same look: XRANGE comes after XREAD.
func TestFeedIsDeletedDuringALook(t *testing.T) {
	var armed, appended atomic.Bool
	inWorld(t, 1, func(w *world) {
		w.between = func(n *redisModel, cmd redis.Cmder) {
			switch name := cmd.Name(); {
			case name == "xdel" && armed.CompareAndSwap(true, false):
				n.do(w.replicas[0].f.Void(context.Background(), []Handle{modelHandle(1)}, false)[0])
				appended.Store(true)
			case (name == "xread" || name == "xrange") && appended.CompareAndSwap(true, false):
				w.toRedis(modelEvent{What: "delete"})
			}
		}
	}, func(t *testing.T, w *world) {
		r := w.replicas[0]
		after := r.ask(t, "", 0).Cursor.String()
		armed.Store(true)
		if a := r.ask(t, after, 0); !a.Reset {
			t.Errorf("the answer is %+v", a)
		}
	})
}

// If another entry is where the last one was, Redis has lost data: what was read counts for nothing.
func TestLastEntryIsReplaced(t *testing.T) {
	inWorld(t, 1, func(*world) {}, func(t *testing.T, w *world) {
		r := w.replicas[0]
		after := r.ask(t, "", 0).Cursor.String()
		w.mu.Lock()
		w.primary.write(func(d *data) {
			d.stream = slices.Clone(d.stream)
			d.stream[len(d.stream)-1].Values = map[string]any{tagField: "another!", voidsField: "0123456789abcdef"}
		})
		w.mu.Unlock()
		time.Sleep(time.Second)
		if a := r.ask(t, after, 0); !a.Reset || len(r.f.ring.entries) != 2 {
			t.Errorf("%+v, %d entries", a, len(r.f.ring.entries))
		}
	})
}

// The observers are told in the order of the feed, and may ask the feed something.
func TestObservers(t *testing.T) {
	inWorld(t, 1, func(*world) {}, func(t *testing.T, w *world) {
		r := w.replicas[0]
		var told []string
		r.f.OnVoid(func(handles []Handle, all bool) {
			_ = r.f.Status()
			told = append(told, fmt.Sprint(len(handles), all))
		})
		after := r.ask(t, "", 0).Cursor.String()
		r.f.own(t.Context(), r.f.Void(t.Context(), []Handle{modelHandle(1), modelHandle(2)}, true)...)
		r.ask(t, after, time.Second)
		w.toRedis(modelEvent{What: "delete"})
		r.ask(t, "", 0)
		if want := []string{"0 true", "2 false", "0 true", "0 true", "0 true"}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}

// A trouble that lasts is logged once, and its end.
func TestTroubleIsLogged(t *testing.T) {
	inWorld(t, 1, func(*world) {}, func(t *testing.T, w *world) {
		r := w.replicas[0]
		var log strings.Builder
		r.f.Logger = slog.New(slog.NewTextHandler(&log, nil))
		var reasons []string
		r.f.OnTrouble(func(reason string) { reasons = append(reasons, reason) })
		r.ask(t, "", 0)
		for range 3 {
			w.toRedis(modelEvent{What: "delete"})
			r.ask(t, "", 0)
		}
		if log.Len() > 0 {
			t.Errorf("a short trouble is logged:\n%s", log.String())
		}
		w.setPrimary(false)
		time.Sleep(5 * time.Second)
		w.setPrimary(true)
		r.ask(t, "", 0)
		if got := log.String(); strings.Count(got, "the feed cannot be read") != 1 || strings.Count(got, "answered again") != 1 {
			t.Errorf("of a trouble of 5 s is logged:\n%s", got)
		}
		if want := []string{"gone", "gone", "gone", "unreachable"}; !slices.Equal(reasons, want) {
			t.Errorf("observed %v, want %v", reasons, want)
		}
	})
}

func (w *world) setPrimary(primary bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.primary.primary = primary
	w.primary.wake()
}

func TestGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		for _, tt := range []struct {
			took, want time.Duration
		}{{time.Millisecond, minGather}, {20 * time.Millisecond, 80 * time.Millisecond}, {time.Second, maxGather}} {
			p.wake(2)
			p.answered()
			time.Sleep(tt.took)
			p.answered()
			if p.looked(true, true, nil); p.pause != tt.want {
				t.Errorf("after %s: %s, want %s", tt.took, p.pause, tt.want)
			}
		}
		if p.looked(false, true, nil); p.pause != 0 {
			t.Errorf("after a look that has waited: %s", p.pause)
		}
		if p.looked(false, false, nil); p.pause != minGather {
			t.Errorf("after a look that has not: %s", p.pause)
		}
		for _, want := range []int{20, 40, 80, 160, 250, 250} {
			if p.looked(false, false, errBehind); p.pause != time.Duration(want)*time.Millisecond {
				t.Errorf("after an error: %s, want %dms", p.pause, want)
			}
		}
	})
}
