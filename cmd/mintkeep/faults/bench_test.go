package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// fault is one fault of the bench.
type fault struct {
	name string // in words, as in docs/guarantees.md
	// form is the shortest form of the bench that includes it.
	form form
	// on is the Redis that it happens to; environ has settings of the servers beside the common ones.
	on      stage
	environ []string
	// prepare, if set, runs before the load.
	prepare func(*scene)
	// inject begins the fault, and lift removes it, after a while that is longer in the long form.
	inject, lift func(*scene)
	during       time.Duration
	// takes is how long what lift began takes by itself, such as a failover. Recovery is counted from then on.
	takes time.Duration

	// unavailable is whether calls are answered 503.
	unavailable amount
	// revokes is whether revocations must be acknowledged while it lasts.
	revokes bool
	// loses is whether calls may get no answer: a server was killed.
	loses bool
	// forgets is whether the store may lose data.
	forgets bool
	// control is why violations are no failure here: the settings promise nothing else. The line says how many there were.
	control string
	// then checks what is particular to this fault.
	then func(*scene)
}

// amount is how many calls a fault makes fail.
type amount int

const (
	none amount = iota
	some
	perhaps
)

const workers = 8

// run injects the fault under load, and prints its line.
func (f fault) run(t *testing.T) {
	s := set(t, f.on, f.environ...)
	s.lossy = f.forgets
	if f.prepare != nil {
		f.prepare(s)
	}
	s.run(workers)
	before := s.steady(f)
	s.began = s.log.Now()
	f.inject(s)
	time.Sleep(f.during * time.Duration(chosen.stretch()))
	f.lift(s)
	s.lifted = s.log.Now()
	s.awaitQuiet(f)
	s.awaitGuards()
	s.finish()
	if f.then != nil {
		f.then(s)
	}
	s.checkAll()
	promise := history.Promise{}
	if f.forgets {
		promise.LostFrom, promise.LostTo = s.began, s.lifted
	}
	s.report(f, s.log.Verify(promise), s.settled(before))
}

// steady lets the load run for a while, in which no call may fail, and returns what the servers hold then.
func (s *scene) steady(f fault) holdings {
	const enough = 50
	time.Sleep(chosen.calm())
	processtest.Eventually(s.t, processtest.Patience, func() bool { calls, _, _ := s.ledger.counted(); return calls >= enough }, s.state)
	resume := s.pause()
	defer resume()
	calls, unavailable, lost := s.ledger.counted()
	if unavailable+lost > 0 {
		s.t.Errorf("before the fault: %d calls, %d answered 503, %d not at all", calls, unavailable, lost)
	}
	s.front.idle()
	time.Sleep(50 * time.Millisecond) // in which the servers see that the connections are closed
	return s.holdings()
}

// awaitQuiet waits until both servers are ready and no call has failed for a while, at most as long as recovery may take.
func (s *scene) awaitQuiet(f fault) {
	const quiet = 700 * time.Millisecond
	_, recovery := chosen.limits()
	deadline := s.lifted + f.takes + recovery + quiet
	for {
		time.Sleep(20 * time.Millisecond)
		now := s.log.Now()
		if now-max(s.lifted, s.ledger.lastTrouble()) > quiet && s.servers[0].Ready() && s.servers[1].Ready() {
			return
		}
		if now > deadline {
			s.t.Errorf("%v after the fault, calls still fail, or a server is not ready:\n%s", now-s.lifted, s.state())
			return
		}
	}
}

// recovered is how long after the fault was lifted the last call failed.
func (s *scene) recovered() time.Duration { return max(0, s.ledger.lastTrouble()-s.lifted) }

// settled waits until the servers hold no more than before, or a little more, and returns the difference.
func (s *scene) settled(before holdings) (more holdings) {
	const few = 8
	s.front.idle()
	s.caller.HTTP.CloseIdleConnections()
	for deadline := time.Now().Add(processtest.Patience); ; time.Sleep(50 * time.Millisecond) {
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

// report prints the line of the run, and fails the test if it broke a promise.
func (s *scene) report(f fault, v history.Result, more holdings) {
	l, recovered := s.ledger, s.recovered()
	l.mu.Lock()
	defer l.mu.Unlock()
	setting, violations := "ack", fmt.Sprintf("%d violations", len(v.Violations))
	for _, e := range f.environ {
		if mode, ok := strings.CutPrefix(e, "MINTKEEP_REVOKE_DURABILITY="); ok {
			setting = mode
		}
	}
	if f.control != "" {
		violations += fmt.Sprintf(" (%snot promised: %s)", kinds(v.Violations), f.control)
	}
	printLine(s.t, fmt.Sprintf("%-29s %-10s %6d calls %5d × 503 %4d lost  %s  %5d revocations %5d checks after %6d by guards  slowest %.2f s  recovered in %.1f s  goroutines %+d  files %+d",
		f.name, setting, l.calls, l.unavailable, l.lost, violations, v.Revoked, v.CheckedAfter, s.guards.answers.Load(), l.slowest.Seconds(), recovered.Seconds(), more.goroutines, more.files))
	if l.complaints > 0 {
		s.t.Errorf("%d unexpected answers:\n%s", l.complaints, strings.Join(l.unexpected, "\n"))
	}
	if l.lost > 0 && !f.loses {
		s.t.Errorf("%d calls were not answered, among them\n%s", l.lost, strings.Join(l.losses, "\n"))
	}
	if f.unavailable != perhaps && (l.unavailable > 0) != (f.unavailable == some) {
		s.t.Errorf("%d calls were answered 503, which is not as it should be", l.unavailable)
	}
	if during := s.log.Count(history.Revoke, history.Done, s.began, s.lifted); f.revokes && during < 5 {
		s.t.Errorf("only %d revocations were acknowledged during the fault", during)
	}
	if _, recovery := chosen.limits(); recovered > f.takes+recovery {
		s.t.Errorf("calls failed until %v after the fault, want at most %v", recovered, f.takes+recovery)
	}
	if v.CheckedAfter < 20 {
		s.t.Errorf("only %d checks came after a revocation: the run proves nothing", v.CheckedAfter)
	}
	if f.control != "" {
		return
	}
	if len(s.writes) > 0 && len(v.Violations) > 0 {
		s.t.Errorf("violations by the writes that were late:%s", s.blame(v.Violations))
	}
	if len(v.Violations) > 0 {
		s.t.Errorf("violations: %sthe fault lasted from %v to %v", kinds(v.Violations), s.began, s.lifted)
	}
	for _, violation := range v.Violations[:min(3, len(v.Violations))] {
		s.t.Errorf("a violation: %v", violation)
	}
}

// kinds counts the violations of each kind.
func kinds(violations []history.Violation) string {
	counts, b := map[history.Kind]int{}, strings.Builder{}
	for _, violation := range violations {
		counts[violation.Kind]++
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "%d %s, ", counts[kind], kind)
	}
	return b.String()
}
