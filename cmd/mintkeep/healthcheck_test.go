package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthcheck(t *testing.T) {
	tests := []struct {
		status int
		body   string
		want   result
	}{
		{http.StatusOK, `{}`, result{}},
		{
			http.StatusServiceUnavailable, `{"error":"temporarily_unavailable","error_description":"The store is unreachable"}`,
			result{code: exitFailed, stderr: "mintkeep: not ready: The store is unreachable (503 temporarily_unavailable)\n"},
		},
		{http.StatusNotFound, `not ours`, result{code: exitFailed, stderr: "mintkeep: not ready: the server rejected the request (404 Not Found)\n"}},
	}
	for _, tt := range tests {
		ready := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				t.Errorf("asked for %s", r.URL.Path)
			}
			says(tt.status, tt.body)(w, r)
		})
		plain := httptest.NewServer(ready)
		defer plain.Close()
		if got := mintkeep(t, nil, "", "healthcheck", "--addr", plain.Listener.Addr().String()); got != tt.want {
			t.Errorf("got %+v, want %+v", got, tt.want)
		}
		secure := httptest.NewTLSServer(ready)
		defer secure.Close()
		environ := []string{"MINTKEEP_ADDR=" + secure.Listener.Addr().String(), "MINTKEEP_TLS_CERT=cert", "MINTKEEP_TLS_KEY=key"}
		if got := mintkeep(t, environ, "", "healthcheck"); got != tt.want {
			t.Errorf("with TLS: got %+v, want %+v", got, tt.want)
		}
	}
}

func TestHealthcheckWithoutServer(t *testing.T) {
	server := httptest.NewServer(nil)
	addr := server.Listener.Addr().String()
	server.Close()
	got := mintkeep(t, nil, "", "healthcheck", "--addr", addr)
	if got.code != exitFailed || !strings.Contains(got.stderr, "cannot reach http://"+addr) {
		t.Errorf("got %+v", got)
	}
}

// Another server at the address is not the one that is asked after.
func TestHealthcheckOfAnotherServer(t *testing.T) {
	const ours = "https://auth.example.com"
	for _, tt := range []struct {
		name, issuer, metadata string
		status                 int
		want                   string // in stderr; empty: ready
	}{
		{"ours", ours, `{"issuer":"https://auth.example.com"}`, 200, ""},
		{"another Mintkeep", ours, `{"issuer":"https://other.example.com"}`, 200, "its issuer is https://other.example.com, and MINTKEEP_ISSUER is https://auth.example.com"},
		{"another kind of server", ours, "not found", 404, "it has no metadata of an authorization server"},
		{"too busy", ours, `{}`, 503, ""},
		{"no issuer is configured", "", `{"issuer":"https://other.example.com"}`, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/readyz" {
					says(http.StatusOK, `{"status":"ready"}`)(w, r)
					return
				}
				says(tt.status, tt.metadata)(w, r)
			}))
			defer server.Close()
			environ := []string{"MINTKEEP_ISSUER=" + tt.issuer, "MINTKEEP_ADDR=" + server.Listener.Addr().String()}
			got := mintkeep(t, environ, "", "healthcheck")
			if (got.code == exitOK) != (tt.want == "") || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("healthcheck: got %+v, want %q", got, tt.want)
			}
			got = mintkeep(t, environ, "", "doctor")
			if tt.want != "" && (got.code != exitFailed || !strings.Contains(got.stdout, "another server answers")) {
				t.Errorf("doctor: got %+v, want %q", got, tt.want)
			}
		})
	}
}
