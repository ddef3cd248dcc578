package oauth

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Paths of the endpoints, as the metadata advertises them below the issuer.
const (
	AuthorizePath  = "/oauth/authorize"
	TokenPath      = "/oauth/token"
	IntrospectPath = "/oauth/introspect"
	RevokePath     = "/oauth/revoke"
	ConfirmPath    = "/oauth/confirm"
	ChangesPath    = "/oauth/changes"
	MetadataPath   = "/.well-known/oauth-authorization-server"
	JWKSPath       = "/.well-known/jwks.json"

	// OpenIDMetadataPath has the same document, for libraries that look here first.
	OpenIDMetadataPath = "/.well-known/openid-configuration"
)

// metadata is RFC 8414 §2. It has only what works, and by MINTKEEP_METADATA_COMPAT the members of [compat].
func metadata(c *config.Config, offers clients.Offers) ([]byte, error) {
	issuer, methods := c.Issuer, offers.AuthMethods
	var algorithms []string // required with private_key_jwt
	if slices.Contains(methods, store.PrivateKeyJWT) {
		algorithms = jwks.Algorithms
	}
	return json.Marshal(struct {
		Issuer                string   `json:"issuer"`
		TokenEndpoint         string   `json:"token_endpoint"`
		TokenMethods          []string `json:"token_endpoint_auth_methods_supported"`
		TokenAlgorithms       []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
		IntrospectionEndpoint string   `json:"introspection_endpoint"`
		IntrospectionMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
		IntrospectionAlgs     []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
		RevocationEndpoint    string   `json:"revocation_endpoint"`
		RevocationMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
		RevocationAlgorithms  []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
		JWKS                  string   `json:"jwks_uri"`
		GrantTypes            []string `json:"grant_types_supported"`
		SubjectTypes          []string `json:"subject_types_supported"`
		*feedEndpoints
		*compat
	}{
		issuer, issuer + TokenPath, methods, algorithms, issuer + IntrospectPath, methods, algorithms, issuer + RevokePath, methods, algorithms,
		issuer + JWKSPath, offers.GrantTypes,
		[]string{"public"}, // without which libraries for OpenID Connect read nothing
		newFeedEndpoints(c), newCompat(c),
	})
}

// feedEndpoints are those for services that keep answers of introspection, by names of Mintkeep's own.
type feedEndpoints struct {
	Changes string `json:"mintkeep_changes_endpoint"`
	Confirm string `json:"mintkeep_confirm_endpoint"`
}

// newFeedEndpoints is nil, and the members are absent, where there is no feed.
func newFeedEndpoints(c *config.Config) *feedEndpoints {
	if !c.Feed {
		return nil
	}
	return &feedEndpoints{c.Issuer + ChangesPath, c.Issuer + ConfirmPath}
}

// compat are the members that a server without the authorization code grant could leave out. The SDKs of MCP read no
// metadata without them, although a machine that fetches tokens uses none of them. ResponseTypes is empty, because no
// response type works: RFC 8414 §2 requires the member, and §3.2 omits an empty one, so either form can be argued.
type compat struct {
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	ResponseTypes         []string `json:"response_types_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
}

// newCompat is nil, and the members are absent, while MINTKEEP_METADATA_COMPAT is false.
func newCompat(c *config.Config) *compat {
	if !c.MetadataCompat {
		return nil
	}
	return &compat{c.Issuer + AuthorizePath, []string{}, []string{"S256"}}
}

// errNoSignIn is the answer of the authorization endpoint (RFC 6749 §4.1.2.1). It is sent to the browser and never to
// redirect_uri, which is only followed if it is registered (§3.1.2.4), and no client has one.
var errNoSignIn = &web.Error{
	Status: http.StatusBadRequest, Code: "unsupported_response_type",
	Description: "There is no sign-in here: machines get their tokens at the token endpoint",
}

// Authorize answers GET and POST /oauth/authorize, which the metadata names by MINTKEEP_METADATA_COMPAT. It reads
// nothing of the request, and counts nothing: there is nothing to guess.
func (s *Server) Authorize(http.ResponseWriter, *http.Request) error { return errNoSignIn }

// Metadata answers GET /.well-known/oauth-authorization-server (RFC 8414) and GET /.well-known/openid-configuration.
func (s *Server) Metadata(w http.ResponseWriter, _ *http.Request) error {
	web.Public(w, "application/json")
	_, _ = w.Write(s.metadata)
	return nil
}

// JWKS answers GET /.well-known/jwks.json (RFC 7517 §5).
func (s *Server) JWKS(w http.ResponseWriter, r *http.Request) error {
	body, etag := s.ring.JWKS()
	if body == nil {
		return store.ErrUnavailable
	}
	web.Public(w, "application/jwk-set+json")
	w.Header().Set("ETag", etag)
	for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if k := strings.TrimSpace(known); k == "*" || strings.TrimPrefix(k, "W/") == etag {
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	_, _ = w.Write(body)
	return nil
}
