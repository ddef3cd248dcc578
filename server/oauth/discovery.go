package oauth

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Paths of the endpoints, as the metadata advertises them below the issuer.
const (
	TokenPath      = "/oauth/token"
	IntrospectPath = "/oauth/introspect"
	RevokePath     = "/oauth/revoke"
	MetadataPath   = "/.well-known/oauth-authorization-server"
	JWKSPath       = "/.well-known/jwks.json"

	// OpenIDMetadataPath has the same document, for libraries that look here first.
	OpenIDMetadataPath = "/.well-known/openid-configuration"
)

// metadata is RFC 8414 §2. Only what works is in it; response_types_supported is empty because there is
// no authorization endpoint, and an empty member must be left out (§3.2).
func metadata(issuer string, offers clients.Offers) ([]byte, error) {
	methods := offers.AuthMethods
	return json.Marshal(struct {
		Issuer                string   `json:"issuer"`
		TokenEndpoint         string   `json:"token_endpoint"`
		TokenMethods          []string `json:"token_endpoint_auth_methods_supported"`
		IntrospectionEndpoint string   `json:"introspection_endpoint"`
		IntrospectionMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
		RevocationEndpoint    string   `json:"revocation_endpoint"`
		RevocationMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
		JWKS                  string   `json:"jwks_uri"`
		GrantTypes            []string `json:"grant_types_supported"`
		SubjectTypes          []string `json:"subject_types_supported"`
	}{
		issuer, issuer + TokenPath, methods, issuer + IntrospectPath, methods, issuer + RevokePath, methods,
		issuer + JWKSPath, offers.GrantTypes,
		[]string{"public"}, // without which libraries for OpenID Connect read nothing
	})
}

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
