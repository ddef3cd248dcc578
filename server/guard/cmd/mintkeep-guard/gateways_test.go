package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
)

// Each gateway passes on what the guard says, and nothing that its caller says in the guard's name.
func TestGateways(t *testing.T) {
	eachGateway(t, func(t *testing.T, name string) {
		gw := newGateway(t, name)
		token, key := gw.m.Token("billing", orders, "read", "write"), gw.m.Key("ada", orders, "read")
		gw.accepts(token, key)
		t.Run("rejections", func(t *testing.T) { gw.rejects(t, token) })
		t.Run("spoofed headers", func(t *testing.T) { gw.strips(t, key) })
		t.Run("a subject that looks like a header", func(t *testing.T) { gw.injects(t) })
		t.Run("bodies", func(t *testing.T) { gw.passesBodies(t, token) })
		t.Run("revocation", func(t *testing.T) {
			gw.m.Revoke(token)
			gw.m.Settle(gw.g)
			gw.challenges(t, gw.want(401, "GET", "/orders/", token), "invalid_token")
		})
		t.Run("without the sidecar", func(t *testing.T) {
			gw.kill()
			for _, credential := range []string{key, "", "junk"} {
				gw.unavailable(t, credential)
			}
		})
	})
}

// accepts: a token and a key are let through, and the service gets all eight headers.
func (gw *gateway) accepts(token, key string) {
	gw.t.Helper()
	const target = "/orders/7?audience=x&strict=0&scope=none"
	for credential, want := range map[string]map[string]string{
		token: {"X-Auth-Subject": "billing", "X-Auth-Client-Id": "billing", "X-Auth-Scope": "read write", "X-Auth-Type": "bearer"},
		key:   {"X-Auth-Subject": "ada", "X-Auth-Client-Id": "", "X-Auth-Scope": "read", "X-Auth-Type": "api_key", "X-Auth-Expires": ""},
	} {
		gw.want(200, "GET", target, credential)
		got, _ := gw.last()
		want["X-Auth-Audience"], want["X-Auth-Actor"] = orders, ""
		for header, value := range want {
			if got.Header.Get(header) != value {
				gw.t.Errorf("the service got %s: %q, want %q", header, got.Header.Get(header), value)
			}
		}
		if got.Header.Get("X-Auth-Credential-Id") == "" || credential == token && got.Header.Get("X-Auth-Expires") == "" {
			gw.t.Errorf("the service got %v", got.Header)
		}
		if got.RequestURI != target {
			gw.t.Errorf("the service was asked for %s", got.RequestURI)
		}
	}
}

// rejects: the answers are those of the guard, and the service is not asked.
func (gw *gateway) rejects(t *testing.T, token string) {
	served := gw.served()
	missing := gw.want(401, "GET", "/orders/", "")
	if !gw.introspects && strings.Contains(missing.Header.Get("Www-Authenticate"), "error=") { // RFC 6750 section 3.1
		t.Errorf("without a credential the challenge is %s", missing.Header.Get("Www-Authenticate"))
	}
	gw.challenges(t, gw.want(401, "GET", "/orders/", "junk"), "invalid_token")
	if a, err := gw.ask(http.DefaultClient, "OPTIONS", "/orders/", ""); err != nil || a.StatusCode != 401 && (!gw.introspects || a.StatusCode != 403) {
		t.Errorf("OPTIONS without a credential: %d %v", a.StatusCode, err)
	}
	gw.challenges(t, gw.want(403, "GET", "/orders/?scope=write", gw.m.Token("billing", orders, "write")), "insufficient_scope")
	gw.challenges(t, gw.want(403, "GET", "/orders/", gw.m.Token("billing", orders, "readers", "read-all")), "insufficient_scope")
	gw.challenges(t, gw.want(401, "GET", "/orders/", gw.m.Token("billing", "https://other.example.com", "read")), "invalid_token")
	writer := gw.m.Token("billing", orders, "write")
	for _, path := range []string{
		"/orders/../scope=write/", "/orders/%2e%2e/scope=write/", "/orders/?scope=write", "/orders/?strict=0&audience=x", "/orders/%3fscope=write",
		"/_verify?scope=write", "/verify?scope=write", "/verify/scope=write/", "/introspect", "/%2e%2e/orders/", "//orders/", "/orders",
	} {
		a, err := gw.ask(http.DefaultClient, "GET", path, writer, func(r *http.Request) {
			r.Header["X-Original-Uri"], r.Header["X-Forwarded-Uri"] = []string{"/verify?scope=write"}, []string{"/verify?scope=write"}
			r.Header["X-Forwarded-Method"], r.Header["X-Original-Method"] = []string{"OPTIONS"}, []string{"OPTIONS"}
		})
		if err != nil || a.StatusCode == 200 {
			t.Errorf("%s: %v %s", path, err, a.text)
		}
	}
	twice := gw.twoCredentials(t, token)
	if twice.StatusCode != 400 && twice.StatusCode != 401 {
		t.Errorf("two Authorization headers: %d %s", twice.StatusCode, twice.text)
	}
	if gw.served() != served {
		t.Error("the service was asked")
	}
}

func (gw *gateway) twoCredentials(t *testing.T, token string) answer {
	t.Helper()
	a, err := gw.ask(http.DefaultClient, "GET", "/orders/", "", func(r *http.Request) {
		r.Header["Authorization"] = []string{"Bearer " + token, "Bearer junk"}
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// challenges: one challenge, and a JSON object.
func (gw *gateway) challenges(t *testing.T, a answer, code string) {
	t.Helper()
	all := a.Header.Values("Www-Authenticate")
	if len(all) != 1 || !strings.HasPrefix(all[0], "Bearer ") || code != "" && !strings.Contains(all[0], `error="`+code+`"`) {
		t.Errorf("the challenges are %q, want %s", all, code)
	}
	var body map[string]string
	if err := json.Unmarshal([]byte(a.text), &body); err != nil || code != "" && body["error"] != code || body["error_description"] == "" {
		t.Errorf("the body is %s, want %s", a.text, code)
	}
	if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the headers are %v", a.Header)
	}
}

// strips: what the caller sends in the guard's name does not arrive.
func (gw *gateway) strips(t *testing.T, key string) {
	underscored := []string{"X_Auth_Subject", "x_auth-scope", "X-AUTH_TYPE"}
	if gw.introspects { // it rejects them instead
		served := gw.served()
		for _, name := range underscored {
			gw.want(403, "GET", "/orders/", key, func(r *http.Request) { r.Header[name] = []string{"admin"} })
		}
		if gw.served() != served {
			t.Error("the service was asked")
		}
		underscored = nil
	}
	gw.want(200, "GET", "/orders/?scope=none", key, func(r *http.Request) {
		r.Header["X-Auth-Subject"] = []string{"admin", "admin"}
		for _, name := range append(underscored, "x-auth-client-id", "X-AUTH-ACTOR", "x-Auth-expires", "OIDC_CLAIM_sub", "OAUTH2_CLAIM_sub") {
			r.Header[name] = []string{"admin"}
		}
		r.Header["X-Original-Uri"] = []string{"/verify?scope=none"}
		r.Header["X-Forwarded-Uri"] = []string{"/verify?scope=none"}
		r.Header["X-Forwarded-Method"] = []string{"OPTIONS"}
	})
	got, _ := gw.last()
	for header, values := range got.Header {
		name := strings.ReplaceAll(strings.ToLower(header), "_", "-")
		if strings.HasPrefix(name, "x-auth-") && (len(values) > 1 || values[0] == "admin") {
			t.Errorf("the service got %s: %q", header, values)
		}
	}
	if got.Header.Get("X-Auth-Subject") != "ada" {
		t.Errorf("the subject is %q", got.Header.Get("X-Auth-Subject"))
	}
}

// injects: what a subject has in it does not become a header.
func (gw *gateway) injects(t *testing.T) {
	key := gw.m.Key("ada\r\nX-Evil: \xc3\xa9", orders, "read")
	if gw.introspects {
		served := gw.served()
		gw.want(403, "GET", "/orders/", key)
		if gw.served() != served {
			t.Error("the service was asked")
		}
		return
	}
	gw.want(200, "GET", "/orders/", key)
	got, _ := gw.last()
	if got.Header.Get("X-Evil") != "" || got.Header.Get("X-Auth-Subject") != "ada%0D%0AX-Evil: %C3%A9" {
		t.Errorf("the service got %v", got.Header)
	}
}

// passesBodies: a body reaches the service once and whole, and the guard not at all.
func (gw *gateway) passesBodies(t *testing.T, token string) {
	const size = 10 << 20
	served := gw.served()
	for _, method := range []string{"POST", "PUT"} {
		gw.want(200, method, "/orders/", token, func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, size))), -1 // chunked
			if method == "PUT" {
				r.ContentLength = size
				r.Header.Set("Expect", "100-continue")
			}
		})
		if got, n := gw.last(); n != size || got.Method != method {
			t.Errorf("%s: %s with %d bytes reached the service", method, got.Method, n)
		}
	}
	gw.want(200, "HEAD", "/orders/", token)
	gw.want(200, "OPTIONS", "/orders/", token)
	if n := gw.served() - served; n != 4 {
		t.Errorf("4 requests reached the service as %d", n)
	}
	gw.mu.Lock()
	defer gw.mu.Unlock()
	if gw.extra > 0 {
		t.Errorf("%d bytes of bodies reached the sidecar", gw.extra)
	}
}

// unavailable: without the guard's answer the gateway says 503, and asks the service nothing.
func (gw *gateway) unavailable(t *testing.T, credential string) {
	t.Helper()
	served := gw.served()
	if gw.introspects {
		gw.want(401, "GET", "/orders/", credential)
	} else if a := gw.want(503, "GET", "/orders/", credential); a.Header.Get("Retry-After") == "" || !strings.Contains(a.text, "temporarily_unavailable") {
		t.Errorf("503 with %v %s", a.Header, a.text)
	}
	if gw.served() != served {
		t.Error("the service was asked")
	}
}

// A guard that does not know is 503, and not 500 or 401.
func TestGatewaysWithAStaleGuard(t *testing.T) {
	eachGateway(t, func(t *testing.T, name string) {
		gw := newGateway(t, name, func(c *guard.Config) { c.WhenStale, c.MaxStale = guard.Closed, 300*time.Millisecond })
		key := gw.m.Key("ada", orders, "read")
		gw.m.FeedDown()
		gw.eventually("the guard is stale", func() bool { return gw.g.Stats().State != guard.Current })
		gw.unavailable(t, key)
	})
}
