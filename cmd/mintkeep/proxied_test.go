package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// TestProxies runs each file of docs/deploy/proxies in front of two servers.
func TestProxies(t *testing.T) {
	if testing.Short() {
		t.Skip("for its time: the step with -race leaves it out, all others run it")
	}
	t.Parallel()
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, name)
			t.Run("grants", p.grants)
			t.Run("listeners", p.listeners)
			t.Run("rejections", p.rejections)
			t.Run("address", p.address)
			t.Run("out of memory", p.outOfMemory)
			t.Run("an answer is lost", func(t *testing.T) { p.lostAnswer(t, proxies[name].repeats) })
			t.Run("reload", func(t *testing.T) { p.reloads(t, name) })
		})
	}
}

// grants is a life of a token and of an API key, through the proxy alone.
func (p *proxy) grants(t *testing.T) {
	metadata := p.Get("/.well-known/oauth-authorization-server")
	if got := metadata.Member(t, http.StatusOK, "issuer"); got != "https://"+publicHost {
		t.Errorf("the issuer is %q", got)
	}
	orders := p.operators.Register(t, `{"client_id":"orders","scope":"read mintkeep:introspect"}`)
	token := p.Token(t, orders)
	if got := p.Introspect(orders, token); !got.Active() {
		t.Errorf("introspection of a new token: %s", got)
	}
	if got := p.Revoke(orders, token); !got.Is(http.StatusOK) {
		t.Errorf("revocation: %s", got)
	}
	if got := p.Introspect(orders, token); !got.Inactive() {
		t.Errorf("introspection of a revoked token: %s", got)
	}
	user := p.operators.Admin("POST", "/admin/users", `{"email":"ada@example.com"}`).Member(t, http.StatusCreated, "id")
	key := p.operators.Admin("POST", "/admin/users/"+user+"/keys", `{"name":"ci"}`).Member(t, http.StatusCreated, "key")
	if got := p.Me(key).Member(t, http.StatusOK, "email"); got != "ada@example.com" {
		t.Errorf("the key's owner is %q", got)
	}
}

// listeners: what is for operators is at their host alone, however the path is written.
func (p *proxy) listeners(t *testing.T) {
	for _, path := range []string{"/admin/clients", "//admin/clients", "/admin%2fclients", "/oauth/../admin/clients", "/%61dmin/clients", "/operator"} {
		if got := p.Admin("GET", path, ""); !got.Is(http.StatusNotFound) && !got.Is(http.StatusBadRequest) {
			t.Errorf("%s at the public host: %s", path, got)
		}
	}
	if got := p.operators.Admin("GET", "/admin/clients", ""); !got.Is(http.StatusOK) {
		t.Errorf("/admin/clients for operators: %s", got)
	}
	for _, path := range []string{"//admin/clients", "/admin%2fclients"} {
		if got := p.operators.Admin("GET", path, ""); !got.Is(http.StatusNotFound) {
			t.Errorf("%s for operators: %s", path, got)
		}
	}
	if got := p.operators.Issue("Basic eDp5"); !got.Is(http.StatusNotFound) {
		t.Errorf("/oauth/token for operators: %s", got)
	}
}

// rejections arrive with what RFC 6749 and RFC 6750 ask of them, and nothing waits for long.
func (p *proxy) rejections(t *testing.T) {
	wrong := p.Issue("Basic b3JkZXJzOndyb25n")
	if wrong.Member(t, http.StatusUnauthorized, "error") != "invalid_client" || !strings.HasPrefix(wrong.Header.Get("WWW-Authenticate"), "Basic ") ||
		wrong.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("a wrong secret: %s %v", wrong, wrong.Header)
	}
	unknown := p.Me("mk_none")
	if !strings.Contains(unknown.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("an unknown key: %s %v", unknown, unknown.Header)
	}
	for name, got := range map[string]processtest.Answer{
		"parameters in the query": p.Call("POST", "/oauth/token?grant_type=client_credentials", "application/x-www-form-urlencoded", "", ""),
		"a parameter twice":       p.Call("POST", "/oauth/token", "application/x-www-form-urlencoded", "grant_type=a&grant_type=b", ""),
	} {
		if got.Member(t, http.StatusBadRequest, "error") != "invalid_request" {
			t.Errorf("%s: %s", name, got)
		}
	}
	long := p.Call("POST", "/oauth/token", "application/x-www-form-urlencoded", strings.Repeat("a=b&", 50_000), "")
	if !long.Is(http.StatusRequestEntityTooLarge) && !long.Is(http.StatusBadGateway) { // Caddy 2.6 answers 502 if it has begun to pass the body on
		t.Errorf("a body of 200 kB: %s", long)
	}
	if got := p.Me(strings.Repeat("x", 100_000)); got.Err == nil && got.Status/100 != 4 {
		t.Errorf("a head of 100 kB: %s", got)
	}
	if got := p.Issue("Basic b3JkZXJz" + strings.Repeat("A", 20_000)); !got.Is(http.StatusUnauthorized) && !got.Is(http.StatusBadRequest) {
		t.Errorf("a head of 20 kB: %s", got)
	}
}

// address: the audit log has the caller's, whatever the caller says it is.
func (p *proxy) address(t *testing.T) {
	for _, spoofed := range []string{"X-Forwarded-For", "x-forwarded-for", "Forwarded", "X-Real-IP"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.operators.URL+"/admin/stats", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer unknown")
		r.Header.Set(spoofed, "203.0.113.9")
		response, err := p.operators.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	events := p.operators.Admin("GET", "/admin/audit?refusals=true", "")
	var page struct {
		Items []struct {
			Action  string `json:"action"`
			Address string `json:"address"`
		} `json:"items"`
	}
	if err := json.NewDecoder(bytes.NewReader([]byte(events.Body))).Decode(&page); err != nil {
		t.Fatalf("%s: %v", events, err)
	}
	rejected := 0
	for _, event := range page.Items {
		if event.Action == "admin.refused" {
			rejected++
			if event.Address != "127.0.0.1" {
				t.Errorf("an event has the address %q", event.Address)
			}
		}
	}
	if rejected == 0 {
		t.Errorf("no rejection is in the audit log: %s", events)
	}
}

// reloads sends 1,000 requests by HTTP/2 and HTTP/1.1, and reloads the proxy in the middle. A request whose connection the proxy closed is sent once
// more on a new one, as RFC 9110 §9.2.2 allows where that is safe: each of these may be repeated.
func (p *proxy) reloads(t *testing.T, name string) {
	const callers, each = 8, 125
	client := p.operators.Register(t, `{"client_id":"load","scope":"read mintkeep:introspect"}`)
	var sent, again atomic.Int64
	var once sync.Once
	var calling sync.WaitGroup
	for i := range callers {
		calling.Go(func() {
			caller := p.public.speaking(publicHost, i%2 == 0)
			token := ""
			for i := range each {
				ask := func() processtest.Answer { return caller.Issue(client) }
				if i%2 == 1 {
					ask = func() processtest.Answer {
						return caller.Form("/oauth/introspect", client, url.Values{"token": {token}})
					}
				}
				got := ask()
				if got.Err != nil {
					again.Add(1)
					caller.HTTP.CloseIdleConnections()
					got = ask()
				}
				if !got.Is(http.StatusOK) || i%2 == 1 && !got.Active() {
					t.Errorf("request %d: %s", i, got)
				}
				if i%2 == 0 {
					token = got.Member(t, http.StatusOK, "access_token")
				}
				if sent.Add(1) == callers*each/2 {
					once.Do(func() { proxies[name].reload(t, p) })
				}
			}
		})
	}
	calling.Wait()
	t.Logf("%d requests, %d of them twice", sent.Load(), again.Load())
}
