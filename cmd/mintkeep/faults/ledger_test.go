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

const (
	answerLimit   = 2500 * time.Millisecond // within which every call has to be answered
	recoveryLimit = 5 * time.Second         // after the end of a fault
	callTimeout   = 10 * time.Second        // after which nobody waits any more
)

// ledger counts calls and keeps what is wrong with them, whoever they were about.
type ledger struct {
	log *history.Log

	mu          sync.Mutex
	calls       int
	unavailable int           // 503
	lost        int           // without an answer
	trouble     time.Duration // when the last of both came
	slowest     time.Duration
	wrong       []string // answers that must not be, some of them
	wrongs      int
}

// note counts a call. expected are the statuses that may be, beside 503.
func (l *ledger) note(what string, a processtest.Answer, expected ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	l.slowest = max(l.slowest, a.Took)
	switch {
	case a.Err != nil || a.Header.Get(unanswered) != "":
		l.lost++
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
	if a.Took > answerLimit {
		l.complain("%s: answered after %v", what, a.Took.Round(time.Millisecond))
	}
}

func (l *ledger) complain(format string, args ...any) {
	l.wrongs++
	if len(l.wrong) < 10 {
		l.wrong = append(l.wrong, fmt.Sprintf("%.3f s: ", l.log.Now().Seconds())+fmt.Sprintf(format, args...))
	}
}

// lastTrouble is when the last call was not answered, or by 503.
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

// verdict is what an answer says of an act: done, denied, or neither.
func verdict(a processtest.Answer) history.Answer {
	switch {
	case a.Err != nil || a.Header.Get(unanswered) != "" || a.Status >= 500:
		return history.Unknown
	case a.Status < 300:
		return history.Done
	default:
		return history.Denied
	}
}
