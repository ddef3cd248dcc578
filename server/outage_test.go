package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// answerLimit is within which every request is answered. Callers are promised far less, but a busy machine may take as
// long; the fault bench measures it on one that is not.
const answerLimit = 10 * time.Second

// storeRoutes asks every route that needs the store; each must answer 503.
func storeRoutes(t *testing.T, s *servertest.Server, c servertest.Client, token string) {
	t.Helper()
	admin := func(method, path string, body any) func() servertest.Response {
		return func() servertest.Response { return s.Admin(t, method, path, body) }
	}
	post := func(path, form string) func() servertest.Response {
		return func() servertest.Response { return s.Post(t, path, form, c.Basic()) }
	}
	path := clientsPath + "/" + c.ID
	for what, ask := range map[string]func() servertest.Response{
		"token": post("/oauth/token", grantCC), "introspect": post("/oauth/introspect", "token="+token), "revoke": post("/oauth/revoke", "token="+token),
		"introspect by a token": func() servertest.Response {
			return s.Post(t, "/oauth/introspect", "token=x", servertest.Bearer(token))
		},
		"confirm": func() servertest.Response {
			return postConfirm(t, s, groupsBody(t, groupOf("client", c.ID, keptAnswer{token, "AAAAAAAAAAA"})), c.Basic())
		},
		"introspect junk": post("/oauth/introspect", "token=x"), "revoke junk": post("/oauth/revoke", "token=x"),
		"register": admin(http.MethodPost, clientsPath, servertest.M{"client_id": "lost"}), "list": admin(http.MethodGet, clientsPath, nil),
		"show": admin(http.MethodGet, path, nil), "patch": admin(http.MethodPatch, path, servertest.M{"client_name": "x"}),
		"disable": admin(http.MethodPatch, path, servertest.M{"disabled": true}), "delete": admin(http.MethodDelete, path, nil),
		"secrets": admin(http.MethodGet, path+"/secrets", nil), "rotate": admin(http.MethodPost, path+"/secrets", nil),
		"end secret": admin(http.MethodDelete, path+"/secrets/sec_x", nil), "revoke-tokens": admin(http.MethodPost, path+"/revoke-tokens", nil),
		"audit": admin(http.MethodGet, "/admin/audit", nil), "compromised": admin(http.MethodPost, "/admin/signing-keys/rotate", servertest.M{"compromised": true}),
		"admin by a token": func() servertest.Response { return s.Get(t, clientsPath, servertest.Bearer(token)) },
		"readyz":           func() servertest.Response { return s.Get(t, "/readyz") },
	} {
		began := time.Now()
		got := ask()
		if took := time.Since(began); took > answerLimit {
			t.Errorf("%s took %v", what, took)
		}
		if got.Status != http.StatusServiceUnavailable || got.Error() != "temporarily_unavailable" || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d %s %v, want 503 with Retry-After", what, got.Status, got.Body, got.Header)
		}
	}
}

// TestStoreOutageIsNeverAVerdict: without Redis every route that needs it answers 503, and no route a verdict.
func TestStoreOutageIsNeverAVerdict(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	s := servertest.New(t, server.Backend(t).Impatient())
	s.Server.KeepBudget()
	c := s.Register(t, servertest.M{"client_id": "patient", "scope": "read mintkeep:admin", "audience": []string{servertest.Issuer}})
	token := s.Token(t, c, "scope=read+mintkeep:admin")
	public := func(t *testing.T) {
		t.Helper()
		for _, path := range []string{metadataPath, jwksPath, "/healthz", "/openapi.yaml"} {
			s.Get(t, path).Want(t, http.StatusOK, "")
		}
		s.Get(t, "/oauth/authorize").Want(t, http.StatusBadRequest, "unsupported_response_type")
	}
	t.Run("Redis is stopped", func(t *testing.T) {
		server.Stop()
		storeRoutes(t, s, c, token)
		public(t)
		s.Get(t, clientsPath, servertest.Bearer("wrong")).Want(t, http.StatusUnauthorized, "invalid_token")
	})
	server.Start() // empty: it persists nothing
	until(t, "it is ready again", func() bool { return s.Get(t, "/readyz").Status == http.StatusOK })
	c = s.Register(t, servertest.M{"client_id": "patient", "scope": "read mintkeep:admin", "audience": []string{servertest.Issuer}})
	wantInactive(t, s, c, token, "what the store lost")
	token = s.Token(t, c, "scope=read+mintkeep:admin")
	t.Run("Redis is frozen", func(t *testing.T) {
		server.Freeze()
		defer server.Thaw()
		for path, form := range map[string]string{"/oauth/token": grantCC, "/oauth/introspect": "token=" + token, "/oauth/revoke": "token=" + token} {
			began := time.Now()
			got := s.Post(t, path, form, c.Basic()).Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			if took := time.Since(began); took > answerLimit || got.Header.Get("Retry-After") == "" {
				t.Errorf("%s took %v; %v", path, took, got.Header)
			}
		}
		public(t)
	})
	t.Run("a revocation that was not acknowledged may be repeated", func(t *testing.T) {
		s.Revoke(t, c, token).Want(t, http.StatusOK, "")
		wantInactive(t, s, c, token, "revoked")
	})
}

// TestRevocationsHoldOutOfMemory: a revocation holds though Redis can write nothing more, not even its audit event; a
// change that cannot be recorded is not made.
func TestRevocationsHoldOutOfMemory(t *testing.T) {
	server := storetest.Redis(t)
	b := server.Backend(t)
	s := servertest.New(t, b)
	rs, _ := introspectors(t, s)
	clients, tokens := map[string]servertest.Client{}, map[string]string{}
	for _, id := range []string{"revoked", "disabled", "deleted", "ended", "secret", "untouched"} {
		clients[id] = s.Register(t, servertest.M{"client_id": id, "scope": "read write"})
		tokens[id] = s.Token(t, clients[id])
	}
	secretID := s.Admin(t, http.MethodGet, clientsPath+"/secret/secrets", nil).JSON(t)["items"].([]any)[0].(servertest.M)["id"].(string)
	keys := s.Get(t, jwksPath).Body
	before := b.Dump(t)
	server.Config("maxmemory-policy", "noeviction")
	server.Config("maxmemory", "1")

	t.Run("a change is 503 and writes nothing", func(t *testing.T) {
		path := clientsPath + "/untouched"
		for what, got := range map[string]servertest.Response{
			"register": s.Admin(t, http.MethodPost, clientsPath, servertest.M{"client_id": "new"}), "rotate": s.Admin(t, http.MethodPost, path+"/secrets", nil),
			"patch":       s.Admin(t, http.MethodPatch, path, servertest.M{"scope": "read"}),
			"compromised": s.Admin(t, http.MethodPost, "/admin/signing-keys/rotate", servertest.M{"compromised": true}),
			"token":       s.Post(t, "/oauth/token", grantCC, clients["untouched"].Basic()),
		} {
			if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
				t.Errorf("%s: got %d %s", what, got.Status, got.Body)
			}
		}
		after := b.Dump(t)
		for _, key := range after.Keys() {
			if strings.Join(before[key], "|") != strings.Join(after[key], "|") {
				t.Errorf("%q was changed", key)
			}
		}
		if !s.Active(t, rs, tokens["untouched"]) || s.Get(t, jwksPath).Body != keys {
			t.Error("something was changed")
		}
	})
	t.Run("a revocation holds", func(t *testing.T) {
		s.Revoke(t, clients["revoked"], tokens["revoked"]).Want(t, http.StatusOK, "")
		s.Admin(t, http.MethodPatch, clientsPath+"/disabled", servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
		s.Admin(t, http.MethodDelete, clientsPath+"/deleted", nil).Want(t, http.StatusNoContent, "")
		s.Admin(t, http.MethodPost, clientsPath+"/ended/revoke-tokens", nil).Want(t, http.StatusNoContent, "")
		s.Admin(t, http.MethodDelete, clientsPath+"/secret/secrets/"+secretID, nil).Want(t, http.StatusNoContent, "")
		for _, id := range []string{"revoked", "disabled", "deleted", "ended"} {
			wantInactive(t, s, rs, tokens[id], id)
		}
		s.Post(t, "/oauth/token", grantCC, clients["secret"].Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
		for _, action := range []string{"client.disabled client:disabled", "client.deleted client:deleted", "client.tokens_revoked client:ended", "secret.ended client:secret"} {
			if !strings.Contains(s.Log.String(), action) {
				t.Errorf("neither the audit log nor the log has %q", action)
			}
		}
	})
	t.Run("and still holds when there is memory again", func(t *testing.T) {
		server.Config("maxmemory", "0")
		for _, id := range []string{"revoked", "disabled", "deleted", "ended"} {
			wantInactive(t, s, rs, tokens[id], id)
		}
		if token := s.Token(t, clients["ended"]); !s.Active(t, rs, token) || s.Active(t, rs, tokens["ended"]) {
			t.Error("of the new token and the old one, not just the new one is live")
		}
	})
}
