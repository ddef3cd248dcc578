package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A newcomer pastes what the banner says.
func TestFirstRun(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	r := processtest.Start(t)
	processtest.Eventually(t, processtest.Patience, func() bool { // what is written to a pipe is read a moment later
		return strings.Contains(r.Stdout.String(), "MINTKEEP_REDIS_URL")
	}, r.Stdout.String)
	var curls []string
	for line := range strings.Lines(r.Stdout.String()) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "curl ") {
			curls = append(curls, line)
		}
	}
	if len(curls) != 2 {
		t.Fatalf("the banner has %d curl lines, want 2:\n%s", len(curls), r.Stdout)
	}
	token, err := exec.Command("sh", "-c", curls[0]).Output()
	if err != nil {
		t.Fatal(err)
	}
	documented := regexp.MustCompile(`^\{"access_token":"eyJ[^"]+","token_type":"bearer","expires_in":3600,"scope":"read write"\}$`)
	if !documented.Match(token) {
		t.Errorf("the first curl answers %s, want %s", token, documented)
	}
	introspected, err := exec.Command("sh", "-c", curls[1]).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(introspected), `{"active":true,"scope":"read write","client_id":"demo"`) {
		t.Errorf("the second curl answers %s", introspected)
	}
	signIn(t, r.Stdout.String())
	r.Signal(t, syscall.SIGINT)
	if err := r.Wait(); err != nil {
		t.Errorf("ended with %v, want exit code 0\n%s", err, r.Log)
	}
}

// signIn goes to the dashboard that the banner names, as the user whom it names.
func signIn(t *testing.T, banner string) {
	t.Helper()
	said := func(label string) string {
		_, rest, _ := strings.Cut(banner, label)
		line, _, _ := strings.Cut(rest, "\n")
		return strings.TrimSpace(line)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	page := func(response *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	login := page(browser.Get(said("Dashboard")))
	token := regexp.MustCompile(`name="form_token" value="([^"]+)"`).FindStringSubmatch(login)
	if token == nil {
		t.Fatalf("the dashboard shows no form to sign in:\n%s", login)
	}
	var settings string
	processtest.Eventually(t, processtest.Patience, func() bool { // a busy machine may not hash the password in time
		settings = page(browser.PostForm(said("Dashboard")+"/login", url.Values{
			"form_token": {token[1]}, "email": {said("Sign in with")}, "password": {said("Password")},
		}))
		return !strings.Contains(settings, "Status 503")
	}, func() string { return settings })
	for _, want := range []string{"Create New API Key", said("Sign in with"), "/operator"} {
		if !strings.Contains(settings, want) {
			t.Errorf("after signing in, %q is not on the page:\n%s", want, settings)
		}
	}
}

// Replicas that start together over an empty Redis agree on one signing key, see each other's tokens and
// revocations at once, and lose nothing when one is killed.
func TestReplicas(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	var replicas [4]*processtest.Server
	for i := range replicas {
		replicas[i] = processtest.Launch(t, processtest.OnRedis(redis.URL())...)
	}
	for _, r := range replicas {
		r.AwaitListening(t)
	}
	var sets [len(replicas)]string
	for i, r := range replicas {
		processtest.Eventually(t, processtest.Patience, r.Ready, r.Log.String)
		got := r.Get("/.well-known/jwks.json")
		if got.Err != nil {
			t.Fatal(got.Err)
		}
		if sets[i] = got.Body; sets[i] != sets[0] {
			t.Errorf("replicas publish different keys:\n%s\n%s", sets[0], sets[i])
		}
	}
	a, b := replicas[0], replicas[1]
	client := a.Register(t, `{"scope":"read"}`)
	kept, revoked := a.Token(t, client), a.Token(t, client)
	if !b.Introspect(client, kept).Active() || !b.Introspect(client, revoked).Active() {
		t.Error("b does not know the tokens of a")
	}
	if got := a.Revoke(client, revoked); !got.Is(http.StatusOK) {
		t.Fatalf("revoke: %s", got)
	}
	if got := b.Introspect(client, revoked); !got.Inactive() {
		t.Errorf("b says of a token that a has revoked: %s, want inactive", got)
	}
	a.Signal(t, syscall.SIGKILL)
	_ = a.Wait()
	if !b.Introspect(client, kept).Active() || !b.Introspect(client, revoked).Inactive() {
		t.Error("the end of a changed what b knows")
	}
}

// A server that starts before its Redis is live, not ready, and recovers by itself.
func TestStartsBeforeRedis(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	redis.Stop()
	r := processtest.Start(t, processtest.OnRedis(redis.URL())...)
	if got := r.Get("/readyz"); !got.Is(http.StatusServiceUnavailable) {
		t.Errorf("readyz answers %s, want 503", got)
	}
	if got := r.Get("/healthz"); !got.Is(http.StatusOK) {
		t.Errorf("healthz answers %s, want 200", got)
	}
	redis.Start()
	processtest.Eventually(t, processtest.Patience, r.Ready, r.Log.String)
	r.Token(t, r.Register(t, `{"scope":"read"}`))
}

// Behind a load balancer with two replicas, stopping one loses no request, and it exits with 0 within 15 s.
func TestDrainLosesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes the 4 s of the drain delay")
	}
	redis := storetest.Redis(t)
	environ := processtest.OnRedis(redis.URL())
	a, b := processtest.StartReady(t, environ...), processtest.StartReady(t, environ...)
	client := a.Register(t, `{"scope":"read"}`)

	balancer := processtest.Caller{URL: balance(t, a, b)}
	stop := make(chan struct{})
	var sent, lost atomic.Int64
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got := balancer.Issue(client)
				sent.Add(1)
				if !got.Is(http.StatusOK) {
					lost.Add(1)
					t.Errorf("a request was lost: %s", got)
				}
			}
		})
	}
	processtest.Eventually(t, processtest.Patience, func() bool { return sent.Load() > 200 }, func() string { return "no load" })
	began := time.Now()
	a.Signal(t, syscall.SIGTERM)
	if err := a.Wait(); err != nil {
		t.Errorf("ended with %v, want exit code 0\n%s", err, a.Log)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %v to end, want at most 15 s", took)
	}
	after := sent.Load()
	processtest.Eventually(t, processtest.Patience, func() bool { return sent.Load() > after+100 }, func() string { return "no load after" })
	close(stop)
	workers.Wait()
	t.Logf("%d requests, %d lost", sent.Load(), lost.Load())
}

// balance is a load balancer: each connection goes to a replica that was ready when it last asked, a
// fifth of a second ago at most. It repeats nothing.
func balance(t *testing.T, replicas ...*processtest.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var ready [2]atomic.Bool
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(func() { stop(); listener.Close() })
	check := func() {
		for i, r := range replicas {
			ready[i].Store(r.Ready())
		}
	}
	check()
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			check()
		}
	}()
	var turn atomic.Int64
	proxy := &http.Server{ReadHeaderTimeout: processtest.Patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(turn.Add(1)) % len(replicas)
		if !ready[i].Load() {
			i = (i + 1) % len(replicas)
		}
		got := replicas[i].Call(r.Method, r.URL.Path, r.Header.Get("Content-Type"), read(r.Body), r.Header.Get("Authorization"))
		if got.Err != nil {
			http.Error(w, fmt.Sprintf("replica %d: %v", i, got.Err), http.StatusBadGateway)
			return
		}
		w.WriteHeader(got.Status)
		_, _ = io.WriteString(w, got.Body)
	})}
	go func() { _ = proxy.Serve(listener) }()
	t.Cleanup(func() { _ = proxy.Close() })
	return "http://" + listener.Addr().String()
}

func read(r io.Reader) string {
	b, _ := io.ReadAll(bufio.NewReader(r))
	return string(b)
}
