package admin

import (
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/users"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Options for New. All but Now are required.
type Options struct {
	Store  *store.Store
	Ring   *signing.Ring
	Config *config.Config
	Keys   *keys.Keeper
	// Registry does what the routes for clients and people ask for.
	Clients *clients.Registry
	Users   *users.Registry
	// Authorize names the operator who makes the request, as the audit trail will call them, or
	// answers why they may not. It sees to the record of refusals itself.
	Authorize func(r *http.Request) (keys.Maker, error)
	// Now defaults to time.Now.
	Now func() time.Time
}

// Admin has the handlers as its methods.
type Admin struct {
	store     *store.Store
	ring      *signing.Ring
	config    *config.Config
	keys      *keys.Keeper
	clients   *clients.Registry
	users     *users.Registry
	authorize func(r *http.Request) (keys.Maker, error)
	now       func() time.Time
	verifier  *bearer.Verifier
	cursors   web.Cursors
}

// New is ready when it returns.
func New(o Options) *Admin {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Admin{
		store: o.Store, ring: o.Ring, config: o.Config, keys: o.Keys, clients: o.Clients, users: o.Users, authorize: o.Authorize, now: o.Now,
		verifier: &bearer.Verifier{Store: o.Store, Issuer: o.Config.Issuer, Now: o.Now},
		cursors:  web.NewCursors(o.Config.MasterKeys),
	}
}

// Guard makes a handler of one that is for operators alone.
func (a *Admin) Guard(h func(w http.ResponseWriter, r *http.Request, actor string) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		by, err := a.authorize(r)
		if err != nil {
			return err
		}
		web.Note(r.Context(), "actor", by.Actor)
		return h(w, r, by.Actor)
	}
}

// GuardMaker is Guard for the handlers that make keys: what a key may give is less than what a person may.
func (a *Admin) GuardMaker(h func(w http.ResponseWriter, r *http.Request, by keys.Maker) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		by, err := a.authorize(r)
		if err != nil {
			return err
		}
		web.Note(r.Context(), "actor", by.Actor)
		return h(w, r, by)
	}
}

// instant is the present as it is recorded and shown.
func (a *Admin) instant() time.Time { return a.now().UTC().Truncate(time.Millisecond) }
