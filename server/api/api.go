package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
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
	Store    *store.Store
	Verifier *bearer.Verifier
	Keys     *keys.Keeper
	Now      func() time.Time
}

// API has the handlers as its methods.
type API struct {
	config  *config.Config
	store   *store.Store
	keys    *keys.Keeper
	now     func() time.Time
	door    *bearer.Door
	cursors web.Cursors
	// the document that never changes while the server runs
	metadata []byte
}

// New is ready when it returns.
func New(o Options) (*API, error) {
	a := &API{
		config: o.Config, store: o.Store, keys: o.Keys, now: o.Now,
		door: &bearer.Door{
			Verifier:  o.Verifier,
			Challenge: `Bearer realm="mintkeep", resource_metadata="` + o.Config.Issuer + MetadataPath + `"`,
			Needed:    "Authorization: Bearer with an API key or an access token is needed",
			Refused:   "api.refused",
		},
		cursors: web.NewCursors(o.Config.MasterKeys),
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

// enter lets the holder of a live credential in. What is answered differs with the credential, so a cache that
// would keep it in spite of no-store must not give it to another (RFC 9110 §12.5.5).
func (a *API) enter(w http.ResponseWriter, r *http.Request, needed string) (*bearer.Holder, error) {
	w.Header().Set("Vary", "Authorization")
	presented, err := a.door.Credential(r)
	if err != nil {
		return nil, err
	}
	return a.door.Admit(r, presented, needed)
}
