package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// pollProxy is what stands before a server: it passes polls on, or holds them, or answers them from memory.
type pollProxy struct {
	mu    sync.Mutex
	to    *url.URL
	hold  time.Duration
	cache bool
	first []byte // answer to a poll
}

func (p *pollProxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *pollProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	to, hold, cached := p.to, p.hold, p.first
	if !p.cache {
		cached = nil
	}
	p.mu.Unlock()
	if cached != nil {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(cached)
		return
	}
	forward := httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			p.set(func() { p.first = body })
			<-time.After(hold)
			return err
		},
	}
	forward.ServeHTTP(w, r)
}

// doctor polls through the issuer, and notices what a proxy does to polls.
func TestDoctorPollsThroughIssuer(t *testing.T) {
	t.Parallel()
	proxy := &pollProxy{}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	var environ []string
	for _, setting := range processtest.OnRedis(storetest.Redis(t, "--appendonly", "yes").URL()) {
		if !strings.HasPrefix(setting, "MINTKEEP_ISSUER=") {
			environ = append(environ, setting)
		}
	}
	environ = append(environ, "MINTKEEP_ISSUER="+strings.Replace(front.URL, "127.0.0.1", "localhost", 1))
	s := processtest.StartReady(t, environ...)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy.set(func() { proxy.to = to })
	for id, scope := range map[string]string{"orders": "mintkeep:introspect", "billing": "read"} {
		s.Register(t, `{"client_id":"`+id+`","client_secret":"a-secret-of-thirty-two-characters-`+id+`","scope":"`+scope+`"}`)
	}
	examine := func(client string, more ...string) result {
		t.Helper()
		env := append(append([]string{}, environ...), more...)
		if client != "" {
			env = append(env, "MINTKEEP_CLIENT_ID="+client, "MINTKEEP_CLIENT_SECRET=a-secret-of-thirty-two-characters-"+client)
		}
		return mintkeep(t, env, "", "doctor")
	}
	await := func(client, want string) {
		t.Helper()
		var got result
		processtest.Eventually(t, processtest.Patience, func() bool {
			got = examine(client)
			return strings.Contains(strings.Join(strings.Fields(got.stdout), " "), want)
		}, func() string { return want + " is not in\n" + got.stdout })
	}
	if got := examine(""); strings.Contains(got.stdout, "polls") {
		t.Errorf("without a client:\n%s", got.stdout)
	}
	await("orders", "ok polls ")
	await("billing", "warn polls ")
	proxy.set(func() { proxy.hold = pollWait + pollSlack })
	await("orders", "something holds polls")
	proxy.set(func() { proxy.hold, proxy.cache = 0, true })
	await("orders", "FAIL polls ")
	if got := s.Admin(http.MethodGet, "/admin/guards", ""); !strings.Contains(got.Body, `"items":[]`) {
		t.Errorf("doctor is listed as a guard: %s", got)
	}
}
