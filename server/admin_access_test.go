package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestAdminAccess is who may call /admin.
func TestAdminAccess(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		try := func(t *testing.T, token string) servertest.Response {
			t.Helper()
			return s.Get(t, clientsPath, servertest.Bearer(token))
		}
		t.Run("no credential, a wrong one, one in the wrong place", func(t *testing.T) {
			bare := s.Get(t, clientsPath).Want(t, http.StatusUnauthorized, "invalid_token")
			if got := bare.Header.Get("WWW-Authenticate"); got != `Bearer realm="mintkeep"` {
				t.Errorf("without a credential: %q", got)
			}
			for _, edit := range []servertest.Edit{
				servertest.Header("Authorization", "Bearer"), servertest.Header("Authorization", "Bearer "), servertest.Header("Authorization", ""),
				servertest.Header("Authorization", "Basic "+s.AdminToken), servertest.Header("Cookie", "token="+s.AdminToken+"; session="+s.AdminToken),
				servertest.Header("X-Admin-Token", s.AdminToken), servertest.Header("Authorization", s.AdminToken),
			} {
				s.Get(t, clientsPath, edit).Want(t, http.StatusUnauthorized, "invalid_token")
			}
			s.Get(t, clientsPath+"?access_token="+s.AdminToken).Want(t, http.StatusUnauthorized, "invalid_token")
			for _, wrong := range []string{"x", s.AdminToken + "x", s.AdminToken[1:], strings.ToLower(s.AdminToken)} {
				got := try(t, wrong).Want(t, http.StatusUnauthorized, "invalid_token").Header.Get("WWW-Authenticate")
				if !strings.HasPrefix(got, `Bearer realm="mintkeep", error="invalid_token"`) {
					t.Errorf("%q: %q", wrong, got)
				}
			}
		})
		t.Run("brute force is 429", func(t *testing.T) {
			b.Clock.Advance(time.Minute)
			for range 10 {
				try(t, "wrong").Want(t, http.StatusUnauthorized, "invalid_token")
			}
			if got := try(t, "wrong").Want(t, http.StatusTooManyRequests, "too_many_requests"); got.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			try(t, s.AdminToken).Want(t, http.StatusOK, "")
			b.Clock.Advance(time.Minute)
		})
		for _, format := range []string{"jwt", "opaque"} {
			t.Run("an access token with the scope, "+format, func(t *testing.T) {
				c := s.Register(t, servertest.M{
					"scope": "admin read mintkeep:admin mintkeep:introspect", "access_token_format": format,
					"audience": []string{servertest.Issuer, "https://api.example.com"},
				})
				good := s.Token(t, c, "scope=mintkeep:admin")
				try(t, good).Want(t, http.StatusOK, "")
				for what, weak := range map[string]string{
					"no scope asked": s.Token(t, c), "the operator's own admin": s.Token(t, c, "scope=admin"), "another": s.Token(t, c, "scope=mintkeep:introspect"),
				} {
					got := try(t, weak).Want(t, http.StatusForbidden, "insufficient_scope").Header.Get("WWW-Authenticate")
					if !strings.Contains(got, `error="insufficient_scope"`) {
						t.Errorf("%s: %q", what, got)
					}
					s.Admin(t, http.MethodPost, clientsPath, servertest.M{"client_id": "sneaked", "scope": "mintkeep:admin"}, servertest.Bearer(weak)).
						Want(t, http.StatusForbidden, "insufficient_scope")
				}
				try(t, s.Token(t, c, "scope=mintkeep:admin&resource=https://api.example.com")).Want(t, http.StatusUnauthorized, "invalid_token")

				made := s.Admin(t, http.MethodPost, clientsPath, servertest.M{"client_id": "made-" + format}, servertest.Bearer(good)).Want(t, http.StatusCreated, "").JSON(t)
				s.Secret(made["client_secret"].(string))
				events := s.Admin(t, http.MethodGet, "/admin/audit?actor=client:"+c.ID, nil).JSON(t)["items"].([]any)
				if len(events) != 1 || events[0].(servertest.M)["target"] != "client:made-"+format {
					t.Errorf("the audit log has %v", events)
				}
				s.Admin(t, http.MethodPatch, clientsPath+"/"+c.ID, servertest.M{"scope": "admin read"}).Want(t, http.StatusOK, "")
				if got := try(t, good); got.Status != http.StatusUnauthorized && got.Status != http.StatusForbidden {
					t.Errorf("deregistered for the scope: %d", got.Status)
				}
			})
		}
		t.Run("no cookie and no other origin", func(t *testing.T) {
			h := s.Admin(t, http.MethodGet, clientsPath, nil, servertest.Header("Origin", "https://evil.example")).Want(t, http.StatusOK, "").Header
			if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Set-Cookie") != "" {
				t.Errorf("got %v", h)
			}
			s.Do(t, http.MethodOptions, clientsPath, http.NoBody, servertest.Header("Origin", "https://evil.example"))
		})
	})
	t.Run("MINTKEEP_ADMIN_TOKEN_NEXT is accepted too, and named", func(t *testing.T) {
		const next = "another-token-for-admin-0123456789"
		s := servertest.New(t, storetest.Embedded(t), "MINTKEEP_ADMIN_TOKEN_NEXT="+next)
		s.Secret(next)
		for id, token := range map[string]string{"by-first": s.AdminToken, "by-next": next} {
			body := `{"client_id":"` + id + `","scope":"read"}`
			s.Do(t, http.MethodPost, clientsPath, strings.NewReader(body), servertest.Bearer(token), servertest.Header("Content-Type", "application/json")).
				Want(t, http.StatusCreated, "")
		}
		s.Get(t, clientsPath, servertest.Bearer(next+"x")).Want(t, http.StatusUnauthorized, "invalid_token")
		for id, want := range map[string]string{"by-first": "admin-token", "by-next": "admin-token-next"} {
			items := s.Get(t, "/admin/audit?target=client:"+id, servertest.Bearer(next)).JSON(t)["items"].([]any)
			if got := items[0].(servertest.M)["actor"]; got != want {
				t.Errorf("%s: actor %v, want %s", id, got, want)
			}
		}
	})
	t.Run("without MINTKEEP_ADMIN_TOKEN no token is accepted", func(t *testing.T) {
		b := storetest.Redis(t).Backend(t)
		s := servertest.New(t, b, "MINTKEEP_ADMIN_TOKEN=")
		for _, token := range []string{"", " ", s.AdminToken, "null", "undefined"} {
			s.Get(t, clientsPath, servertest.Header("Authorization", "Bearer "+token)).Want(t, http.StatusUnauthorized, "invalid_token")
		}
		s.Get(t, clientsPath).Want(t, http.StatusUnauthorized, "invalid_token")
	})
}

// TestSecretsDoNotLeak: secrets are in no metric, label, audit event or command to Redis. servertest checks the log and
// Redis itself at the end of every test.
func TestSecretsDoNotLeak(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s := servertest.New(t, b)
	seen := monitor(t, b.Server)
	c := s.Register(t, servertest.M{"client_id": "canary", "scope": "read"})
	token := s.Token(t, c)
	for i := range 60 { // distinct paths, methods and clients
		name := "cardinality-" + strings.Repeat("x", i)
		s.Get(t, "/"+name+"?token="+token)
		s.Do(t, strings.ToUpper(strings.ReplaceAll(name, "-", "")), "/oauth/token", http.NoBody)
		s.Post(t, "/oauth/token", grantCC, servertest.Client{ID: name, Secret: c.Secret}.Basic())
		s.Get(t, clientsPath+"/"+name, servertest.Bearer(s.AdminToken))
	}
	s.Active(t, c, token)
	s.Get(t, clientsPath, servertest.Bearer(c.Secret)).Want(t, http.StatusUnauthorized, "invalid_token")
	s.Revoke(t, c, token)
	w := httptest.NewRecorder()
	server.MetricsHandler(s.Metrics, false, true).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	places := map[string]string{
		"metrics": w.Body.String(), "log": s.Log.String(), "MONITOR": seen(),
		"audit":    s.Admin(t, http.MethodGet, "/admin/audit", nil).Body,
		"refusals": s.Admin(t, http.MethodGet, "/admin/audit?refusals=true&limit=200", nil).Body,
	}
	for place, text := range places {
		for what, secret := range map[string]string{"token": token, "secret": c.Secret, "admin token": s.AdminToken} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s is in the %s", what, place)
			}
		}
	}
	if !strings.Contains(strings.ToLower(places["MONITOR"]), `"hgetall"`) {
		t.Error("MONITOR saw nothing")
	}
	if strings.Contains(places["metrics"], "ardinality") || strings.Contains(places["metrics"], "CARDINALITY") || strings.Contains(places["metrics"], "canary") {
		t.Error("a label is the caller's choice")
	}
	s.Get(t, "/debug/pprof/").Want(t, http.StatusNotFound, "not_found")
	s.Get(t, "/metrics").Want(t, http.StatusNotFound, "not_found")
	w = httptest.NewRecorder()
	server.MetricsHandler(s.Metrics, false, false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/heap", http.NoBody))
	if w.Code != http.StatusNotFound {
		t.Errorf("profiles off loopback: %d", w.Code)
	}
}

// A change that is only to be checked is never made, also where it cannot be checked.
func TestChangesThatCannotBeChecked(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	c := s.Register(t, servertest.M{"client_id": "kept", "scope": "read"})
	token := s.Token(t, c)
	for method, path := range map[string]string{"DELETE": "/admin/clients/kept", "POST": "/admin/clients/kept/revoke-tokens"} {
		got := s.Admin(t, method, path+"?dry_run=true", nil)
		got.Want(t, http.StatusBadRequest, "invalid_request")
		if !strings.Contains(got.Body, "dry_run is not supported here") {
			t.Errorf("%s %s: %s", method, path, got.Body)
		}
	}
	if !s.Active(t, c, token) {
		t.Error("the token was revoked by a request that was only to be checked")
	}
}
