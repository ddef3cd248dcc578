package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/web"
)

// Paths of the API.
const (
	MePath       = "/api/v1/users/me"
	KeysPath     = "/api/v1/keys"
	MetadataPath = "/.well-known/oauth-protected-resource"
)

// Options for New. All are required.
type Options struct {
	Config   *config.Config
	Vault    *seal.Vault
	Verifier *bearer.Verifier
	Audit    *audit.Log
	Keys     *keys.Registry
	Now      func() time.Time
}

// Handler answers a request of a principal, or returns an error, never both.
type Handler func(w http.ResponseWriter, r *http.Request, who *bearer.Principal) error

// API has the handlers as its methods.
type API struct {
	config   *config.Config
	keys     *keys.Registry
	now      func() time.Time
	resource *bearer.ProtectedResource
	cursors  web.Cursors
	// the document that never changes while the server runs
	metadata []byte
}

// New is ready when it returns.
func New(o Options) (*API, error) {
	a := &API{
		config: o.Config, keys: o.Keys, now: o.Now,
		resource: &bearer.ProtectedResource{
			Verifier:  o.Verifier,
			Audit:     o.Audit,
			Challenge: `Bearer realm="mintkeep", resource_metadata="` + o.Config.Issuer + MetadataPath + `"`,
			Needed:    "Missing credential; send an API key or an access token in the Authorization header (Bearer)",
			Rejection: audit.APIRejected,
		},
		cursors: web.NewCursors(o.Vault),
	}
	var err error
	a.metadata, err = metadata(o.Config.Issuer)
	return a, err
}

// metadata is RFC 9728 §2. The resource is the issuer itself: its aud is what a token must have to serve here.
func metadata(issuer string) ([]byte, error) {
	return json.Marshal(struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
		Scopes               []string `json:"scopes_supported"`
		Methods              []string `json:"bearer_methods_supported"`
		Name                 string   `json:"resource_name"`
	}{issuer, []string{issuer}, []string{scope.Keys}, []string{"header"}, "Mintkeep"})
}

// Metadata answers GET /.well-known/oauth-protected-resource (RFC 9728).
func (a *API) Metadata(w http.ResponseWriter, _ *http.Request) error {
	web.Public(w, "application/json")
	_, _ = w.Write(a.metadata)
	return nil
}

// Anyone guards a handler for every principal with an active credential.
func (a *API) Anyone(h Handler) web.Handler { return a.guard("", h) }

// KeyOwner guards a handler for users, through an API key of theirs that has the scope mintkeep:keys.
func (a *API) KeyOwner(h Handler) web.Handler {
	return a.guard(scope.Keys, func(w http.ResponseWriter, r *http.Request, who *bearer.Principal) error {
		if who.User == nil {
			return a.resource.Forbidden(scope.Keys, "API keys belong to users: use an API key with the scope mintkeep:keys; access tokens of clients are not accepted")
		}
		return h(w, r, who)
	})
}

// guard admits principals with the scope that is needed; empty: any will do. What is answered differs with the
// credential, so a cache that would keep it in spite of no-store must not give it to another (RFC 9110 §12.5.5).
func (a *API) guard(needed string, h Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Vary", "Authorization")
		presented, err := a.resource.Credential(r)
		if err != nil {
			return err
		}
		who, err := a.resource.Admit(r, presented, needed)
		if err != nil {
			return err
		}
		return h(w, r, who)
	}
}
