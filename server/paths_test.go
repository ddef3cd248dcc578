package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A path is matched as it was sent: a proxy that allows and forbids by path sees what the server sees.
func TestPaths(t *testing.T) {
	s := serve(t, servertest.New(t, storetest.Embedded(t)))
	c := s.Register(t, servertest.M{"client_id": "a~b", "scope": "read"})
	s.Register(t, servertest.M{"client_id": "big"})
	send := func(t *testing.T, method, path string) servertest.Response {
		t.Helper()
		headers := "Authorization: Bearer " + s.AdminToken + "\r\n"
		if method == "POST" {
			headers = strings.TrimPrefix(tokenHead(c), "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n") + "Content-Length: 29\r\n"
		}
		return s.once(t, method+" "+path, request(method, path, headers, map[string]string{"POST": grant}[method]), 200, 204, 400, 401, 404, 405)
	}

	t.Run("the segments of a route are literal", func(t *testing.T) {
		for _, path := range []string{
			"/admin%2fclients", "/admin%2Fclients", "/%61dmin/clients", "/admin/%63lients", "/admin/clients%2fbig", "/admin%2fclients/big",
			"/admin/clients/big%2fsecrets", "/admin/clients/big%2Fsecrets", "/admin/clients/big/%73ecrets", "/%2fadmin/clients", "//admin/clients",
			"/admin//clients", "/admin/clients//secrets", "/admin/clients//", "/admin/clients/", "/admin/clients/big/", "/admin/clients;x=1",
			"/admin/clients/big;x=1", "/admin;x/clients", "/admin/./clients", "/admin/../admin/clients", "/x/../admin/clients", "/admin/clients/.",
			"/admin/clients/..", "/admin/clients/%2e", "/admin/clients/%2e%2e", "/admin/clients/%2E./secrets", "/%2e/admin/clients", "/admin%5cclients",
			"/admin\\clients", "/admin/clients%00", "/admin/clients/big%00", "/admin/clients/%00", "/admin/clients/big%20", "/admin/clients/+big",
			"/admin/clients/big+", "/admin/clients/%c3%bc", "/admin/clients/%ff", "/healthz%2f", "/%68ealthz", "/.well-known%2fjwks.json", "/openapi%2eyaml",
			"/stati%63/app.css", "/static/..%2fapp.css", "/static/x%2f..%2fapp.css", "/%6cogin", "/login%2f", "/invite/%00", "/operator%2fclients", "/Admin/clients",
			// With a character that no URL may have, a URL library may hand on the decoded path.
			"/admin%2fclients/\"", "/admin%2fclients%2fbig\"", "/admin/clients/big%2fsecrets/\"", "/admin%2fclients/<", "/%61dmin/clients/\xff",
		} {
			if r := send(t, "GET", path); r.Status != 400 && r.Status != 404 {
				t.Errorf("GET %s: got %d %.100s, want 404", path, r.Status, r.Body)
			}
			if r := send(t, "PUT", path); r.Status != 400 && r.Status != 404 || r.Header.Get("Allow") != "" {
				t.Errorf("PUT %s: got %d, Allow %q, want 404", path, r.Status, r.Header.Get("Allow"))
			}
		}
		for _, path := range []string{"/oauth%2ftoken", "/oauth/%74oken", "/%6fauth/token", "//oauth/token", "/oauth/token;x=1", "/oauth/./token", "/oauth/token%00"} {
			if r := send(t, "POST", path); r.Status != 400 && r.Status != 404 {
				t.Errorf("POST %s: got %d, want 404", path, r.Status)
			}
		}
		send(t, "POST", "/oauth/token").Want(t, 200, "")
	})
	t.Run("an id is decoded once", func(t *testing.T) {
		for path, want := range map[string]string{
			"/admin/clients/a~b": "a~b", "/admin/clients/a%7Eb": "a~b", "/admin/clients/a%7eb": "a~b", "/admin/clients/big": "big",
			"/admin/clients/b%69g": "big", "/admin/clients/%62%69%67": "big",
		} {
			if got := send(t, "GET", path).Want(t, 200, "").JSON(t)["client_id"]; got != want {
				t.Errorf("%s is the client %v, want %s", path, got, want)
			}
		}
		for _, path := range []string{"/admin/clients/%2562ig", "/admin/clients/%252562ig", "/admin/clients/a%257Eb", "/admin/clients/%62%2569g"} {
			send(t, "GET", path).Want(t, 404, "not_found")
		}
	})
	t.Run("in the form for proxies, the path alone counts", func(t *testing.T) { // RFC 9112 §3.2.2
		send(t, "GET", "http://evil.example/admin/clients/big").Want(t, 200, "")
		for _, target := range []string{"http://evil.example/admin%2fclients", "http://evil.example//admin/clients", "http://evil.example/%61dmin/clients"} {
			send(t, "GET", target).Want(t, 404, "not_found")
		}
	})
	t.Run("neither metrics nor log have what was sent", func(t *testing.T) {
		w := httptest.NewRecorder()
		server.MetricsHandler(s.Metrics, false, false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		for _, sent := range []string{"%2", "%6", "%7", "..", ";x", "//"} {
			if strings.Contains(onlyRequests(w.Body.String()), sent) || strings.Contains(s.Log.String(), sent) {
				t.Errorf("%q is in the metrics or in the log", sent)
			}
		}
	})
}
