package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

func TestOrders(t *testing.T) {
	m := guardtest.NewServer(t)
	g := m.Guard(guard.Config{Audiences: []string{"https://orders.example.com"}})
	protected := g.Require("read")(http.HandlerFunc(list))
	call := func(token string) int {
		r, w := httptest.NewRequest("GET", "/orders", nil), httptest.NewRecorder()
		r.Header.Set("Authorization", "Bearer "+token)
		protected.ServeHTTP(w, r)
		return w.Code
	}
	token := m.Token("billing", "https://orders.example.com", "read")
	if code := call(token); code != http.StatusOK {
		t.Errorf("a good token: %d", code)
	}
	m.Revoke(token)
	m.Settle(g) // waits until the guard knows of it
	if code := call(token); code != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", code)
	}
}

func list(http.ResponseWriter, *http.Request) {}

// events streams the events of a channel, until the credential of the caller ends.
func events(g *guard.Guard, next <-chan string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		ctx, stop := g.Watch(r.Context(), who)
		defer stop()
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case e := <-next:
				fmt.Fprintf(w, "data: %s\n\n", e)
				http.NewResponseController(w).Flush()
			case <-ctx.Done(): // context.Cause(ctx) says why: guard.ErrRevoked, ErrExpired or ErrStale
				return
			}
		}
	}
}

func TestEvents(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g, next := b.Guard(guard.Config{Audiences: []string{orders}}), make(chan string)
		service := httptest.NewServer(g.Require("read")(events(g, next)))
		defer service.Close()
		token := b.Token("billing", orders, "read")
		settle(t, g)
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, service.URL, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(sending(r, next, "paid"))
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		defer func() { _ = response.Body.Close() }()
		buffer := make([]byte, 100)
		if n, err := response.Body.Read(buffer); err != nil || string(buffer[:n]) != "data: paid\n\n" {
			t.Errorf("got %q %v", buffer[:n], err)
		}
		b.Revoke("billing", token)
		ended := make(chan error, 1)
		go func() { _, err := response.Body.Read(buffer); ended <- err }()
		ends(t, ended, func(err error) bool { return err != nil })
	})
}

// sending has an event sent while the request is under way.
func sending(r *http.Request, next chan<- string, event string) *http.Request {
	go func() {
		select {
		case next <- event:
		case <-r.Context().Done():
		}
	}()
	return r
}
