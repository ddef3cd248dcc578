package history

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Op is what a call was about.
type Op string

// The operations.
const (
	Issue  Op = "issue"  // a credential comes to be
	Check  Op = "check"  // is it live?
	End    Op = "end"    // of a credential, or of all in a group
	Resume Op = "resume" // of a group, for those that an end only suspends
	Claim  Op = "claim"  // of what only one may get
)

// Answer is what was said.
type Answer string

// The answers.
const (
	Unknown Answer = "unknown" // 503, or nothing: neither yes nor no
	Done    Answer = "done"    // the issue, end, resume or claim is acknowledged
	Denied  Answer = "denied"  // it was refused, and certainly not done
	Live    Answer = "live"    // of a check
	Dead    Answer = "dead"    // of a check
)

// Event is one call that is over.
type Event struct {
	// Start and End are the time since the log began.
	Start, End time.Duration
	Worker     int
	Op         Op
	// On is the credential, the group, or what is claimed.
	On     string
	Answer Answer
	// Groups are those of a credential that is issued: an end of any of them is its end.
	Groups []string
	// Suspends is of an issue: whether the end of a group only lasts until the group is resumed.
	Suspends bool
	// Note is for who reads a verdict: which server, which status.
	Note string
}

func (e Event) String() string {
	return fmt.Sprintf("%9.4f – %9.4f s  worker %-3d %-6s %-24s %-8s %s", e.Start.Seconds(), e.End.Seconds(), e.Worker, e.Op, e.On, e.Answer, e.Note)
}

// Log is a history that is being written. It is safe for concurrent use.
type Log struct {
	began time.Time

	mu     sync.Mutex
	events []Event
}

// NewLog begins a history.
func NewLog() *Log { return &Log{began: time.Now()} }

// Now is the time since the log began, for the Start and the End of events.
func (l *Log) Now() time.Duration { return time.Since(l.began) }

// Add writes events down.
func (l *Log) Add(events ...Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, events...)
}

// Judge judges what was written so far.
func (l *Log) Judge(p Promise) Verdict {
	l.mu.Lock()
	events := slices.Clone(l.events)
	l.mu.Unlock()
	return Judge(events, p)
}

// Count is how many calls of a kind got an answer between two moments.
func (l *Log) Count(op Op, answer Answer, from, to time.Duration) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.events {
		if e.Op == op && e.Answer == answer && e.End >= from && e.End <= to {
			n++
		}
	}
	return n
}
