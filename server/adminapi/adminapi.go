// Package adminapi has the JSON of /admin, as the server writes it and the CLI reads it. What describes an API key is
// the same in /api/v1/keys.
//
// A pointer is null where there is nothing to say. Times are UTC, to the millisecond.
package adminapi

import "time"

const (
	MaxRevokedKeys = 100 // how many keys one request may revoke
	MaxFileName    = 255 // bytes of the name of a file that declares what a request changes
)

// Page is one page of a listing, or the whole of a short one.
type Page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// Event is an entry of the audit log.
type Event struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Actor     string    `json:"actor"`
	Via       string    `json:"via,omitempty"` // the API key through which the actor acted
	Action    string    `json:"action"`
	Target    string    `json:"target"`
	Address   string    `json:"address"`
	RequestID string    `json:"request_id"`

	ServerRequestID string `json:"server_request_id,omitempty"` // the server's own, where request_id is the caller's

	TraceID string `json:"trace_id,omitempty"` // of the request's trace, with tracing

	Detail map[string]string `json:"detail"`
}

// SigningKey is a key of the ring, without the key itself.
type SigningKey struct {
	ID          string     `json:"kid"`
	Algorithm   string     `json:"alg"`
	State       string     `json:"state"`
	CreatedAt   time.Time  `json:"created_at"`
	PublishedAt time.Time  `json:"published_at"`
	ActivatedAt *time.Time `json:"activated_at"`
	RetiredAt   *time.Time `json:"retired_at"`
	RemovedAt   *time.Time `json:"removed_at"`
}

// Stats counts what the store has, and what the token endpoint did in each minute.
type Stats struct {
	Clients    int64    `json:"clients"`
	Users      int64    `json:"users"`
	ActiveKeys int64    `json:"live_keys"`
	Tokens     []Minute `json:"tokens"`
}

// Minute is what the token endpoint did in one minute.
type Minute struct {
	Start    time.Time `json:"minute"`
	Issued   int64     `json:"issued"`
	Rejected int64     `json:"refused"`
}

// LeakReport answers a report of leaked credentials. It does not tell whose the active ones were: a report may come from
// outside.
type LeakReport struct {
	Received int `json:"received"`
	Active   int `json:"live"`
}
