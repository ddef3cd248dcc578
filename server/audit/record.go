package audit

import (
	"maps"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Record is what is done, to what. Detail never holds a secret.
type Record struct {
	Action Action
	Target string
	Detail map[string]string
}

// The targets that have no id.
const (
	SigningKeysTarget = "signing-keys"
	GuardsTarget      = "guards"
	StoreTarget       = "store"
)

// ClientTarget is a client as the audit log names it.
func ClientTarget(id string) string { return "client:" + id }

// UserTarget is a user as the audit log names them.
func UserTarget(id string) string { return "user:" + id }

// KeyTarget is an API key as the audit log names it.
func KeyTarget(id string) string { return "key:" + id }

// Event is the entry of the audit log. Its detail names the declaration that the actor applies.
func (what Record) Event(at time.Time, by Actor) store.Event {
	if by.Owner != "" {
		what = what.with("owner", by.Owner).Granted("file", by.File)
	}
	return store.Event{
		At: web.Time(at), Actor: by.Name, Via: by.Via(), Action: string(what.Action), Target: what.Target,
		Address: by.Address, RequestID: by.RequestID, ServerRequestID: by.ServerRequestID, TraceID: by.TraceID, Detail: bounded(what.Detail),
	}
}

// with is the record with one more member of its detail.
func (what Record) with(name, value string) Record {
	what.Detail = maps.Clone(what.Detail)
	if what.Detail == nil {
		what.Detail = map[string]string{}
	}
	what.Detail[name] = value
	return what
}
