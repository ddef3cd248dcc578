package audit

import (
	"context"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Actor is who did something. The constructors that take a context take that of a request, and say where it came from.
type Actor = store.Actor

// AdminTokenName is the actor's name for the admin token.
const AdminTokenName = "admin-token"

// NextAdminTokenName is the actor's name for the one that is accepted too, while the admin token is changed.
const NextAdminTokenName = "admin-token-next"

// AdminToken is a caller who presented the admin token.
func AdminToken(ctx context.Context) Actor { return located(ctx, Actor{Name: AdminTokenName}) }

// NextAdminToken is a caller who presented the next admin token.
func NextAdminToken(ctx context.Context) Actor { return located(ctx, Actor{Name: NextAdminTokenName}) }

// User is a user who signed in.
func User(ctx context.Context, id string) Actor { return located(ctx, store.UserActor(id)) }

// Client is a client that authenticated.
func Client(ctx context.Context, id string) Actor { return located(ctx, store.ClientActor(id)) }

// Key is a user who acts through an API key, which allows the scope at this moment.
func Key(ctx context.Context, userID string, key *store.KeyRecord, scope string) Actor {
	a := User(ctx, userID)
	a.Key, a.Scope = key, scope
	return a
}

// Unauthenticated is a caller who proved nothing. claimed is the name that they gave; empty: none.
func Unauthenticated(ctx context.Context, claimed string) Actor {
	return located(ctx, Actor{Name: claimed})
}

// Tool is an operator who ran a command on the store itself, such as "mintkeep fence".
func Tool(command string) Actor { return Actor{Name: "operator (" + command + ")"} }

func located(ctx context.Context, a Actor) Actor {
	a.Address, a.RequestID, a.ServerRequestID, a.TraceID = web.Origin(ctx)
	return a
}
