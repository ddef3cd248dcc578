package dashboard

import (
	"html/template"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/signingkeys"
	"github.com/mintkeep/mintkeep/server/users"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Options for New. Those without another word are required.
type Options struct {
	Config  *config.Config
	Store   *store.Store
	Ring    *signing.Ring
	Vault   *seal.Vault
	Audit   *audit.Log
	Clients *clients.Registry
	Users   *users.Registry
	Keys    *keys.Registry
	Guards  *guards.Registry
	Now     func() time.Time

	SigningKeys *signingkeys.Rotator

	// Passwords is one for all listeners: it bounds how many hashes the process computes at once.
	Passwords *password.Hasher

	// ForOperators: these are the pages of the listener for operators, MINTKEEP_ADMIN_ADDR.
	ForOperators bool
}

// Dashboard has the handlers of the pages as its methods.
type Dashboard struct {
	config    *config.Config
	store     *store.Store
	ring      *signing.Ring
	audit     *audit.Log
	clients   *clients.Registry
	users     *users.Registry
	keys      *keys.Registry
	guards    *guards.Registry
	rotator   *signingkeys.Rotator
	now       func() time.Time
	passwords *password.Hasher
	forms     formTokens
	origins   *http.CrossOriginProtection
	cursors   web.Cursors
	templates *template.Template
	static    static
	place     place
	hasUsers  atomic.Bool // as the sign-in page has seen
}

// New reads the templates; it is ready when it returns.
func New(o Options) (*Dashboard, error) {
	d := &Dashboard{
		config: o.Config, store: o.Store, ring: o.Ring, audit: o.Audit, clients: o.Clients, users: o.Users, keys: o.Keys, guards: o.Guards, rotator: o.SigningKeys, now: o.Now,
		passwords: o.Passwords,
		forms:     formTokens{o.Vault},
		origins:   http.NewCrossOriginProtection(),
		cursors:   web.NewCursors(o.Vault),
		place:     placeOf(o.Config, o.ForOperators),
	}
	// A proxy may give the request another Host than the browser saw.
	if err := d.origins.AddTrustedOrigin(d.place.Origin); err != nil {
		return nil, err
	}
	var err error
	if d.static, err = newStatic(); err != nil {
		return nil, err
	}
	d.templates, err = parseTemplates(d.static, d.now)
	return d, err
}
