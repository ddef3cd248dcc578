package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Event is one event of the audit log: who did what to what, when, from where.
type Event struct {
	ID        string    `json:"-"` // its place in the log; empty before it is recorded
	At        time.Time `json:"at"`
	Actor     string    `json:"actor"`
	Via       string    `json:"via,omitempty"` // the API key through which the actor acted
	Action    string    `json:"action"`
	Target    string    `json:"target,omitempty"`
	Address   string    `json:"address,omitempty"`
	RequestID string    `json:"request_id,omitempty"`

	// ServerRequestID is the server's own id of the request, where RequestID is the caller's choice.
	ServerRequestID string `json:"server_request_id,omitempty"`

	// TraceID is the id of the request's trace, if it has one.
	TraceID string `json:"trace_id,omitempty"`

	Detail map[string]string `json:"detail,omitempty"`
}

// Audit records a change. It is written at most once; after ErrUnavailable it may have been.
func (s *Store) Audit(ctx context.Context, e Event) error { return s.AuditAll(ctx, []Event{e}) }

// AuditRefusals records that requests were rejected, and fills in the events what they lack, as AuditAll does.
func (s *Store) AuditRefusals(ctx context.Context, events []Event) error {
	return s.record(ctx, func(Event) stream { return rejections }, events)
}

// AuditAll records many changes in one round trip. It fills in the ID of each event, and the time if there is none. With an error
// those that have an ID are recorded, and of the others it is not known.
func (s *Store) AuditAll(ctx context.Context, events []Event) error {
	return s.record(ctx, s.streamOf, events)
}

// record adds each event to its stream. In a cluster the streams are on several servers, so there is no transaction.
func (s *Store) record(ctx context.Context, streamOf func(Event) stream, events []Event) error {
	ids := make([]*redis.StringCmd, len(events))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range events {
			e := &events[i]
			if e.At.IsZero() {
				e.At = s.now().UTC()
			}
			to := streamOf(*e)
			ids[i] = p.XAdd(ctx, &redis.XAddArgs{Stream: to.key, MaxLen: to.most, Approx: true, Values: []any{"e", encodeRecord(*e)}})
		}
		return nil
	})
	for i := range events {
		events[i].ID = ids[i].Val()
	}
	return unavailable("audit", err)
}

// EventFilter says which events are wanted. The zero value wants all changes.
type EventFilter struct {
	Refusals bool      // the rejections instead
	Since    time.Time // none before
	Actor    string    // of this actor alone
	Target   string    // about this target alone
	Action   string    // of this kind alone: "key.revoked", or "key" for all that begin so
	After    string    // behind the event with this ID, which is where the last page ended
	Limit    int       // at most so many; zero: 50
}

// eventsScanned bounds the work of one page: a filter that matches little gives short, even empty,
// pages and goes on with the next.
const eventsScanned = 5_000

// clockSkew is how far the clock of a replica may be ahead of that of Redis, at most: events are in the order in which they
// arrived, while each has the time of the replica that sent it.
const clockSkew = 2 * time.Minute

func (f EventFilter) wants(e Event) bool {
	return !e.At.Before(f.Since) && (f.Actor == "" || f.Actor == e.Actor) && (f.Target == "" || f.Target == e.Target) &&
		(f.Action == "" || f.Action == e.Action || strings.HasPrefix(e.Action, f.Action+"."))
}

func decodeEvent(entry redis.XMessage) (Event, error) {
	record, _ := entry.Values["e"].(string)
	var e Event
	if err := decodeRecord(record, &e); err != nil {
		return e, fmt.Errorf("event %s: %w", entry.ID, err)
	}
	e.ID = entry.ID
	return e, nil
}
