package faults

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// callTimeout is after which a call counts as lost.
const callTimeout = 10 * time.Second

// ledger counts calls and keeps the answers that must not be.
type ledger struct {
	log *history.Log

	mu          sync.Mutex
	calls       int
	unavailable int           // 503
	lost        int           // without an answer
	losses      []string      // the first of them
	trouble     time.Duration // when the last of these failed
	slowest     time.Duration
	unexpected  []string // some of the answers that must not be
	complaints  int      // all of them
}

// note counts a call. expected are the allowed statuses beside 503.
func (l *ledger) note(what string, a processtest.Answer, expected ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	l.slowest = max(l.slowest, a.Took)
	switch {
	case a.Err != nil || a.Header.Get(unanswered) != "":
		l.lost++
		if len(l.losses) < 10 {
			l.losses = append(l.losses, fmt.Sprintf("%.3f s: %s: %v %s after %v", l.log.Now().Seconds(), what, a.Err, a.Body, a.Took.Round(time.Millisecond)))
		}
		l.trouble = l.log.Now()
	case a.Status == http.StatusServiceUnavailable:
		l.unavailable++
		l.trouble = l.log.Now()
		if a.Header.Get("Retry-After") == "" {
			l.complain("%s: 503 without Retry-After", what)
		}
	case !slices.Contains(expected, a.Status):
		l.complain("%s: %d %s", what, a.Status, a.Body)
	}
	if limit, _ := chosen.limits(); a.Took > limit {
		l.complain("%s: answered after %v", what, a.Took.Round(time.Millisecond))
	}
}

// wrong notes an answer that must not be, of a call that is not counted.
func (l *ledger) wrong(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complain(format, args...)
}

func (l *ledger) complain(format string, args ...any) {
	l.complaints++
	if len(l.unexpected) < 10 {
		l.unexpected = append(l.unexpected, fmt.Sprintf("%.3f s: ", l.log.Now().Seconds())+fmt.Sprintf(format, args...))
	}
}

// lastTrouble is when a call last got no answer, or 503.
func (l *ledger) lastTrouble() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble
}

// counted is a copy of the counts.
func (l *ledger) counted() (calls, unavailable, lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls, l.unavailable, l.lost
}

// outcome is whether an answer says that a change is done or rejected, or leaves it unknown.
func outcome(a processtest.Answer) history.Answer {
	switch {
	case a.Err != nil || a.Header.Get(unanswered) != "" || a.Status >= 500:
		return history.Unknown
	case a.Status < 300:
		return history.Done
	default:
		return history.Rejected
	}
}
