package admin

import (
	"context"
	"net/http"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// The actions, as the audit trail names them.
const (
	clientCreated         = "client.created"
	clientUpdated         = "client.updated"
	clientEnabled         = "client.enabled"
	clientDisabled        = "client.disabled"
	clientDeleted         = "client.deleted"
	clientTokensRevoked   = "client.tokens_revoked"
	secretRotated         = "secret.rotated"
	secretEnded           = "secret.ended"
	signingKeyRotated     = "signing_key.rotated"
	signingKeyCompromised = "signing_key.compromised"
)

// act is something that an operator does: what of it goes into the audit trail. Detail never holds a
// secret.
type act struct {
	actor, action, target string
	detail                map[string]string
}

func clientTarget(id string) string { return "client:" + id }

// change makes a change that is not an end. It is recorded first, and what cannot be recorded is not
// made. Whether it can be made at all is best looked at before: the record stays.
func (a *Admin) change(r *http.Request, what act, makeIt func(context.Context) error) error {
	if err := a.store.Audit(r.Context(), a.event(r, what)); err != nil {
		return err
	}
	return makeIt(r.Context())
}

// end makes an end. It holds once makeIt has returned without an error, whether or not it can be
// recorded, so that a store which takes no more writes cannot keep a stolen credential alive.
func (a *Admin) end(r *http.Request, what act, makeIt func(context.Context) error) error {
	ctx := r.Context()
	if err := makeIt(ctx); err != nil {
		return err
	}
	if err := a.store.Audit(ctx, a.event(r, what)); err != nil {
		// The log is then the only trail; its line has actor, address and request id already.
		web.Note(ctx, "not_audited", what.action+" "+what.target)
		web.Note(ctx, "audit_error", err.Error())
	}
	return nil
}

func (a *Admin) event(r *http.Request, what act) store.Event {
	e := store.Event{
		At: a.instant(), Actor: what.actor, Action: what.action, Target: what.target, Detail: what.detail,
		RequestID: web.RequestID(r.Context()),
	}
	if address := web.Address(r); address.IsValid() {
		e.Address = address.String()
	}
	return e
}
