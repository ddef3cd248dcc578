package audit

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// Log writes the audit log, in what is left of the time of the request that ctx belongs to. Store and Now are required.
type Log struct {
	Store *store.Store
	Now   func() time.Time

	// Copy gets each event as a line of JSON, as an export has it, whether or not Redis has recorded it. It must not block.
	// Nil: there is no copy.
	Copy io.Writer
	// Metrics counts the events that Redis has not recorded. May be nil.
	Metrics *metrics.Metrics
}

// Cause is why the store is to revoke or change something.
func (l *Log) Cause(by Actor, reason string) store.Cause {
	return store.Cause{At: web.Time(l.Now()), Actor: by, Reason: reason}
}

// Change makes a change that is not a revocation. It is recorded first, and what cannot be recorded is not made. The
// caller checks beforehand whether it can be made at all: the record stays, and another that it failed follows.
func (l *Log) Change(ctx context.Context, by Actor, what Record, change func(context.Context) error) error {
	event := []store.Event{what.Event(l.Now(), by)}
	err := l.Store.AuditAll(ctx, event)
	if err == nil || redisdb.IsUncertain(err) { // the record may be there all the same
		l.copied(event)
	}
	if err != nil {
		if redisdb.IsUncertain(err) {
			l.Failed(ctx, by, what)
		}
		return err
	}
	switch err = change(ctx); {
	case errors.Is(err, store.ErrUnconfirmed): // it may have taken something away
		web.NeverSample(ctx)
	case err != nil:
		l.Failed(ctx, by, what)
	}
	return err
}

// Revoke makes a revocation. It holds once revoke has returned without an error, whether or not it can be recorded. One
// that was applied and not confirmed is recorded, and is an error all the same. So is one whose outcome is unknown, a
// panic included: a caller who repeats it may be told that there is nothing to revoke, which records nothing.
func (l *Log) Revoke(ctx context.Context, by Actor, what Record, revoke func(context.Context) error) error {
	err := errPanic
	defer func() {
		switch {
		case err == nil || errors.Is(err, store.ErrUnconfirmed):
			l.Revoked(ctx, by, what)
		case errors.Is(err, store.ErrUnavailable), errors.Is(err, errPanic):
			l.Attempted(ctx, by, what)
		}
	}()
	err = revoke(ctx)
	return err
}

// errPanic stands for the error of a revocation that has returned none.
var errPanic = errors.New("the revocation panicked")

// Failed records that a change was not made after its record, or perhaps not.
func (l *Log) Failed(ctx context.Context, by Actor, what Record) {
	what.Action = what.Action.Failed()
	l.Revoked(ctx, by, what)
}

// Attempted records revocations whose outcome is unknown.
func (l *Log) Attempted(ctx context.Context, by Actor, what ...Record) {
	unknown := make([]Record, len(what))
	for i := range what {
		unknown[i] = what[i].with("outcome", "unknown")
	}
	l.Revoked(ctx, by, unknown...)
}

// Done records what was done already, outside of a request.
func (l *Log) Done(ctx context.Context, by Actor, what Record) error {
	return l.record(ctx, l.Store.AuditAll, []store.Event{what.Event(l.Now(), by)})
}

// Revoked records revocations that hold already. If it cannot, the request's line in the log has them: a warning, in a
// flood too.
func (l *Log) Revoked(ctx context.Context, by Actor, what ...Record) {
	if len(what) == 0 {
		return
	}
	web.NeverSample(ctx)
	events, now := make([]store.Event, len(what)), l.Now()
	for i := range what {
		events[i] = what[i].Event(now, by)
	}
	if err := l.record(ctx, l.Store.AuditAll, events); err != nil {
		for i := range what {
			if events[i].ID == "" {
				web.Warn(ctx, "not_audited", string(what[i].Action)+" "+what[i].Target)
			}
		}
		web.Note(ctx, "audit_error", err.Error())
	}
}

// Reject records a rejected request. The target is the pattern of its route: the path has what the caller likes. A
// failure changes nothing for the caller, and stands in the request's line in the log.
func (l *Log) Reject(ctx context.Context, by Actor, what Action, detail map[string]string) {
	web.Reason(ctx, detail["reason"])
	e := Record{what, web.Route(ctx), detail}.Event(time.Time{}, by) // the store fills in the time
	if err := l.record(ctx, l.Store.AuditRefusals, []store.Event{e}); err != nil {
		web.Note(ctx, "audit", "the rejection was not recorded: "+err.Error())
	}
}

// record records events of what has happened in any case, and copies them whether or not Redis has taken them.
func (l *Log) record(ctx context.Context, to func(context.Context, []store.Event) error, events []store.Event) error {
	err := to(ctx, events)
	if err != nil {
		lost := slices.DeleteFunc(slices.Clone(events), func(e store.Event) bool { return e.ID != "" })
		l.Metrics.AuditNotWritten(metrics.AuditStore, len(lost))
	}
	l.copied(events)
	return err
}
