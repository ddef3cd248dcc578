package adminapi

import "time"

// Guard is an instance of a service that keeps answers of introspection and polls the feed.
type Guard struct {
	Instance         string    `json:"instance"` // the name that it gives itself; may be empty
	ClientID         string    `json:"client_id"`
	Version          string    `json:"version"`  // may be empty
	LeaseMS          *int64    `json:"lease_ms"` // null: it does not say
	LagMS            *int64    `json:"lag_ms"`   // null: no answer had fresh yet
	Entries          int64     `json:"entries"`
	ServedPerMinute  int64     `json:"served_per_minute"`
	RefusedPerMinute int64     `json:"refused_per_minute"`
	LastHeardAt      time.Time `json:"last_heard_at"`
	State            string    `json:"state"`
}

// The states of a guard.
const (
	GuardCurrent = "current"
	GuardLate    = "late" // it does not answer from memory
)

// GuardPage is a page of guards.
type GuardPage struct {
	Page[Guard]
	Truncated bool `json:"truncated"` // there are more than are listed
}

// Probe is a probe that has begun.
type Probe struct {
	ID string `json:"id"`
}

// ProbeProgress is what is known of a probe.
type ProbeProgress struct {
	ID        string        `json:"id"`
	Complete  bool          `json:"complete"` // each guard has passed it, or is silent
	Guards    int           `json:"guards"`
	Passed    int           `json:"passed"`
	Silent    int           `json:"silent"`
	PassedMS  *int64        `json:"passed_ms"` // of the slowest that has passed it; null: none has
	Truncated bool          `json:"truncated"` // there are more guards than are counted
	Items     []ProbedGuard `json:"items"`
}

// ProbedGuard is a guard after a probe.
type ProbedGuard struct {
	Instance    string `json:"instance"`
	ClientID    string `json:"client_id"`
	State       string `json:"state"`
	PassedMS    *int64 `json:"passed_ms"` // after the probe; null: it has not passed it
	LeaseMS     *int64 `json:"lease_ms"`
	LastHeardMS int64  `json:"last_heard_ms"` // ago
}

// The states of a guard after a probe.
const (
	ProbePassed  = "passed"
	ProbeSilent  = "silent" // not heard of for longer than its lease
	ProbeWaiting = "waiting"
)
