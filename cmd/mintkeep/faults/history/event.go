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
	Issue  Op = "issue"  // a credential is created
	Check  Op = "check"  // is it active?
	Revoke Op = "revoke" // a credential, or all in a group
	Enable Op = "enable" // a group, whose revocation is reversible
	Claim  Op = "claim"  // of what only one caller may get
)

// Answer is the outcome of a call.
type Answer string

// The answers.
const (
	Unknown  Answer = "unknown"  // 503, or no answer
	Done     Answer = "done"     // the issue, revocation, enabling or claim is acknowledged
	Rejected Answer = "rejected" // it was certainly not applied
	Active   Answer = "active"   // of a check
	Inactive Answer = "inactive" // of a check
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
	// Groups are those of a credential that is issued: revoking one of them revokes it.
	Groups []string
	// Reversible is of an issue: whether the revocation of its group only lasts until the group is enabled.
	Reversible bool
	// Lease is of a check that was answered from memory: how long after an acknowledged revocation it may still say active.
	// Zero: Redis was asked.
	Lease time.Duration
	// Note is for the reader of a violation: which server, which status.
	Note string
}

func (e Event) String() string {
	return fmt.Sprintf("%9.4f – %9.4f s  worker %-3d %-6s %-24s %-8s %s", e.Start.Seconds(), e.End.Seconds(), e.Worker, e.Op, e.On, e.Answer, e.Note)
}

// Log records a history. It is safe for concurrent use.
type Log struct {
	began time.Time

	mu     sync.Mutex
	events []Event
}

// NewLog begins a history.
func NewLog() *Log { return &Log{began: time.Now()} }

// Now is the time since the log began, for the Start and the End of events.
func (l *Log) Now() time.Duration { return time.Since(l.began) }

// Add records events.
func (l *Log) Add(events ...Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, events...)
}

// Verify checks what was recorded so far.
func (l *Log) Verify(p Promise) Result {
	l.mu.Lock()
	events := slices.Clone(l.events)
	l.mu.Unlock()
	return Verify(events, p)
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
