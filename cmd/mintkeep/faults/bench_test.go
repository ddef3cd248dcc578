package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
)

// fault is a row of the bench.
type fault struct {
	row, name string
	// form is the shortest that has it.
	form form
	// on is the Redis that it happens to; environ is for the servers, on top of what all have.
	on      stage
	environ []string
	// prepare comes before the load, if something has to.
	prepare func(*scene)
	// inject does it, and lift ends it. Between them is a while, longer in the long form.
	inject, lift func(*scene)
	during       time.Duration
	// takes is how long what lift began takes by itself: a failover. Recovery is counted from then on.
	takes time.Duration

	// unavailable is whether calls are answered 503.
	unavailable amount
	// ends is whether ends must go on to be acknowledged while it lasts.
	ends bool
	// loses is whether calls may go without an answer: a server was killed.
	loses bool
	// forgets is whether the store may lose what it had.
	forgets bool
	// control is why lies are no failure here: the settings promise nothing else. The row says how many came.
	control string
	// then looks at what is particular to this fault.
	then func(*scene)
}

// amount is how many of something a fault has to bring about.
type amount int

const (
	none amount = iota
	some
	perhaps
)

const workers = 8

// run has the fault happen, and prints its line.
func (f fault) run(t *testing.T) {
	s := set(t, f.on, f.environ...)
	s.amnesia = f.forgets
	if f.prepare != nil {
		f.prepare(s)
	}
	s.run(workers)
	before := s.steady(f)
	s.began = s.log.Now()
	f.inject(s)
	time.Sleep(f.during * time.Duration(chosen.stretch()))
	f.lift(s)
	s.ended = s.log.Now()
	s.awaitQuiet(f)
	s.end()
	if f.then != nil {
		f.then(s)
	}
	s.audit()
	promise := history.Promise{}
	if f.forgets {
		promise.LostFrom, promise.LostTo = s.began, s.ended
	}
	s.report(f, s.log.Judge(promise), s.settled(before))
}

// steady lets the load run for a while, in which nothing may go wrong, and returns what the servers hold then.
func (s *scene) steady(f fault) holdings {
	time.Sleep(chosen.calm())
	resume := s.pause()
	defer resume()
	calls, unavailable, lost := s.ledger.counted()
	if calls < 50 || unavailable+lost > 0 {
		s.t.Errorf("before the fault: %d calls, %d answered 503, %d not at all", calls, unavailable, lost)
	}
	s.front.idle()
	time.Sleep(50 * time.Millisecond) // in which the servers see that nobody is there
	return s.holdings()
}

// awaitQuiet waits until both servers are ready and no call has failed for a while, at most as long as recovery may take.
func (s *scene) awaitQuiet(f fault) {
	const quiet = 700 * time.Millisecond
	deadline := s.ended + f.takes + recoveryLimit + quiet
	for {
		time.Sleep(20 * time.Millisecond)
		now := s.log.Now()
		if now-max(s.ended, s.ledger.lastTrouble()) > quiet && s.servers[0].Ready() && s.servers[1].Ready() {
			return
		}
		if now > deadline {
			s.t.Errorf("%v after the fault, calls still fail, or a server is not ready:\n%s", now-s.ended, s.state())
			return
		}
	}
}

// recovered is how long after the end of the fault the last call failed.
func (s *scene) recovered() time.Duration { return max(0, s.ledger.lastTrouble()-s.ended) }

// settled waits until the servers hold no more than before, or a little, and returns how much more it is.
func (s *scene) settled(before holdings) (more holdings) {
	const few, patience = 8, 5 * time.Second
	s.front.idle()
	s.caller.HTTP.CloseIdleConnections()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		now := s.holdings()
		more = holdings{now.goroutines - before.goroutines, now.files - before.files}
		if more.goroutines <= few && more.files <= few || time.Now().After(deadline) {
			break
		}
	}
	if more.goroutines > few || more.files > few {
		s.t.Errorf("the servers hold %d goroutines and %d files more than before", more.goroutines, more.files)
	}
	return more
}

func (s *scene) state() string {
	var b strings.Builder
	for i, server := range s.servers {
		a := server.Get("/readyz")
		fmt.Fprintf(&b, "server %d: %d %v %s\n%s\n", i, a.Status, a.Err, a.Body, tail(server.Log.String(), 5))
	}
	return b.String()
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// report judges the run and prints its line.
func (s *scene) report(f fault, v history.Verdict, more holdings) {
	l, recovered := s.ledger, s.recovered()
	l.mu.Lock()
	defer l.mu.Unlock()
	setting, lies := "ack", fmt.Sprintf("%d lies", len(v.Lies))
	for _, e := range f.environ {
		if mode, ok := strings.CutPrefix(e, "MINTKEEP_REVOKE_DURABILITY="); ok {
			setting = mode
		}
	}
	if f.control != "" {
		lies += fmt.Sprintf(" (%snot promised: %s)", kinds(v.Lies), f.control)
	}
	printLine(s.t, fmt.Sprintf("%-5s %-46s %-10s %6d calls %5d × 503 %4d lost  %s  %5d ends %5d checks after  slowest %.2f s  recovered in %.1f s  goroutines %+d  files %+d",
		f.row, f.name, setting, l.calls, l.unavailable, l.lost, lies, v.Ended, v.AfterEnd, l.slowest.Seconds(), recovered.Seconds(), more.goroutines, more.files))
	if l.wrongs > 0 {
		s.t.Errorf("%d answers do not belong there:\n%s", l.wrongs, strings.Join(l.wrong, "\n"))
	}
	if l.lost > 0 && !f.loses {
		s.t.Errorf("%d calls were not answered", l.lost)
	}
	if f.unavailable != perhaps && (l.unavailable > 0) != (f.unavailable == some) {
		s.t.Errorf("%d calls were answered 503, which is not as it should be", l.unavailable)
	}
	if during := s.log.Count(history.End, history.Done, s.began, s.ended); f.ends && during < 5 {
		s.t.Errorf("only %d ends were acknowledged during the fault", during)
	}
	if recovered > f.takes+recoveryLimit {
		s.t.Errorf("calls failed until %v after the fault, want at most %v", recovered, f.takes+recoveryLimit)
	}
	if v.AfterEnd < 20 {
		s.t.Errorf("only %d checks came after an end: the run proves nothing", v.AfterEnd)
	}
	if f.control != "" {
		return
	}
	for _, lie := range v.Lies[:min(3, len(v.Lies))] {
		s.t.Errorf("a lie: %v", lie)
	}
}

// kinds counts the lies of each kind.
func kinds(lies []history.Lie) string {
	counts, b := map[history.Kind]int{}, strings.Builder{}
	for _, lie := range lies {
		counts[lie.Kind]++
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "%d %s, ", counts[kind], kind)
	}
	return b.String()
}
