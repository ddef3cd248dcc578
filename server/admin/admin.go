package admin

import (
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Options for New. All but Now are required.
type Options struct {
	Store  *store.Store
	Ring   *signing.Ring
	Config *config.Config
	// Authorize names the operator who makes the request, as the audit trail will call them, or
	// answers why they may not. It sees to the record of refusals itself.
	Authorize func(r *http.Request) (actor string, err error)
	// Now defaults to time.Now.
	Now func() time.Time
}

// Admin has the handlers as its methods.
type Admin struct {
	store     *store.Store
	ring      *signing.Ring
	config    *config.Config
	authorize func(r *http.Request) (actor string, err error)
	now       func() time.Time
	cursors   cursors
}

// New is ready when it returns.
func New(o Options) *Admin {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Admin{
		store: o.Store, ring: o.Ring, config: o.Config, authorize: o.Authorize, now: o.Now,
		cursors: newCursors(o.Config.MasterKeys),
	}
}

// Guard makes a handler of one that is for operators alone.
func (a *Admin) Guard(h func(w http.ResponseWriter, r *http.Request, actor string) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		actor, err := a.authorize(r)
		if err != nil {
			return err
		}
		web.Note(r.Context(), "actor", actor)
		return h(w, r, actor)
	}
}

// instant is the present as it is recorded and shown.
func (a *Admin) instant() time.Time { return a.now().UTC().Truncate(time.Millisecond) }
