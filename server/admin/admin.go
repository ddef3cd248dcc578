package admin

import (
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/signingkeys"
	"github.com/mintkeep/mintkeep/server/users"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Options for New. All are required.
type Options struct {
	Config   *config.Config
	Store    *store.Store
	Ring     *signing.Ring
	Vault    *seal.Vault
	Verifier *bearer.Verifier // of leaked credentials
	Audit    *audit.Log
	Clients  *clients.Registry
	Users    *users.Registry
	Keys     *keys.Registry
	Guards   *guards.Registry
	Now      func() time.Time

	SigningKeys *signingkeys.Rotator
}

// Handler answers a request of an operator, or returns an error, never both.
type Handler func(w http.ResponseWriter, r *http.Request, by audit.Actor) error

// Admin has the handlers as its methods.
type Admin struct {
	Options
	cursors web.Cursors
}

// New is ready when it returns.
func New(o Options) *Admin { return &Admin{o, web.NewCursors(o.Vault)} }
