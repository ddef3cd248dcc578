package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
)

// built are the programs that the tests run, each built once.
var built sync.Map

// build builds a program of a module.
func build(t *testing.T, module, pkg string, flags ...string) string {
	t.Helper()
	type result struct {
		path string
		err  error
	}
	once, _ := built.LoadOrStore(fmt.Sprint(module, pkg, flags), sync.OnceValue(func() result {
		folder, err := os.MkdirTemp("", "mintkeep") //nolint:usetesting // all tests share what is built
		if err != nil {
			return result{"", err}
		}
		path := filepath.Join(folder, filepath.Base(pkg))
		cmd := exec.Command("go", append(append([]string{"build", "-buildvcs=false", "-o", path}, flags...), pkg)...)
		cmd.Dir = module
		if out, err := cmd.CombinedOutput(); err != nil {
			return result{path, fmt.Errorf("%w: %s", err, out)}
		}
		return result{path, nil}
	}))
	r := once.(func() result)()
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.path
}

const adminToken = "a-token-for-tests-that-is-long-enough"

// process is the real server, with its data in memory.
type process struct {
	t       *testing.T
	url     string
	issuer  string
	secrets map[string]string // of clients
	users   map[string]string // name → id
	keys    map[string]string // API key → id
}

var listening = regexp.MustCompile(`"msg":"listening","address":"([^"]+)"`)

// newReal is one whose issuer is not where it listens, so that its guards need a network of their own.
func newReal(t *testing.T) backend {
	t.Helper()
	return startReal(t, "127.0.0.1:0", "http://localhost:8080")
}

// newRealAtItsIssuer is one that every program reaches.
func newRealAtItsIssuer(t *testing.T) *process {
	t.Helper()
	addr := freeAddr(t)
	return startReal(t, addr, "http://"+addr)
}

// ports counts the ports that were free. They lie below those that the system gives to others.
var ports atomic.Int32

// freeAddr is an address at which nothing listens, and which no other test here gets.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 30_000+ports.Add(1))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no free port found")
	return ""
}

func startReal(t *testing.T, addr, issuer string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), build(t, "../../..", "./cmd/mintkeep"), "serve")
	cmd.Env = append(os.Environ(), "MINTKEEP_ADDR="+addr, "MINTKEEP_METRICS_ADDR=", "MINTKEEP_LOG_FORMAT=json",
		"MINTKEEP_ADMIN_TOKEN="+adminToken, "MINTKEEP_ISSUER="+issuer, "MINTKEEP_KEY_SCOPES=read write refund")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if m := listening.FindSubmatch(lines.Bytes()); m != nil {
				address <- string(m[1])
			}
		}
		close(address)
	}()
	b := &process{t: t, issuer: issuer, secrets: map[string]string{}, users: map[string]string{}, keys: map[string]string{}}
	select {
	case a := <-address:
		b.url = "http://" + a
	case <-time.After(time.Minute):
	}
	if b.url == "http://" || b.url == "" {
		t.Fatal("mintkeep does not listen")
	}
	b.register("guard", "mintkeep:introspect")
	return b
}

func (b *process) call(method, path, body string, want int) map[string]any {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			r.Header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	return b.do(r, want)
}

func (b *process) do(r *http.Request, want int) map[string]any {
	b.t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		b.t.Fatalf("%s %s: %d %s %v", r.Method, r.URL.Path, response.StatusCode, text, err)
	}
	var members map[string]any
	_ = json.Unmarshal(text, &members)
	return members
}

func (b *process) register(id, scope string) {
	b.t.Helper()
	if b.secrets[id] == "" {
		members := map[string]any{"client_id": id, "scope": scope, "audience": []string{orders, other, "https://api.example.com"}}
		if strings.HasPrefix(id, "opaque-") {
			members["access_token_format"] = "opaque"
		}
		body, _ := json.Marshal(members)
		b.secrets[id] = b.call("POST", "/admin/clients", string(body), 201)["client_secret"].(string)
	}
}

func (b *process) form(path, client string, values url.Values, want int) map[string]any {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), "POST", b.url+path, strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.SetBasicAuth(client, b.secrets[client])
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r, want)
}

func (b *process) Token(client, audience string, scopes ...string) string {
	b.t.Helper()
	b.register(client, "read write refund")
	values := url.Values{"grant_type": {"client_credentials"}, "resource": {audience}, "scope": {strings.Join(scopes, " ")}}
	return b.form("/oauth/token", client, values, 200)["access_token"].(string)
}

func (b *process) Key(user string, scopes ...string) string {
	b.t.Helper()
	if b.users[user] == "" {
		b.users[user] = b.call("POST", "/admin/users", `{"email":"`+user+`@example.com"}`, 201)["id"].(string)
	}
	k := b.call("POST", "/admin/users/"+b.users[user]+"/keys", `{"name":"k","scope":"`+strings.Join(scopes, " ")+`"}`, 201)
	b.keys[k["key"].(string)] = k["id"].(string)
	return k["key"].(string)
}

// Opaque is a token of a client that gets opaque ones.
func (b *process) Opaque(client, audience string, scopes ...string) string {
	b.t.Helper()
	return b.Token("opaque-"+client, audience, scopes...)
}

// KeyAudience is the audience of every API key.
func (b *process) KeyAudience() string { return b.issuer }

func (b *process) Revoke(client, credential string) {
	b.t.Helper()
	if id := b.keys[credential]; id != "" {
		b.call("DELETE", "/admin/keys/"+id, "", 204)
		return
	}
	if b.secrets[client] == "" {
		client = "opaque-" + client
	}
	b.form("/oauth/revoke", client, url.Values{"token": {credential}}, 200)
}

func (b *process) Narrow(key string, scopes ...string) {
	b.t.Helper()
	b.call("PATCH", "/admin/keys/"+b.keys[key], `{"scope":"`+strings.Join(scopes, " ")+`"}`, 200)
}

func (b *process) DisableKey(key string, disabled bool) {
	b.t.Helper()
	b.call("PATCH", "/admin/keys/"+b.keys[key], fmt.Sprintf(`{"disabled":%v}`, disabled), 200)
}

func (b *process) DisableClient(client string, disabled bool) {
	b.t.Helper()
	b.call("PATCH", "/admin/clients/"+client, fmt.Sprintf(`{"disabled":%v}`, disabled), 200)
}

func (b *process) RevokeTokens(client string) {
	b.t.Helper()
	b.call("POST", "/admin/clients/"+client+"/revoke-tokens", "", 204)
}

// Entitle registers the client of the guards for mintkeep:introspect, or takes that scope away.
func (b *process) Entitle(entitled bool) {
	b.t.Helper()
	scope := map[bool]string{true: "mintkeep:introspect", false: "read"}[entitled]
	b.call("PATCH", "/admin/clients/guard", `{"scope":"`+scope+`"}`, 200)
}

func (b *process) RotateSigningKey(compromised bool) {
	b.t.Helper()
	b.call("POST", "/admin/signing-keys/rotate", fmt.Sprintf(`{"compromised":%v}`, compromised), 201)
}

func (b *process) Address() string { return b.url }

func (b *process) GuardSecret() string { return b.secrets["guard"] }

func (b *process) DisableUser(user string, disabled bool) {
	b.t.Helper()
	b.call("PATCH", "/admin/users/"+b.users[user], fmt.Sprintf(`{"disabled":%v}`, disabled), 200)
}

func (b *process) Guard(c guard.Config) *guard.Guard {
	b.t.Helper()
	c.Issuer, c.ClientID, c.ClientSecret = b.issuer, "guard", b.secrets["guard"]
	target, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	next := http.DefaultTransport
	if c.HTTPClient != nil {
		next = c.HTTPClient.Transport
	}
	c.HTTPClient = &http.Client{Transport: rewrite{target.Host, next}}
	g, err := guard.New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = g.Close() })
	return g
}

// rewrite sends what is for the issuer to the address on which the server listens.
type rewrite struct {
	host string
	next http.RoundTripper
}

func (w rewrite) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = w.host
	return w.next.RoundTrip(r)
}
