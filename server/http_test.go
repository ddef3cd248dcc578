package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// allRoutes are the paths of the server, with the methods that each takes.
var allRoutes = map[string][]string{
	"/oauth/token": {"POST"}, "/oauth/introspect": {"POST"}, "/oauth/revoke": {"POST"}, "/oauth/confirm": {"POST"}, "/oauth/authorize": {"GET", "HEAD", "POST"},
	"/.well-known/oauth-authorization-server": {"GET", "HEAD"}, "/.well-known/jwks.json": {"GET", "HEAD"},
	"/.well-known/openid-configuration": {"GET", "HEAD"},
	"/admin/clients":                    {"GET", "HEAD", "POST"}, "/admin/clients/c1": {"DELETE", "GET", "HEAD", "PATCH", "PUT"},
	"/admin/clients/c1/secrets": {"GET", "HEAD", "POST"}, "/admin/clients/c1/secrets/s": {"DELETE", "GET", "HEAD"},
	"/admin/clients/c1/revoke-tokens": {"POST"},
	"/admin/signing-keys":             {"GET", "HEAD"}, "/admin/signing-keys/rotate": {"POST"}, "/admin/audit": {"GET", "HEAD"},
	"/healthz": {"GET", "HEAD"}, "/readyz": {"GET", "HEAD"}, "/openapi.yaml": {"GET", "HEAD"}, "/apply.schema.json": {"GET", "HEAD"},
}

func TestHTTP(t *testing.T) {
	s := serve(t, servertest.New(t, storetest.Embedded(t)))
	c1 := s.Register(t, servertest.M{"client_id": "c1", "scope": "read"})

	t.Run("HEAD answers as GET, without a body", func(t *testing.T) {
		for path, methods := range allRoutes {
			if !slices.Contains(methods, "HEAD") {
				continue
			}
			get, head := s.Admin(t, "GET", path, nil), s.Admin(t, "HEAD", path, nil)
			if head.Status != get.Status || head.Body != "" {
				t.Errorf("%s: HEAD %d with %d bytes, GET %d", path, head.Status, len(head.Body), get.Status)
			}
			for name := range get.Header {
				if name != "Date" && name != "X-Request-Id" && name != "Content-Length" && get.Header.Get(name) != head.Header.Get(name) {
					t.Errorf("%s: %s: HEAD has %q, GET %q", path, name, head.Header.Get(name), get.Header.Get(name))
				}
			}
		}
	})
	t.Run("a wrong method is 405 with Allow", func(t *testing.T) {
		for path, methods := range allRoutes {
			for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"} {
				if slices.Contains(methods, m) {
					continue
				}
				r := s.Admin(t, m, path, nil)
				allow := strings.Split(strings.ReplaceAll(r.Header.Get("Allow"), " ", ""), ",")
				slices.Sort(allow)
				if r.Status != 405 || !slices.Equal(allow, methods) {
					t.Errorf("%s %s: got %d, Allow %v", m, path, r.Status, allow)
				}
				if m != "HEAD" {
					wantRefusal(t, r, 405)
				}
			}
			if r := s.Admin(t, "OPTIONS", path, nil); r.Status != 204 || r.Header.Get("Allow") == "" {
				t.Errorf("OPTIONS %s: got %d, Allow %q", path, r.Status, r.Header.Get("Allow"))
			}
		}
	})
	t.Run("a JSON body at the OAuth endpoints is 415", func(t *testing.T) {
		for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
			r := s.Post(t, path, `{"grant_type":"client_credentials"}`, c1.Basic(), servertest.Header("Content-Type", "application/json"))
			wantRefusal(t, r.Want(t, 415, "invalid_request"), 415)
		}
	})
	t.Run("every error has the common headers", func(t *testing.T) {
		for _, r := range []servertest.Response{
			s.Get(t, "/admin/clients"), s.Get(t, "/nowhere"), s.Get(t, "/oauth/token"), s.Post(t, "/oauth/token", ""),
			s.Post(t, "/oauth/token", "", c1.Basic()), s.Admin(t, "GET", "/admin/clients/none", nil),
			s.Get(t, "/admin/clients", servertest.Bearer(s.Token(t, c1))),
		} {
			wantRefusal(t, r, 400, 401, 403, 404, 405)
		}
		wantHeaders(t, s.Post(t, "/oauth/token", grant, c1.Basic()))
		wantHeaders(t, s.Admin(t, "GET", "/admin/clients", nil))
		for _, path := range []string{"/openapi.yaml", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server"} {
			h := s.Get(t, path).Header
			if h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Cache-Control"), "public, max-age=") || h.Get("Pragma") != "" {
				t.Errorf("%s: headers %v", path, h)
			}
		}
	})
	t.Run("health needs no credential", func(t *testing.T) {
		for _, path := range []string{"/healthz", "/readyz"} {
			wantHeaders(t, s.Get(t, path).Want(t, 200, ""))
		}
	})
	t.Run("no metrics and profiles on the public listener", func(t *testing.T) {
		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/debug/pprof/profile?seconds=1"} {
			wantRefusal(t, s.Admin(t, "GET", path, nil), 404)
		}
	})
}

func TestHealthWithoutRedis(t *testing.T) {
	redis := storetest.Redis(t)
	s := servertest.New(t, redis.Backend(t))
	redis.Kill()
	t.Run("live and not ready without Redis", func(t *testing.T) {
		s.Get(t, "/healthz").Want(t, 200, "")
		r := s.Get(t, "/readyz").Want(t, 503, "temporarily_unavailable")
		wantRefusal(t, r, 503)
		if r.Header.Get("Retry-After") == "" || strings.Contains(r.Body, "127.0.0.1") {
			t.Errorf("got %v %s", r.Header, r.Body)
		}
	})
	redis.Start()
	becomes(t, s, 200) // go-redis tries to connect again after a second
}

// multipart is a body with every parameter and a file.
func multipart(c servertest.Client, file string) string {
	var b strings.Builder
	for name, value := range map[string]string{"grant_type": "client_credentials", "client_id": c.ID, "client_secret": c.Secret} {
		b.WriteString("--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n")
	}
	return b.String() + "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + file + "\r\n--B--\r\n"
}

func TestMultipart(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := serve(t, servertest.New(t, storetest.Embedded(t)))
	c := s.Register(t, servertest.M{"scope": "read"})
	t.Run("multipart gives no token and writes no file", func(t *testing.T) {
		for _, boundary := range []string{"B", strings.Repeat("B", 20_000)} {
			for _, body := range []string{multipart(c, ""), multipart(c, strings.Repeat("x", 1<<20)), strings.Repeat("--B\r\n\r\n\r\n", 100_000)} {
				head := request("POST", "/oauth/token", "Content-Type: multipart/form-data; boundary="+boundary+"\r\nTransfer-Encoding: chunked\r\n", "")
				w := s.dial(t)
				go w.say(head + chunk(body) + "0\r\n\r\n")
				wantRefusal(t, w.answer(), 415)
			}
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("left on the disk: %v %v", left, err)
		}
	})
}

// The metrics have a listener of their own, no secret, and no label that a caller chooses.
func TestMetrics(t *testing.T) {
	s := serve(t, servertest.New(t, storetest.Embedded(t)))
	c := s.Register(t, servertest.M{"client_id": "canary-client", "scope": "canary-scope"})
	token := s.Token(t, c)
	s.Active(t, c, token)
	for _, m := range []string{"FOO", "BAR", "BAZ"} {
		s.Do(t, m, "/canary-path/"+m, http.NoBody)
		s.Do(t, m, "/oauth/token?canary-query", http.NoBody)
	}
	s.Post(t, "/oauth/token", grant, servertest.Client{ID: "canary-unknown", Secret: "canary-secret"}.Basic())
	s.Admin(t, "GET", "/admin/clients/canary-id", nil)

	w := httptest.NewRecorder()
	server.MetricsHandler(s.Metrics, false, false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	text, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatal(w.Code, err)
	}
	for _, secret := range []string{"canary", token, c.Secret, s.AdminToken, "FOO", "127.0.0.1"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the metrics have %.12q", secret)
		}
	}
	for _, want := range []string{
		`mintkeep_http_requests_total{method="other",route="unmatched",status="404"} 3`,
		`mintkeep_http_requests_total{method="other",route="unmatched",status="405"} 3`,
		`route="/admin/clients/:id"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, onlyRequests(string(text)))
		}
	}
	for path, want := range map[string]int{"/debug/pprof/": 404, "/": 404, "/healthz": 404} {
		w := httptest.NewRecorder()
		server.MetricsHandler(s.Metrics, false, false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", path, w.Code, want)
		}
	}
}

// A page in a browser on the same machine cannot read the metrics under a name of its own (DNS rebinding).
func TestMetricsHost(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	for host, want := range map[string]int{
		"127.0.0.1:9464": 200, "localhost:9464": 200, "localhost": 200, "[::1]:9464": 200, "[::1]": 200, "127.0.0.1": 200, "LOCALHOST:1": 200,
		"evil.example:9464": 403, "evil.example": 403, "192.0.2.1:9464": 403, "": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example:9464": 403,
	} {
		for _, path := range []string{"/metrics", "/debug/pprof/"} {
			r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			r.Host = host
			w := httptest.NewRecorder()
			server.MetricsHandler(s.Metrics, true, true).ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s of %q: got %d, want %d", path, host, w.Code, want)
			}
			if path == "/debug/pprof/" && want == 200 {
				w = httptest.NewRecorder()
				server.MetricsHandler(s.Metrics, true, false).ServeHTTP(w, r)
				if w.Code != http.StatusNotFound {
					t.Errorf("profiles that were not switched on: %d", w.Code)
				}
			}
			w = httptest.NewRecorder()
			server.MetricsHandler(s.Metrics, false, true).ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Errorf("%s of %q off loopback: %d", path, host, w.Code)
			}
		}
	}
}

func onlyRequests(text string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool {
		return !strings.HasPrefix(l, "mintkeep_http_requests_total")
	}), "\n")
}

// No route reads a file from the disk.
func TestNoFiles(t *testing.T) {
	s := serve(t, servertest.New(t, storetest.Embedded(t)))
	if _, err := os.Stat("server.go"); err != nil {
		t.Fatal(err)
	}
	t.Run("files outside are 404", func(t *testing.T) {
		for _, path := range []string{
			"/static/../../etc/passwd", "/..%5c..%5cetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/", "/.env", "/.git/HEAD",
			"/server.go", "/./server.go", "//server.go", "/openapi.yaml/", "/openapi.yaml%00", "/static/%c0%ae%c0%ae/etc/passwd",
		} {
			answers := s.answers(t, request("GET", path, "", ""))
			if len(answers) != 1 {
				t.Fatalf("%s: %d answers", path, len(answers))
			}
			wantRefusal(t, answers[0], 404)
		}
	})
	t.Run("a trailing slash is 404 and no redirect", func(t *testing.T) {
		for _, path := range []string{"/oauth/token/", "/oauth/introspect/", "/OAuth/Token", "//oauth/token", "/oauth//token", "/admin/clients/"} {
			wantRefusal(t, s.Post(t, path, grant), 404)
		}
	})
}
