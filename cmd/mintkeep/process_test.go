package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// replica is mintkeep in a process of its own.
type replica struct {
	url    string
	cmd    *exec.Cmd
	stdout *lockedBuffer
	stderr *lockedBuffer
	ended  chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const testAdminToken = "a-token-for-tests-that-is-long-enough"

var testMasterKey = func() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}()

// start runs the test binary as mintkeep, which it is under that name (see TestMain), on a free port.
func start(t *testing.T, environ ...string) *replica {
	t.Helper()
	r := launch(t, environ...)
	r.listening(t)
	return r
}

// launch does not wait until it listens.
func launch(t *testing.T, environ ...string) *replica {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "mintkeep")
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	r := &replica{cmd: exec.Command(name, "serve"), stdout: &lockedBuffer{}, stderr: &lockedBuffer{}, ended: make(chan error, 1)}
	r.cmd.Env = append([]string{"MINTKEEP_ADDR=127.0.0.1:0", "MINTKEEP_METRICS_ADDR=", "MINTKEEP_LOG_FORMAT=json"}, environ...)
	r.cmd.Stdout, r.cmd.Stderr = r.stdout, r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

// listening waits until it does, and notes where.
func (r *replica) listening(t *testing.T) {
	t.Helper()
	r.url = "http://" + r.await(t, regexp.MustCompile(`"msg":"listening","address":"([^"]+)"`))
}

// await waits until the log has what the expression describes, and returns its first group.
func (r *replica) await(t *testing.T, re *regexp.Regexp) string {
	t.Helper()
	var found string
	eventually(t, 10*time.Second, func() bool {
		match := re.FindStringSubmatch(r.stderr.String())
		if match != nil {
			found = match[1]
		}
		return match != nil
	}, func() string { return r.stderr.String() })
	return found
}

func eventually(t *testing.T, limit time.Duration, ok func() bool, why func() string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, why())
		}
	}
}

func (r *replica) ready() bool {
	response, err := http.Get(r.url + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// onRedis is the environment of a replica over a Redis.
func onRedis(redisURL string) []string {
	return []string{
		"MINTKEEP_REDIS_URL=" + redisURL, "MINTKEEP_ISSUER=http://localhost:8080", "MINTKEEP_ADMIN_TOKEN=" + testAdminToken,
		"MINTKEEP_MASTER_KEY=" + testMasterKey,
	}
}

// call sends a request and returns the status and the body.
func call(method, target, contentType, body, authorization string) (int, string, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", authorization)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	return response.StatusCode, string(read), err
}

// register makes a client and returns the value of its Authorization header.
func (r *replica) register(t *testing.T) string {
	t.Helper()
	status, body, err := call(http.MethodPost, r.url+"/admin/clients", "application/json", `{"scope":"read"}`, "Bearer "+testAdminToken)
	if err != nil || status != http.StatusCreated {
		t.Fatalf("register: %d %v %s", status, err, body)
	}
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(body), &client); err != nil {
		t.Fatal(err)
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(client.ID+":"+client.Secret))
}

const form = "application/x-www-form-urlencoded"

func (r *replica) token(t *testing.T, authorization string) string {
	t.Helper()
	status, body, err := call(http.MethodPost, r.url+"/oauth/token", form, "grant_type=client_credentials", authorization)
	if err != nil || status != http.StatusOK {
		t.Fatalf("token: %d %v %s", status, err, body)
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Token
}

func (r *replica) active(t *testing.T, authorization, token string) bool {
	t.Helper()
	status, body, err := call(http.MethodPost, r.url+"/oauth/introspect", form, url.Values{"token": {token}}.Encode(), authorization)
	if err != nil || status != http.StatusOK {
		t.Fatalf("introspect: %d %v %s", status, err, body)
	}
	return strings.Contains(body, `"active":true`)
}

// A newcomer pastes what the banner says.
func TestFirstRun(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	r := start(t)
	eventually(t, 5*time.Second, func() bool { // what is written to a pipe is read a moment later
		return strings.Contains(r.stdout.String(), "MINTKEEP_REDIS_URL")
	}, r.stdout.String)
	var curls []string
	for line := range strings.Lines(r.stdout.String()) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "curl ") {
			curls = append(curls, line)
		}
	}
	if len(curls) != 2 {
		t.Fatalf("the banner has %d curl lines, want 2:\n%s", len(curls), r.stdout)
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
	signIn(t, r.stdout.String())
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-r.ended; err != nil {
		t.Errorf("ended with %v, want exit code 0\n%s", err, r.stderr)
	}
}

// signIn goes to the dashboard that the banner names, as the person whom it names.
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
	settings := page(browser.PostForm(said("Dashboard")+"/login", url.Values{
		"form_token": {token[1]}, "email": {said("Sign in with")}, "password": {said("Password")},
	}))
	for _, want := range []string{"Create New API Key", said("Sign in with"), "/operator"} {
		if !strings.Contains(settings, want) {
			t.Errorf("after signing in, %q is not on the page:\n%s", want, settings)
		}
	}
}

// Replicas that start together over an empty Redis agree on one signing key, see each other's tokens and
// revocations at once, and lose nothing when one is killed.
func TestReplicas(t *testing.T) {
	redis := storetest.Redis(t)
	var replicas [4]*replica
	for i := range replicas {
		replicas[i] = launch(t, onRedis(redis.URL())...)
	}
	for _, r := range replicas {
		r.listening(t)
	}
	var sets [len(replicas)]string
	for i, r := range replicas {
		eventually(t, 5*time.Second, r.ready, r.stderr.String)
		var err error
		if _, sets[i], err = call(http.MethodGet, r.url+"/.well-known/jwks.json", "", "", ""); err != nil {
			t.Fatal(err)
		}
		if sets[i] != sets[0] {
			t.Errorf("replicas publish different keys:\n%s\n%s", sets[0], sets[i])
		}
	}
	a, b := replicas[0], replicas[1]
	client := a.register(t)
	kept, revoked := a.token(t, client), a.token(t, client)
	if !b.active(t, client, kept) || !b.active(t, client, revoked) {
		t.Error("b does not know the tokens of a")
	}
	status, body, err := call(http.MethodPost, a.url+"/oauth/revoke", form, url.Values{"token": {revoked}}.Encode(), client)
	if err != nil || status != http.StatusOK {
		t.Fatalf("revoke: %d %v %s", status, err, body)
	}
	if b.active(t, client, revoked) {
		t.Error("b calls a token active that a has revoked")
	}
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-a.ended
	if !b.active(t, client, kept) || b.active(t, client, revoked) {
		t.Error("the end of a changed what b knows")
	}
}

// A server that starts before its Redis is alive, not ready, and recovers by itself.
func TestStartsBeforeRedis(t *testing.T) {
	redis := storetest.Redis(t)
	redis.Stop()
	r := start(t, onRedis(redis.URL())...)
	status, body, err := call(http.MethodGet, r.url+"/readyz", "", "", "")
	if err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("readyz answers %d %s (%v), want 503", status, body, err)
	}
	if status, _, err = call(http.MethodGet, r.url+"/healthz", "", "", ""); err != nil || status != http.StatusOK {
		t.Errorf("healthz answers %d (%v), want 200", status, err)
	}
	redis.Start()
	eventually(t, 15*time.Second, r.ready, r.stderr.String)
	r.token(t, r.register(t))
}

// Behind a load balancer with two replicas, the end of one loses no request (contract: exit 0 within 15 s).
func TestDrainLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the 4 s of the drain delay")
	}
	redis := storetest.Redis(t)
	a, b := start(t, onRedis(redis.URL())...), start(t, onRedis(redis.URL())...)
	eventually(t, 5*time.Second, func() bool { return a.ready() && b.ready() }, a.stderr.String)
	client := a.register(t)

	balancer := balance(t, a, b)
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
				status, body, err := call(http.MethodPost, balancer+"/oauth/token", form, "grant_type=client_credentials", client)
				sent.Add(1)
				if err != nil || status != http.StatusOK {
					lost.Add(1)
					t.Errorf("a request was lost: %d %v %s", status, err, body)
				}
			}
		})
	}
	eventually(t, 10*time.Second, func() bool { return sent.Load() > 200 }, func() string { return "no load" })
	began := time.Now()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-a.ended; err != nil {
		t.Errorf("ended with %v, want exit code 0\n%s", err, a.stderr)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %v to end, want at most 15 s", took)
	}
	after := sent.Load()
	eventually(t, 10*time.Second, func() bool { return sent.Load() > after+100 }, func() string { return "no load after" })
	close(stop)
	workers.Wait()
	t.Logf("%d requests, %d lost", sent.Load(), lost.Load())
}

// balance is a load balancer: each connection goes to a replica that was ready when it last asked, a
// fifth of a second ago at most. It repeats nothing.
func balance(t *testing.T, replicas ...*replica) string {
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
			ready[i].Store(r.ready())
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
	proxy := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(turn.Add(1)) % len(replicas)
		if !ready[i].Load() {
			i = (i + 1) % len(replicas)
		}
		status, body, err := call(r.Method, replicas[i].url+r.URL.Path, r.Header.Get("Content-Type"), read(r.Body), r.Header.Get("Authorization"))
		if err != nil {
			http.Error(w, fmt.Sprintf("replica %d: %v", i, err), http.StatusBadGateway)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})}
	go func() { _ = proxy.Serve(listener) }()
	t.Cleanup(func() { _ = proxy.Close() })
	return "http://" + listener.Addr().String()
}

func read(r io.Reader) string {
	b, _ := io.ReadAll(bufio.NewReader(r))
	return string(b)
}
