package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A flood of what anyone gets does not fill the log, and each use of a credential is in it.
func TestSampledSuccess(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	c := s.Register(t, servertest.M{"scope": "read"})
	token := s.Token(t, c)
	const n = 100
	lines := func(route string, status int, ask func()) (written, most int) {
		ask() // what comes before this second does not count
		before, began := len(s.Log.String()), time.Now()
		for range n {
			ask()
		}
		seconds := int(time.Since(began)/time.Second) + 2
		for line := range strings.SplitSeq(s.Log.String()[before:], "\n") {
			if strings.Contains(line, fmt.Sprintf(`"route":%q,"status":%d,`, route, status)) {
				written++
			}
		}
		return written, 20 * seconds
	}
	get := func(path string) string { // pages are not in the OpenAPI document, which s.Get holds answers to
		w := httptest.NewRecorder()
		s.Server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return w.Body.String()
	}
	style := regexp.MustCompile(`/static/app\.[^"]*css`).FindString(get("/login"))
	for _, test := range []struct {
		path, route string
		status      int
	}{
		{"/healthz", "", 200},
		{"/readyz", "", 200},
		{"/.well-known/jwks.json", "", 200},
		{"/.well-known/oauth-authorization-server", "", 200},
		{"/.well-known/openid-configuration", "", 200},
		{"/.well-known/oauth-protected-resource", "", 200},
		{"/openapi.yaml", "", 200},
		{style, "/static/:name", 200},
		{"/docs", "", 200},
		{"/login", "", 200},
		{"/", "", 303},
		{"/operator/audit.jsonl", "", 303},
	} {
		if test.route == "" {
			test.route = test.path
		}
		got, most := lines(test.route, test.status, func() { get(test.path) })
		if got == 0 || got > most {
			t.Errorf("GET %s: %d lines for %d requests, want 1 to %d", test.path, got, n, most)
		}
	}
	for route, ask := range map[string]func(){
		"/oauth/token":      func() { s.Post(t, "/oauth/token", grant, c.Basic()) },
		"/oauth/introspect": func() { s.Introspect(t, c, token) },
		"/oauth/revoke":     func() { s.Post(t, "/oauth/revoke", "token=x", c.Basic()) },
		"/api/v1/users/me":  func() { s.Me(t, token) },
		"/admin/clients":    func() { s.Admin(t, "GET", "/admin/clients", nil) },
	} {
		if got, _ := lines(route, 200, ask); got != n {
			t.Errorf("%s: %d lines for %d requests", route, got, n)
		}
	}
}
