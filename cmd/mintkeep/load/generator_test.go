package load

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// exchange is a request and the answer that must come back.
type exchange struct {
	request []byte
	check   func(answer) error
}

// job makes the n-th exchange of a load. It is called by many at once.
type job func(n uint64) exchange

// outcome is the outcome of a load.
type outcome struct {
	took     time.Duration
	good     []time.Duration // how long each right answer took
	rejected []time.Duration // each 503 with Retry-After
	wrong    int             // anything else
	first    error           // of these
}

// perSecond is how many good answers a second there were.
func (o *outcome) perSecond() float64 { return float64(len(o.good)) / o.took.Seconds() }

// served fails the test unless every answer was good.
func (o *outcome) served(tb testing.TB) {
	tb.Helper()
	if o.wrong > 0 || len(o.rejected) > 0 || len(o.good) == 0 {
		tb.Errorf("%d good answers, %d rejected, %d wrong, such as %v", len(o.good), len(o.rejected), o.wrong, o.first)
	}
}

func (o *outcome) add(p *outcome) {
	o.good = append(o.good, p.good...)
	o.rejected = append(o.rejected, p.rejected...)
	o.wrong += p.wrong
	if o.first == nil {
		o.first = p.first
	}
}

// percentile of a list of times, which it sorts; 0 if there are none.
func percentile(times []time.Duration, p float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[min(int(float64(len(times))*p/100), len(times)-1)]
}

// one makes one exchange and records the outcome, as having begun at the given time.
func (o *outcome) one(w *wire, e exchange, begun time.Time) {
	a, err := w.ask(e.request)
	took := time.Since(begun)
	if err == nil && isRejection(a) {
		o.rejected = append(o.rejected, took)
		return
	}
	if err == nil {
		err = e.check(a)
	} else {
		w.last = true
	}
	if err == nil {
		o.good = append(o.good, took)
		return
	}
	o.wrong++
	if o.first == nil {
		o.first = err
	}
}

// isRejection is whether the server has told the client to come back in a moment.
func isRejection(a answer) bool {
	return a.status == 503 && (a.retryAfter == "1" || a.retryAfter == "2")
}

// closed keeps so many connections busy for a time: each asks again as soon as it has its answer.
func closed(tb testing.TB, addr string, conns int, d time.Duration, j job) *outcome {
	tb.Helper()
	var n atomic.Uint64
	return crew(tb, addr, conns, func(begun time.Time, w *wire, o *outcome) {
		for now := time.Now(); now.Sub(begun) < d; now = time.Now() {
			o.one(w, j(n.Add(1)-1), now)
		}
	})
}

// open sends so many requests a second, whatever the answers, and measures each from when it was due: a server that
// stalls still gets the requests that were due meanwhile. conns bounds how many wait for an answer; the wait for a free
// one counts too.
func open(tb testing.TB, addr string, conns int, rate float64, d time.Duration, j job) *outcome {
	tb.Helper()
	total := uint64(rate * d.Seconds())
	due := make(chan uint64, total)
	at := func(n uint64) time.Duration { return time.Duration(float64(n) / rate * float64(time.Second)) }
	var once sync.Once
	pace := func(begun time.Time) {
		defer close(due)
		for n := uint64(0); n < total; time.Sleep(time.Millisecond) {
			for ; n < total && at(n) <= time.Since(begun); n++ {
				due <- n
			}
		}
	}
	return crew(tb, addr, conns, func(begun time.Time, w *wire, o *outcome) {
		once.Do(func() { go pace(begun) })
		for n := range due {
			o.one(w, j(n), begun.Add(at(n)))
		}
	})
}

// crew opens so many connections and uses them at the same time.
func crew(tb testing.TB, addr string, conns int, work func(begun time.Time, w *wire, o *outcome)) *outcome {
	tb.Helper()
	wires, err := connect(addr, conns)
	defer func() {
		for _, w := range wires {
			w.close()
		}
	}()
	if err != nil {
		tb.Fatal(err)
	}
	outcomes := make([]outcome, conns)
	var working sync.WaitGroup
	begun := time.Now()
	for i, w := range wires {
		working.Go(func() { work(begun, w, &outcomes[i]) })
	}
	working.Wait()
	all := &outcome{took: time.Since(begun)}
	for i := range outcomes {
		all.add(&outcomes[i])
	}
	return all
}

func connect(addr string, conns int) ([]*wire, error) {
	var wires []*wire
	for i := range conns {
		w, err := dial(addr)
		if err != nil {
			return wires, fmt.Errorf("connection %d of %d: %w", i+1, conns, err)
		}
		wires = append(wires, w)
	}
	return wires, nil
}
