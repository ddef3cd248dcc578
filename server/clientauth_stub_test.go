package server_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/oauth"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// stubMethod is a client authentication method that this file adds: a header names the client, and another vouches for
// it. It uses no secret.
type stubMethod struct{}

const stubName = "stub_header"

func (stubMethod) Name() string                { return stubName }
func (stubMethod) BySecret() bool              { return false }
func (stubMethod) Unpinned(*store.Client) bool { return false }

func (stubMethod) Present(r *http.Request, _ url.Values) (p oauth.Presented, ok bool, err error) {
	p = oauth.Presented{ClientID: r.Header.Get("Stub-Client"), Credential: r.Header.Get("Stub-Voucher")}
	return p, p.Credential != "", nil
}

func (stubMethod) Verify(_ context.Context, _ *oauth.Server, c *store.Client, p oauth.Presented) (oauth.Verified, error) {
	if c == nil || p.Credential != "yes" {
		return oauth.Verified{Rejected: "no voucher"}, nil
	}
	return oauth.Verified{}, nil
}

// withMethods is a replica of s that offers these client authentication methods. The OpenAPI document does not know
// them, so that answers are not checked against it.
func withMethods(t *testing.T, s *servertest.Server, b *storetest.Backend, methods ...oauth.AuthMethod) *servertest.Server {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	cfg, _, err := config.Load(config.Source{Environ: []string{
		"MINTKEEP_ISSUER=" + servertest.Issuer, "MINTKEEP_ADMIN_TOKEN=" + s.AdminToken, "MINTKEEP_REDIS_URL=" + b.URL(),
		"MINTKEEP_MASTER_KEY=" + base64.StdEncoding.EncodeToString(key),
	}})
	if err != nil {
		t.Fatal(err)
	}
	replica, err := server.New(server.Options{
		Config: cfg, Store: s.Store, Ring: s.Ring, Logger: slog.New(slog.DiscardHandler), Now: b.Clock.Now, AuthMethods: methods,
		StoreBudget: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(replica)
	t.Cleanup(hs.Close)
	return &servertest.Server{URL: hs.URL, AdminToken: s.AdminToken, Store: s.Store, HTTP: hs.Client()}
}

func stubbed(id, voucher string) servertest.Edit {
	return func(r *http.Request) {
		r.Header.Set("Stub-Client", id)
		r.Header.Set("Stub-Voucher", voucher)
	}
}

// TestAuthMethodIsOneFile: a client authentication method that is added to the list is in the metadata and in the
// registration, and authenticates clients, which have no secret.
func TestAuthMethodIsOneFile(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	r := withMethods(t, s, b, append(oauth.AuthMethods(), stubMethod{})...)

	t.Run("metadata", func(t *testing.T) {
		metadata := r.Get(t, "/.well-known/oauth-authorization-server").Want(t, 200, "").JSON(t)
		for _, endpoint := range []string{"token", "introspection", "revocation"} {
			got, _ := metadata[endpoint+"_endpoint_auth_methods_supported"].([]any)
			if want := append(listed(oauth.Offers(oauth.AuthMethods()...).AuthMethods), stubName); !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", endpoint, got, want)
			}
		}
	})

	registration := servertest.M{"client_id": "vouched", "scope": "read", "token_endpoint_auth_method": stubName}
	s.Admin(t, "POST", "/admin/clients", registration).Want(t, 400, "invalid_client_metadata") // offered by the other alone
	created := r.Admin(t, "POST", "/admin/clients", registration).Want(t, 201, "").JSON(t)
	if secrets, _ := created["secrets"].([]any); created["client_secret"] != nil || len(secrets) != 0 || created["token_endpoint_auth_method"] != stubName {
		t.Errorf("registered: %v", created)
	}
	bySecret := r.Register(t, servertest.M{"scope": "read"})

	t.Run("registration names the methods", func(t *testing.T) {
		answer := r.Admin(t, "POST", "/admin/clients", servertest.M{"token_endpoint_auth_method": "x"}).Want(t, 400, "invalid_client_metadata")
		want := "must be " + strings.Join(oauth.Offers(oauth.AuthMethods()...).AuthMethods, ", ") + " or stub_header; if it is omitted, "
		if _, omitted, ok := strings.Cut(answer.Body, want); !ok || strings.Contains(omitted, stubName) || !strings.Contains(omitted, " are allowed") {
			t.Errorf("got %s, want %s… without stub_header", answer.Body, want)
		}
		with := servertest.M{"token_endpoint_auth_method": stubName, "client_secret": strings.Repeat("x", 40)}
		r.Admin(t, "POST", "/admin/clients", with).Want(t, 400, "invalid_client_metadata")
	})
	t.Run("token", func(t *testing.T) {
		r.Post(t, "/oauth/token", grantCC, stubbed("vouched", "yes")).Want(t, 200, "")
		r.Post(t, "/oauth/token", grantCC+"&client_id=vouched", stubbed("vouched", "yes")).Want(t, 200, "")
		r.Post(t, "/oauth/token", grantCC, bySecret.Basic()).Want(t, 200, "")
		r.Post(t, "/oauth/token", grantCC, stubbed("vouched", "yes"), bySecret.Basic()).Want(t, 400, "invalid_request")
		r.Post(t, "/oauth/token", grantCC+"&client_id=other", stubbed("vouched", "yes")).Want(t, 400, "invalid_request")
	})
	for _, test := range []struct {
		name   string
		who    servertest.Edit
		reason string
	}{
		{"rejected by the method", stubbed("vouched", "no"), "no voucher"},
		{"a client that is registered for no method has those by secret alone", stubbed(bySecret.ID, "yes"), "method not allowed"},
		{"a secret for a client without one", servertest.Client{ID: "vouched", Secret: "x"}.Basic(), "method not allowed"},
		{"unknown", stubbed("unknown", "yes"), "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r.Post(t, "/oauth/token", grantCC, test.who).Want(t, 401, "invalid_client")
			if got := lastRejection(t, s)["reason"]; got != test.reason {
				t.Errorf("recorded the reason %q, want %q", got, test.reason)
			}
		})
	}
	t.Run("nothing needs the secret", func(t *testing.T) {
		r.Get(t, "/admin/clients/vouched", servertest.Bearer(r.AdminToken)).Want(t, 200, "")
		r.Get(t, "/admin/clients/vouched/secrets", servertest.Bearer(r.AdminToken)).Want(t, 200, "")
		r.Get(t, "/admin/clients", servertest.Bearer(r.AdminToken)).Want(t, 200, "")
		r.Admin(t, "PATCH", "/admin/clients/vouched", servertest.M{"disabled": true}).Want(t, 200, "")
		r.Post(t, "/oauth/token", grantCC, stubbed("vouched", "yes")).Want(t, 401, "invalid_client")
		if got := lastRejection(t, s)["reason"]; got != "disabled" {
			t.Errorf("recorded the reason %q, want disabled", got)
		}
		r.Admin(t, "POST", "/admin/clients/vouched/secrets", nil).Want(t, 400, "invalid_request")
		r.Admin(t, "PATCH", "/admin/clients/vouched", servertest.M{"token_endpoint_auth_method": nil}).Want(t, 200, "") // on the way to a secret
		r.Admin(t, "POST", "/admin/clients/vouched/secrets", nil).Want(t, 201, "")
		r.Admin(t, "DELETE", "/admin/clients/vouched", nil).Want(t, 204, "")
	})
}
