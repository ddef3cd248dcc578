package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Event is one event of the audit log: who did what to what, when, from where.
type Event struct {
	ID        string    `json:"-"` // its place in the log
	At        time.Time `json:"at"`
	Actor     string    `json:"actor"`
	Via       string    `json:"via,omitempty"` // the API key through which the actor acted
	Action    string    `json:"action"`
	Target    string    `json:"target,omitempty"`
	Address   string    `json:"address,omitempty"`
	RequestID string    `json:"request_id,omitempty"`

	// ServerRequestID is the server's own id of the request, where RequestID is the caller's choice.
	ServerRequestID string `json:"server_request_id,omitempty"`

	Detail map[string]string `json:"detail,omitempty"`
}

// Changes and rejections have a stream each, so that a caller who is rejected a thousand times does not
// push out what was changed.
const (
	changesKey     = "mk:audit"
	changesKept    = 100_000
	rejectionsKey  = "mk:refusals"
	rejectionsKept = 10_000
)

// Audit records a change. It is written at most once; after ErrUnavailable it may have been.
func (s *Store) Audit(ctx context.Context, e Event) error {
	return s.record(ctx, changesKey, changesKept, e)
}

// AuditRefusal records that a request was rejected.
func (s *Store) AuditRefusal(ctx context.Context, e Event) error {
	return s.record(ctx, rejectionsKey, rejectionsKept, e)
}

// AuditAll records many changes in one round trip.
func (s *Store) AuditAll(ctx context.Context, events []Event) error {
	return s.record(ctx, changesKey, changesKept, events...)
}

func (s *Store) record(ctx context.Context, key string, kept int64, events ...Event) error {
	_, err := s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, e := range events {
			if e.At.IsZero() {
				e.At = s.now().UTC()
			}
			p.XAdd(ctx, &redis.XAddArgs{Stream: key, MaxLen: kept, Approx: true, Values: []any{"e", encodeRecord(e)}})
		}
		return nil
	})
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

// clockSkew is how far the clocks of two replicas may be apart, at most: events are in the order in which
// they arrived, while each has the time of the replica that sent it.
const clockSkew = 2 * time.Minute

// isEventID says whether id has the form of an event's ID: two numbers, never 0-0.
func isEventID(id string) bool {
	ms, seq, ok := strings.Cut(id, "-")
	m, err := strconv.ParseUint(ms, 10, 64)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	return ok && err == nil && err2 == nil && (m > 0 || n > 0)
}

// Events lists events, newest first. next is empty behind the last page; a page may be short, even
// empty, before.
func (s *Store) Events(ctx context.Context, f EventFilter) (page []Event, next string, err error) {
	key, limit := changesKey, f.Limit
	if f.Refusals {
		key = rejectionsKey
	}
	if limit <= 0 {
		limit = 50
	}
	from := "+"
	if f.After != "" {
		if !isEventID(f.After) {
			return nil, "", fmt.Errorf("event %q: %w", f.After, ErrNotFound)
		}
		from = "(" + f.After
	}
	const chunk = 500
	for scanned := 0; scanned < eventsScanned; scanned += chunk {
		entries, err := s.rdb.XRevRangeN(ctx, key, from, "-", chunk).Result()
		if err != nil {
			return nil, "", unavailable("read audit", err)
		}
		for _, entry := range entries {
			e, err := decodeEvent(entry)
			if err != nil {
				return nil, "", err
			}
			if e.At.Before(f.Since.Add(-clockSkew)) {
				return page, "", nil
			}
			from = "(" + entry.ID
			if f.wants(e) {
				page = append(page, e)
			}
			if len(page) == limit {
				return page, entry.ID, nil
			}
		}
		if len(entries) < chunk {
			return page, "", nil
		}
	}
	return page, from[1:], nil
}

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
