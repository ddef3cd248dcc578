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

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// fleet is replicas behind a load balancer, in which an operator replaces one after the other.
type fleet struct {
	processtest.Caller // of the load balancer

	t *testing.T

	mu       sync.RWMutex
	replicas []*processtest.Server
	turn     atomic.Int64
}

// newFleet starts two replicas that have this environment.
func newFleet(t *testing.T, environ []string) *fleet {
	t.Helper()
	f := &fleet{t: t, replicas: []*processtest.Server{processtest.StartReady(t, environ...), processtest.StartReady(t, environ...)}}
	balancer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: f.route})
	t.Cleanup(balancer.Close)
	f.URL = balancer.URL
	return f
}

func (f *fleet) route(r *httputil.ProxyRequest) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	target, _ := url.Parse(f.replicas[int(f.turn.Add(1))%len(f.replicas)].URL)
	r.SetURL(target)
}

// roll restarts each replica with another environment: the new one is ready before the old one is told to go.
func (f *fleet) roll(environ []string) {
	f.t.Helper()
	for i := range f.replicas {
		fresh := processtest.StartReady(f.t, environ...)
		f.mu.Lock()
		old := f.replicas[i]
		f.replicas[i] = fresh
		f.mu.Unlock()
		old.Signal(f.t, syscall.SIGTERM)
	}
}

// trickle uses the credentials of the earlier installation, over and over, until it is stopped. A failure fails the test.
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
		processtest.Eventually(f.t, processtest.Patience, func() bool { return rounds.Load() >= enough }, func() string { return "too few requests" })
		halt()
		f.t.Logf("%d rounds of requests", rounds.Load())
	}
}

// round is one of each request: a token, introspection of one from before, an API key, the key set.
func (f *fleet) round(p *past) {
	for _, c := range []struct {
		what string
		got  processtest.Answer
		want string
	}{
		{"a token", f.Issue(p.billing()), `"access_token":"`},
		{"introspection", f.Introspect(p.billing(), p.JWT), `"active":true`},
		{"an API key", f.Me(p.APIKeys[0]), `"id":"usr_ada"`},
		{"the key set", f.Get("/.well-known/jwks.json"), `"kid":"`},
	} {
		if !c.got.Is(http.StatusOK) || !strings.Contains(c.got.Body, c.want) {
			f.t.Errorf("%s: got %s, want 200 with %s", c.what, c.got, c.want)
		}
	}
}

// signIn signs a user in at the dashboard.
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
	login := page(browser.Get(f.URL + "/login"))
	token := regexp.MustCompile(`name="form_token" value="([^"]+)"`).FindStringSubmatch(login)
	if token == nil {
		f.t.Fatalf("there is no form to sign in:\n%s", login)
	}
	var settings string
	processtest.Eventually(f.t, processtest.Patience, func() bool { // a busy machine may not hash the password in time
		settings = page(browser.PostForm(f.URL+"/login", url.Values{"form_token": {token[1]}, "email": {email}, "password": {password}}))
		return !strings.HasPrefix(settings, "503")
	}, func() string { return settings })
	if !strings.HasPrefix(settings, "200") || !strings.Contains(settings, email) {
		f.t.Errorf("signing in as %s:\n%s", email, settings)
	}
}
