package server_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const operatorsAt = "https://admin.example.com"

// withPrivate are the settings of a server that has a listener for operators.
func withPrivate() []string {
	return []string{"MINTKEEP_ADMIN_ADDR=127.0.0.1:8081", "MINTKEEP_ADMIN_URL=" + operatorsAt}
}

func TestWhatEachListenerServes(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t), withPrivate()...)
	tests := []struct {
		method, path    string
		public, private int
	}{
		{"GET", "/admin/clients", http.StatusNotFound, http.StatusOK},
		{"POST", "/admin/clients", http.StatusNotFound, http.StatusUnsupportedMediaType},
		{"OPTIONS", "/admin/clients", http.StatusNotFound, http.StatusNoContent},
		{"GET", "/operator", http.StatusNotFound, http.StatusSeeOther},
		{"GET", "/operator/audit.jsonl", http.StatusNotFound, http.StatusSeeOther},
		{"POST", "/oauth/token", http.StatusUnauthorized, http.StatusNotFound},
		{"POST", "/oauth/introspect", http.StatusUnauthorized, http.StatusNotFound},
		{"GET", "/.well-known/oauth-authorization-server", http.StatusOK, http.StatusNotFound},
		{"GET", "/api/v1/users/me", http.StatusUnauthorized, http.StatusNotFound},
		{"GET", "/settings", http.StatusSeeOther, http.StatusNotFound},
		{"GET", "/docs", http.StatusOK, http.StatusNotFound},
		{"GET", "/invite/none", http.StatusNotFound, http.StatusNotFound},
		{"GET", "/login", http.StatusOK, http.StatusOK},
		{"GET", "/healthz", http.StatusOK, http.StatusOK},
		{"GET", "/readyz", http.StatusOK, http.StatusOK},
		{"GET", "/openapi.yaml", http.StatusOK, http.StatusOK},
	}
	for _, tt := range tests {
		for at, want := range map[*servertest.Server]int{s: tt.public, s.Private: tt.private} {
			request, err := http.NewRequestWithContext(t.Context(), tt.method, at.URL+tt.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if strings.HasPrefix(tt.path, "/admin") {
				request.Header.Set("Authorization", "Bearer "+s.AdminToken)
			}
			response, err := http.DefaultTransport.RoundTrip(request) // which follows no redirect
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s %s, private %v: got %d, want %d", tt.method, tt.path, at == s.Private, response.StatusCode, want)
			}
		}
	}
}

func TestLinksOfTheListenerForOperators(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t), withPrivate()...)
	created := s.Private.Admin(t, "POST", "/admin/clients", servertest.M{"client_id": "orders", "scope": "read"})
	if got, want := created.Header.Get("Location"), operatorsAt+"/admin/clients/orders"; got != want {
		t.Errorf("the client is at %q, want %q", got, want)
	}
	u := s.Private.User(t, servertest.M{"email": "ada@example.com"})
	if link := s.Private.Invite(t, u); !strings.HasPrefix(link, servertest.Issuer+"/invite/") {
		t.Errorf("the link to set a password is %q: it is not at the issuer", link)
	}
	if got := s.Private.Get(t, "/healthz").Header.Get("Strict-Transport-Security"); got == "" {
		t.Error("no Strict-Transport-Security where the origin is https")
	}
}

func TestServeOnTwoListeners(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t), withPrivate()...)
	listeners := make([]net.Listener, 2)
	for i := range listeners {
		var err error
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Server.Serve(ctx, listeners[0], listeners[1]) }()
	for i, path := range []string{"/.well-known/jwks.json", "/admin/stats"} {
		for j, listener := range listeners {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+s.AdminToken)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if served := response.StatusCode == http.StatusOK; served != (i == j) {
				t.Errorf("listener %d answers %d for %s", j, response.StatusCode, path)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	for _, listener := range listeners {
		if c, err := net.Dial("tcp", listener.Addr().String()); err == nil {
			_ = c.Close()
			t.Errorf("%s still listens after the shutdown", listener.Addr())
		}
	}
}

// Sign-ins at both listeners together use at most half of the processors.
func TestListenersShareOneHasher(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t), withPrivate()...)
	if h := s.Server.Hashers(); len(h) != 2 || h[0] != h[1] {
		t.Errorf("the listeners hash passwords with %v, want one hasher for both", h)
	}
}
