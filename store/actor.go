package store

import "time"

// Actor is who did something, as a revocation and the audit log name them.
type Actor struct {
	// Name is "user:<id>", "client:<id>", "admin-token", "admin-token-next", or the command of an operator.
	Name string
	// Key is the API key through which the actor acts. Nil: a user who signed in, a client, or the admin token.
	Key *KeyRecord
	// Scope is what that key allows at this moment.
	Scope string
	// Address and RequestID tell where the request came from. Empty outside of a request.
	Address, RequestID string
	// ServerRequestID is the server's own id of the request, where RequestID is the caller's.
	ServerRequestID string
	// Owner and File are of the declaration that the actor applies. Empty: none.
	Owner, File string
	// TraceID is the id of the request's trace; empty without tracing.
	TraceID string
}

// UserActor is a user who signed in.
func UserActor(id string) Actor { return Actor{Name: "user:" + id} }

// ClientActor is a client that authenticated.
func ClientActor(id string) Actor { return Actor{Name: "client:" + id} }

// Via is the id of the API key through which the actor acts; empty: none.
func (a Actor) Via() string {
	if a.Key == nil {
		return ""
	}
	return a.Key.ID
}

// Cause is why a credential is revoked or changed: who asked for it, when, and for what reason.
type Cause struct {
	At     time.Time
	Actor  Actor
	Reason string
}

// Tombstone is what the description of a key keeps of the cause of its revocation.
func (c Cause) Tombstone() *Tombstone {
	return &Tombstone{At: c.At, By: c.Actor.Name, Reason: c.Reason}
}
