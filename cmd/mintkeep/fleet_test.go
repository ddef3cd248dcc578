package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fleet is replicas behind a load balancer, in which an operator replaces one after the other.
type fleet struct {
	t   *testing.T
	url string

	mu       sync.RWMutex
	replicas []*replica
	turn     atomic.Int64
}

// newFleet starts two replicas that have this environment.
func newFleet(t *testing.T, environ []string) *fleet {
	t.Helper()
	f := &fleet{t: t, replicas: []*replica{start(t, environ...), start(t, environ...)}}
	for _, r := range f.replicas {
		eventually(t, 10*time.Second, r.ready, r.stderr.String)
	}
	balancer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: f.route})
	t.Cleanup(balancer.Close)
	f.url = balancer.URL
	return f
}

func (f *fleet) route(r *httputil.ProxyRequest) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	target, _ := url.Parse(f.replicas[int(f.turn.Add(1))%len(f.replicas)].url)
	r.SetURL(target)
}

// roll restarts each replica with another environment: the new one is ready before the old one is told to go.
func (f *fleet) roll(environ []string) {
	f.t.Helper()
	for i := range f.replicas {
		fresh := start(f.t, environ...)
		eventually(f.t, 10*time.Second, fresh.ready, fresh.stderr.String)
		f.mu.Lock()
		old := f.replicas[i]
		f.replicas[i] = fresh
		f.mu.Unlock()
		if err := old.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			f.t.Fatal(err)
		}
	}
}

// trickle uses what the clients and the person of the past have, over and over, until it is stopped. Whatever fails
// fails the test.
func (f *fleet) trickle(p *past) (stop func()) {
	f.t.Helper()
	end, ended := make(chan struct{}), make(chan struct{})
	var rounds atomic.Int64
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ; ; rounds.Add(1) {
			select {
			case <-end:
				return
			case <-tick.C:
				f.round(p)
			}
		}
	}()
	halt := sync.OnceFunc(func() {
		close(end)
		<-ended
	})
	f.t.Cleanup(halt)
	return func() {
		f.t.Helper()
		enough := max(rounds.Load()+3, 10) // with some by the last replicas alone
		eventually(f.t, 10*time.Second, func() bool { return rounds.Load() >= enough }, func() string { return "too few requests" })
		halt()
		f.t.Logf("%d rounds of requests", rounds.Load())
	}
}

// round is one of each request: a token, introspection of one from before, an API key, the key set.
func (f *fleet) round(p *past) {
	for _, c := range []struct{ method, path, body, authorization, want string }{
		{http.MethodPost, "/oauth/token", "grant_type=client_credentials", p.billing(), `"access_token":"`},
		{http.MethodPost, "/oauth/introspect", url.Values{"token": {p.JWT}}.Encode(), p.billing(), `"active":true`},
		{http.MethodGet, "/api/v1/users/me", "", "Bearer " + p.APIKeys[0], `"id":"usr_ada"`},
		{http.MethodGet, "/.well-known/jwks.json", "", "", `"kid":"`},
	} {
		contentType := ""
		if c.method == http.MethodPost {
			contentType = form
		}
		status, body, err := call(c.method, f.url+c.path, contentType, c.body, c.authorization)
		if err != nil || status != http.StatusOK || !strings.Contains(body, c.want) {
			f.t.Errorf("%s: got %d %v %s, want 200 with %s", c.path, status, err, body, c.want)
		}
	}
}

// signIn signs a person in at the dashboard.
func (f *fleet) signIn(email, password string) {
	f.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	page := func(response *http.Response, err error) string {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			f.t.Fatal(err)
		}
		return fmt.Sprintln(response.Status, string(body))
	}
	login := page(browser.Get(f.url + "/login"))
	token := regexp.MustCompile(`name="form_token" value="([^"]+)"`).FindStringSubmatch(login)
	if token == nil {
		f.t.Fatalf("there is no form to sign in:\n%s", login)
	}
	settings := page(browser.PostForm(f.url+"/login", url.Values{"form_token": {token[1]}, "email": {email}, "password": {password}}))
	if !strings.HasPrefix(settings, "200") || !strings.Contains(settings, email) {
		f.t.Errorf("signing in as %s:\n%s", email, settings)
	}
}
