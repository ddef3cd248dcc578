package server_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/oauth"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const (
	jwksPath     = "/.well-known/jwks.json"
	metadataPath = "/.well-known/oauth-authorization-server"
)

// TestJWKS is the published key set (RFC 7517 §5).
func TestJWKS(t *testing.T) {
	t.Parallel()
	type shape struct{ kty, crv string }
	for alg, want := range map[string]shape{"ES256": {"EC", "P-256"}, "EdDSA": {"OKP", "Ed25519"}, "RS256": {"RSA", ""}} {
		t.Run("published keys for "+alg, func(t *testing.T) {
			s := servertest.New(t, storetest.Embedded(t), "MINTKEEP_SIGNING_ALG="+alg)
			answer := s.Get(t, jwksPath).Want(t, http.StatusOK, "")
			if got := answer.Header.Get("Content-Type"); got != "application/jwk-set+json" && got != "application/json" {
				t.Errorf("Content-Type: got %q", got)
			}
			var set struct{ Keys []map[string]any }
			if err := json.Unmarshal([]byte(answer.Body), &set); err != nil || len(set.Keys) != 2 {
				t.Fatalf("got %d keys (%v), want the active one and the next", len(set.Keys), err)
			}
			kids := map[any]bool{}
			for _, key := range set.Keys {
				for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
					if _, there := key[private]; there {
						t.Errorf("the private member %q is published", private)
					}
				}
				kids[key["kid"]] = true
				got := shape{key["kty"].(string), ""}
				if crv, ok := key["crv"].(string); ok {
					got.crv = crv
				}
				if got != want || key["alg"] != alg || key["use"] != "sig" {
					t.Errorf("got %v, want %v, alg %s, use sig", key, want, alg)
				}
			}
			if len(kids) != 2 || kids[""] || kids[nil] {
				t.Errorf("the kids are not unique: %v", kids)
			}
			c := s.Register(t, servertest.M{"scope": "read"})
			if header := jwtPart(t, s.Token(t, c), 0); !kids[header["kid"]] || header["alg"] != alg || header["typ"] != "at+jwt" {
				t.Errorf("a token has the header %v", header)
			}
		})
	}

	s := servertest.New(t, storetest.Embedded(t))
	first := s.Get(t, jwksPath)
	etag := first.Header.Get("ETag")
	t.Run("the key set may be cached", func(t *testing.T) {
		control := first.Header.Get("Cache-Control")
		age, err := strconv.Atoi(strings.TrimPrefix(control, "public, max-age="))
		if err != nil || age < 1 || age > 600 || first.Header.Get("Pragma") != "" {
			t.Errorf("Cache-Control %q, Pragma %q", control, first.Header.Get("Pragma"))
		}
		for _, known := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
			again := s.Get(t, jwksPath, servertest.Header("If-None-Match", known)).Want(t, http.StatusNotModified, "")
			if again.Body != "" || again.Header.Get("ETag") != etag || again.Header.Get("Cache-Control") != control {
				t.Errorf("If-None-Match: %s: body %q, header %v", known, again.Body, again.Header)
			}
		}
		s.Get(t, jwksPath, servertest.Header("If-None-Match", `"other"`)).Want(t, http.StatusOK, "")
		head := s.Do(t, http.MethodHead, jwksPath, http.NoBody).Want(t, http.StatusOK, "")
		if head.Body != "" || head.Header.Get("ETag") != etag {
			t.Errorf("HEAD: body %q, ETag %q", head.Body, head.Header.Get("ETag"))
		}
	})
	t.Run("the ETag follows a rotation", func(t *testing.T) {
		s.Admin(t, http.MethodPost, "/admin/signing-keys/rotate", servertest.M{"compromised": true}).Want(t, http.StatusCreated, "")
		s.Get(t, jwksPath, servertest.Header("If-None-Match", etag)).Want(t, http.StatusOK, "")
	})
	t.Run("there is no symmetric mode", func(t *testing.T) {
		for _, alg := range []string{"HS256", "none", "es256", "RS1"} {
			if _, _, err := config.Load(config.Source{Environ: []string{"MINTKEEP_SIGNING_ALG=" + alg}}); err == nil {
				t.Errorf("MINTKEEP_SIGNING_ALG=%s is accepted", alg)
			}
		}
	})
	t.Run("any origin may read the key set", func(t *testing.T) {
		for _, path := range []string{jwksPath, metadataPath} {
			h := s.Get(t, path, servertest.Header("Origin", "https://evil.example")).Want(t, http.StatusOK, "").Header
			if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %v", path, h)
			}
		}
	})
}

// TestMetadata is the authorization server metadata (RFC 8414).
func TestMetadata(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	answer := s.Get(t, metadataPath, func(r *http.Request) { r.Host = "evil.example" }).Want(t, http.StatusOK, "")
	m := answer.JSON(t)

	t.Run("OpenID Connect Discovery's address has the same document", func(t *testing.T) {
		same := s.Get(t, "/.well-known/openid-configuration", func(r *http.Request) { r.Host = "evil.example" }).Want(t, http.StatusOK, "")
		if diff := cmp.Diff(answer.Body, same.Body); diff != "" {
			t.Errorf("(-RFC 8414 +OpenID Connect)\n%s", diff)
		}
		for _, name := range []string{"Content-Type", "Cache-Control", "Access-Control-Allow-Origin"} {
			if got, want := same.Header.Get(name), answer.Header.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	})
	t.Run("the document is JSON", func(t *testing.T) {
		if got := answer.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type: got %q", got)
		}
	})
	t.Run("the issuer is the configured one", func(t *testing.T) {
		for _, format := range []string{"jwt", "opaque"} {
			c := s.Register(t, servertest.M{"scope": "read", "access_token_format": format})
			token := s.Token(t, c)
			if got := s.Introspect(t, c, token)["iss"]; m["issuer"] != servertest.Issuer || got != servertest.Issuer {
				t.Errorf("metadata %v, introspection %v, want %s", m["issuer"], got, servertest.Issuer)
			}
			if format == "jwt" && jwtPart(t, token, 1)["iss"] != servertest.Issuer {
				t.Errorf("token: %v", jwtPart(t, token, 1)["iss"])
			}
		}
	})
	t.Run("a trailing slash of the issuer is removed", func(t *testing.T) {
		slashed := servertest.New(t, storetest.Embedded(t), "MINTKEEP_ISSUER=https://Auth.example.com/")
		c := slashed.Register(t, servertest.M{"scope": "read"})
		inToken := jwtPart(t, slashed.Token(t, c), 1)["iss"]
		if got := slashed.Get(t, metadataPath).JSON(t)["issuer"]; got != inToken || got != servertest.Issuer {
			t.Errorf("metadata %v, token %v", got, inToken)
		}
	})
	offers := oauth.Offers(oauth.AuthMethods()...)
	t.Run("the endpoints are absolute URLs", func(t *testing.T) {
		want := map[string]string{
			"token_endpoint": "/oauth/token", "introspection_endpoint": "/oauth/introspect",
			"revocation_endpoint": "/oauth/revoke", "jwks_uri": jwksPath,
		}
		for name, path := range want {
			if m[name] != servertest.Issuer+path {
				t.Errorf("%s: got %v", name, m[name])
			}
			if s.Get(t, path).Status == http.StatusNotFound {
				t.Errorf("%s is not there", path)
			}
		}
		for _, endpoint := range []string{"token", "introspection", "revocation"} {
			got := m[endpoint+"_endpoint_auth_methods_supported"]
			if diff := cmp.Diff(listed(offers.AuthMethods), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", endpoint, diff)
			}
		}
	})
	t.Run("assertions are signed asymmetrically", func(t *testing.T) { // RFC 8414 §2, RFC 7523 §2.2
		for _, endpoint := range []string{"token", "introspection", "revocation"} {
			methods, _ := m[endpoint+"_endpoint_auth_methods_supported"].([]any)
			if !slices.Contains(methods, any("private_key_jwt")) || slices.Contains(methods, any("client_secret_jwt")) {
				t.Errorf("%s: got the methods %v", endpoint, methods)
			}
			got := m[endpoint+"_endpoint_auth_signing_alg_values_supported"] // without none, and without HS256
			if diff := cmp.Diff([]any{"ES256", "EdDSA", "PS256", "RS256"}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", endpoint, diff)
			}
		}
	})
	t.Run("grant types are the ones that work", func(t *testing.T) {
		if diff := cmp.Diff(listed(offers.GrantTypes), m["grant_types_supported"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("no member is empty but the one that must be", func(t *testing.T) {
		for name, value := range m {
			if list, ok := value.([]any); value == nil || ok && len(list) == 0 && name != "response_types_supported" {
				t.Errorf("%s is empty (RFC 8414 section 3.2)", name)
			}
		}
	})
	t.Run("an unknown document is 404", func(t *testing.T) {
		for _, path := range []string{"/.well-known/openid-configuration/", "/.well-known/", metadataPath + "/x", metadataPath + "/", "/.well-known/jwks"} {
			if got := s.Get(t, path).Want(t, http.StatusNotFound, "not_found").Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("%s: Content-Type %q", path, got)
			}
		}
	})
	t.Run("no scope of Mintkeep's own", func(t *testing.T) {
		s.Register(t, servertest.M{"scope": "mintkeep:admin secret-scope"})
		if body := s.Get(t, metadataPath).Body; strings.Contains(body, "mintkeep:") || strings.Contains(body, "secret-scope") {
			t.Errorf("got %s", body)
		}
	})
	t.Run("other methods are 405", func(t *testing.T) {
		for _, path := range []string{metadataPath, jwksPath} {
			got := s.Post(t, path, "").Want(t, http.StatusMethodNotAllowed, "method_not_allowed").Header.Get("Allow")
			if !slices.Contains(strings.Split(strings.ReplaceAll(got, " ", ""), ","), http.MethodGet) {
				t.Errorf("%s: Allow: %q", path, got)
			}
		}
	})
}

// TestMetadataCompat is the part of the metadata that MCP SDKs require of every server, and the endpoint behind it.
func TestMetadataCompat(t *testing.T) {
	documents := []string{metadataPath, "/.well-known/openid-configuration"}
	s := servertest.New(t, storetest.Embedded(t))
	t.Run("an authorization endpoint, PKCE, and no response type", func(t *testing.T) {
		want := servertest.M{
			"authorization_endpoint":           servertest.Issuer + "/oauth/authorize",
			"response_types_supported":         []any{}, // code does not work, and so it is not advertised
			"code_challenge_methods_supported": []any{"S256"},
		}
		for _, path := range documents {
			got := s.Get(t, path).JSON(t)
			for name := range got {
				if _, ours := want[name]; !ours {
					delete(got, name)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	})
	t.Run("a request to sign in is rejected, and goes nowhere", func(t *testing.T) {
		const usual = "response_type=code&client_id=c1&state=s&code_challenge=x&code_challenge_method=S256&scope=read&resource=https%3A%2F%2Fx"
		const body = `{"error":"unsupported_response_type","error_description":"There is no sign-in here: machines get their tokens at the token endpoint"}`
		s.Register(t, servertest.M{"client_id": "c1", "scope": "read"})
		for _, parameters := range []string{
			"", usual, usual + "&redirect_uri=https%3A%2F%2Fevil.example", usual + "&redirect_uri=javascript:alert(1)",
			"response_type=code&response_type=token&client_secret=x", "%zz=&=&&", "request_uri=https://evil.example&prompt=none",
		} {
			for name, r := range map[string]servertest.Response{
				"GET":       s.Get(t, "/oauth/authorize?"+parameters, servertest.Header("Sec-Fetch-Site", "cross-site")),
				"POST":      s.Post(t, "/oauth/authorize", parameters),
				"POST JSON": s.Post(t, "/oauth/authorize?"+parameters, `{"a":`, servertest.Header("Content-Type", "application/json")),
				"with a wrong secret": s.Get(t, "/oauth/authorize?"+parameters,
					servertest.Client{ID: "c1", Secret: "wrong"}.Basic()),
			} {
				wantRefusal(t, r, http.StatusBadRequest) // with no-store
				if r.Body != body {
					t.Errorf("%s %s: got %s", name, parameters, r.Body)
				}
				for _, header := range []string{"Location", "Refresh", "Set-Cookie", "WWW-Authenticate", "Access-Control-Allow-Origin"} {
					if got := r.Header.Get(header); got != "" {
						t.Errorf("%s %s: %s: %s", name, parameters, header, got)
					}
				}
			}
		}
	})
	t.Run("it counts against no limit", func(t *testing.T) {
		c := s.Register(t, servertest.M{"scope": "read", "rate_limit": "1/m"})
		wrong := servertest.Client{ID: c.ID, Secret: "wrong"}
		for range 30 {
			s.Post(t, "/oauth/authorize", "client_id="+c.ID+"&client_secret=wrong", wrong.Basic()).Want(t, http.StatusBadRequest, "unsupported_response_type")
		}
		s.Token(t, c)
		s.Post(t, "/oauth/token", grant, wrong.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
	})
	t.Run("off, and all of it is absent", func(t *testing.T) {
		off := servertest.New(t, storetest.Embedded(t), "MINTKEEP_METADATA_COMPAT=false")
		for _, path := range documents {
			got := off.Get(t, path).JSON(t)
			for _, name := range []string{"authorization_endpoint", "response_types_supported", "code_challenge_methods_supported"} {
				if value, there := got[name]; there {
					t.Errorf("%s: %s is %v", path, name, value)
				}
			}
			if got["token_endpoint"] != servertest.Issuer+"/oauth/token" {
				t.Errorf("%s: got %v", path, got)
			}
		}
		off.Get(t, "/oauth/authorize").Want(t, http.StatusNotFound, "not_found")
		off.Post(t, "/oauth/authorize", "").Want(t, http.StatusNotFound, "not_found")
	})
}
