package web

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// Act is something that somebody does to something: what of it goes into the audit trail. Detail never holds
// a secret.
type Act struct {
	Actor, Action, Target string
	Detail                map[string]string
}

// Failed is behind the action of an event that tells of a change which was recorded and then not made, or perhaps
// not.
const Failed = ".failed"

// Change makes a change that is not an end. It is recorded first, and what cannot be recorded is not
// made. Whether it can be made at all is best looked at before: the record stays, and another that it failed follows.
func Change(r *http.Request, s *store.Store, at time.Time, act Act, makeIt func(context.Context) error) error {
	if err := s.Audit(r.Context(), event(r, at, act)); err != nil {
		return err
	}
	err := makeIt(r.Context())
	if err != nil && !errors.Is(err, store.ErrUnconfirmed) {
		act.Action += Failed
		Ended(r, s, at, act)
	}
	return err
}

// End makes an end. It holds once makeIt has returned without an error, whether or not it can be
// recorded, so that a store which takes no more writes cannot keep a stolen credential alive. One that was carried
// out and not confirmed is recorded, and an error all the same. So is one that may have been carried out: whoever
// repeats it may be told that there is nothing to end, which records nothing.
func End(r *http.Request, s *store.Store, at time.Time, act Act, makeIt func(context.Context) error) error {
	err := makeIt(r.Context())
	switch {
	case err == nil || errors.Is(err, store.ErrUnconfirmed):
		Ended(r, s, at, act)
	case errors.Is(err, store.ErrUnavailable):
		Attempted(r, s, at, act)
	}
	return err
}

// Attempted records an end of which it is not known whether it was carried out: outcome=unknown.
func Attempted(r *http.Request, s *store.Store, at time.Time, act Act) {
	act.Detail = maps.Clone(act.Detail)
	if act.Detail == nil {
		act.Detail = map[string]string{}
	}
	act.Detail["outcome"] = "unknown"
	Ended(r, s, at, act)
}

// Ended records ends that hold already, in what is left of the request's time.
func Ended(r *http.Request, s *store.Store, at time.Time, acts ...Act) {
	if len(acts) == 0 {
		return
	}
	ctx := r.Context()
	events := make([]store.Event, len(acts))
	for i, act := range acts {
		events[i] = event(r, at, act)
	}
	if err := s.AuditAll(ctx, events); err != nil {
		// The log is then the only trail; its line has actor, address and request id already.
		for _, act := range acts {
			Note(ctx, "not_audited", act.Action+" "+act.Target)
		}
		Note(ctx, "audit_error", err.Error())
	}
}

// Via notes, for the audit trail, the API key through which somebody acts in this request.
func Via(ctx context.Context, keyID string) { from(ctx).via = keyID }

func event(r *http.Request, at time.Time, act Act) store.Event {
	x := from(r.Context())
	e := store.Event{
		At: Time(at), Actor: act.Actor, Action: act.Action, Target: act.Target, Detail: act.Detail,
		Via: x.via, RequestID: x.id,
	}
	if x.address.IsValid() {
		e.Address = x.address.String()
	}
	return e
}
