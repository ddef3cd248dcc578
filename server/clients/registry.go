package clients

import (
	"context"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Registry registers and changes clients. All fields are required.
type Registry struct {
	Store  *store.Store
	Config *config.Config
	Now    func() time.Time
	Offers Offers
}

// The actions, as the audit trail names them.
const (
	clientCreated       = "client.created"
	clientUpdated       = "client.updated"
	clientEnabled       = "client.enabled"
	clientDisabled      = "client.disabled"
	clientDeleted       = "client.deleted"
	clientTokensRevoked = "client.tokens_revoked"
	secretRotated       = "secret.rotated"
	secretEnded         = "secret.ended"
)

// ClientTarget is the name of a client in the audit trail.
func ClientTarget(id string) string { return "client:" + id }

// instant is the present as it is recorded and shown.
func (g *Registry) instant() time.Time { return web.Time(g.Now()) }

// cause is who has something revoked or changed.
func (g *Registry) cause(actor string) store.Cause {
	return store.Cause{At: g.instant(), Actor: store.Actor{Name: actor}}
}

func (g *Registry) change(r *http.Request, what web.Act, makeIt func(context.Context) error) error {
	return web.Change(r, g.Store, g.Now(), what, makeIt)
}

func (g *Registry) end(r *http.Request, what web.Act, makeIt func(context.Context) error) error {
	return web.End(r, g.Store, g.Now(), what, makeIt)
}
