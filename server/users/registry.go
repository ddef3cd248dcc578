package users

import (
	"context"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Registry creates and changes users. All fields are required.
type Registry struct {
	Store  *store.Store
	Config *config.Config
	Now    func() time.Time
}

// The actions, as the audit trail names them.
const (
	userCreated  = "user.created"
	userUpdated  = "user.updated"
	userEnabled  = "user.enabled"
	userDisabled = "user.disabled"
	userPromoted = "user.promoted"
	userDemoted  = "user.demoted"
	userDeleted  = "user.deleted"
	userInvited  = "user.invited"
)

// UserTarget is the name of a person in the audit trail.
func UserTarget(id string) string { return "user:" + id }

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

// repeated is what the audit log tells of a disabling that finds the user disabled already.
func repeated(already bool) map[string]string {
	if !already {
		return nil
	}
	return map[string]string{"outcome": "was so already"}
}
