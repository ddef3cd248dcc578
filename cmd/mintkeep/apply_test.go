package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// declaredClients is how many clients TestApplyMany declares; the short form is enough to see what is sent.
var declaredClients = flag.Int("declared", 30, "clients of TestApplyMany")

// applyServer is a server to which declarations are applied. What the command sends is held to the OpenAPI document.
type applyServer struct {
	*servertest.Server
	url     string
	changes atomic.Int64             // requests that change something
	before  func(*http.Request) bool // of each of these; false: it is not answered. nil: nothing
	lost    atomic.Int64             // so many of these are done, and answered with 503
}

func newApplyServer(t *testing.T) *applyServer {
	t.Helper()
	s := &applyServer{Server: servertest.New(t, storetest.Embedded(t))}
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: s.HTTP.Transport,
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.URL.Query().Has("dry_run") {
			proxy.ServeHTTP(w, r)
			return
		}
		s.changes.Add(1)
		if s.before != nil && !s.before(r) {
			panic(http.ErrAbortHandler)
		}
		if s.lost.Add(-1) >= 0 {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s.url = front.URL
	return s
}

// environ is that of an operator with this credential; empty: the admin token.
func (s *applyServer) environ(credential string) []string {
	if credential == "" {
		credential = s.AdminToken
	}
	return []string{"MINTKEEP_URL=" + s.url, "MINTKEEP_ADMIN_TOKEN=" + credential}
}

// apply applies a document from the standard input. What it prints once is a secret to the test.
func (s *applyServer) apply(t *testing.T, document string, flags ...string) result {
	t.Helper()
	got := mintkeep(t, s.environ(""), document, append([]string{"apply", "-f", "-"}, flags...)...)
	s.shown(got.stdout)
	return got
}

// shown registers what was printed once.
func (s *applyServer) shown(output string) {
	for line := range strings.Lines(output) {
		if _, secret, ok := strings.Cut(strings.TrimSpace(line), ": secret "); ok {
			s.Secret(secret)
		}
		if _, link, ok := strings.Cut(strings.TrimSpace(line), ": invite link "); ok {
			s.Secret(link[len(link)-26:])
		}
	}
}

// want fails the test unless the command ended so, and printed each of these texts.
func (r result) want(t *testing.T, code int, texts ...string) result {
	t.Helper()
	if r.code != code {
		t.Errorf("got exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.stdout+r.stderr, text) {
			t.Errorf("no %q in\n%s%s", text, r.stdout, r.stderr)
		}
	}
	return r
}

func (s *applyServer) client(t *testing.T, id string) servertest.M {
	t.Helper()
	return s.Admin(t, http.MethodGet, "/admin/clients/"+id, nil).Want(t, http.StatusOK, "").JSON(t)
}

// has is whether there is such a client.
func (s *applyServer) has(t *testing.T, id string) bool {
	t.Helper()
	return s.Admin(t, http.MethodGet, "/admin/clients/"+id, nil).Status == http.StatusOK
}

// events counts those of the audit log.
func (s *applyServer) events(t *testing.T) (n int) {
	t.Helper()
	for after := ""; ; {
		page, next, err := s.Store.Events(t.Context(), store.EventFilter{After: after, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if n += len(page); next == "" {
			return n
		}
		after = next
	}
}

// declaration is a document of owner platform with these clients, each in one line.
func declaration(clients ...string) string {
	return "version: 1\nowner: platform\nclients:\n  " + strings.Join(clients, "\n  ") + "\n"
}

// TestApplyMany: a second run sends nothing that changes anything, and the audit log has one event a change.
func TestApplyMany(t *testing.T) {
	t.Parallel()
	s := newApplyServer(t)
	var clients []string
	for i := range *declaredClients {
		clients = append(clients, fmt.Sprintf("svc-%04d: {name: Service %d, scope: [read, write], audience: ['https://svc-%d.example.com'], rate_limit: 600/m, "+
			"secrets: [{sha256: %s}]}", i, i, i, sha256Hex(fmt.Sprintf("a secret of 32 random characters %d", i))))
	}
	begin := time.Now()
	s.apply(t, declaration(clients...)).want(t, exitOK)
	first := time.Since(begin)
	if got := s.events(t); got != *declaredClients {
		t.Errorf("the audit log has %d events, want one for each client", got)
	}
	s.changes.Store(0)
	begin = time.Now()
	s.apply(t, declaration(clients...)).want(t, exitOK, "Nothing to do")
	t.Logf("%d clients in %v; again in %v", *declaredClients, first, time.Since(begin))
	if got, events := s.changes.Load(), s.events(t); got != 0 || events != *declaredClients {
		t.Errorf("the second run sent %d changes, and there are %d events", got, events)
	}
}

// TestApplyDryRun: the difference line by line, and nothing changes.
func TestApplyDryRun(t *testing.T) {
	s := newApplyServer(t)
	s.apply(t, declaration("billing: {scope: [read, write], rate_limit: 600/m}")).want(t, exitOK)
	s.changes.Store(0)
	document := declaration("billing: {scope: [read], rate_limit: 900/m}", "orders: {}")
	s.apply(t, document, "--dry-run").want(t, exitDiffers, "+ create client orders\n",
		"~ change client billing: scope read write → read (revokes its tokens)\n", "~ change client billing: rate_limit 600/m → 900/m\n")
	if got := s.changes.Load(); got != 0 {
		t.Errorf("%d changes were sent", got)
	}
	s.apply(t, document).want(t, exitUsage, "--yes is required")
	if s.has(t, "orders") {
		t.Error("something was changed before the question")
	}
	s.apply(t, document, "--yes").want(t, exitOK, "created client orders", "changed client billing")
	s.apply(t, document, "--dry-run").want(t, exitOK, "Nothing to do")
}

// TestApplyDirectory: all files of a directory, with everything that is wrong in all of them, and nothing changes.
func TestApplyDirectory(t *testing.T) {
	s := newApplyServer(t)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", declaration("billing: {scop: [read]}"))
	write("b.yml", declaration("orders: {}", "billing: {}"))
	write("c.json", `{"version": 1, "owner": "platform",`+"\n"+` "clients": {"reports": {"scope": ["a\"b"]}}}`)
	write("d.txt", "no declaration")
	write(".e.yaml", "no declaration")
	apply := func(flags ...string) result {
		return mintkeep(t, s.environ(""), "", append([]string{"apply", "-f", dir}, flags...)...)
	}
	apply().want(t, exitUsage, "3 errors in the files; nothing was changed", filepath.Join(dir, "a.yaml")+":4: clients.billing.scop: is not known",
		filepath.Join(dir, "b.yml")+":5: clients.billing: is declared twice: "+filepath.Join(dir, "a.yaml"), filepath.Join(dir, "c.json")+":2: clients.reports.scope: ")
	var said struct {
		Errors []struct {
			File, Path, Problem string
			Line                int
		}
	}
	if err := json.Unmarshal([]byte(apply("--json").want(t, exitUsage).stdout), &said); err != nil || len(said.Errors) != 3 || said.Errors[0].Line != 4 {
		t.Errorf("got %+v, %v", said, err)
	}
	if s.changes.Load() != 0 {
		t.Error("something was changed")
	}
	write("a.yaml", declaration("billing: {scope: [read]}"))
	write("b.yml", declaration("orders: {}"))
	write("c.json", `{"version": 1, "owner": "infra"}`)
	s.shown(apply().want(t, exitOK, "created client billing", "created client orders").stdout)
	detail := s.Admin(t, http.MethodGet, "/admin/audit?target=client:orders", nil).JSON(t)["items"].([]any)[0].(servertest.M)["detail"].(servertest.M)
	if detail["owner"] != "platform" || detail["file"] != filepath.Join(dir, "b.yml") {
		t.Errorf("the audit event has %v", detail)
	}
	mintkeep(t, s.environ(""), "", "apply", "-f", t.TempDir()).want(t, exitUsage, "has no .yaml, .yml or .json file")
	mintkeep(t, s.environ(""), "", "apply", "-f", filepath.Join(dir, "none")).want(t, exitUsage, "none")
}

// TestApplyOwners: what another owner has is an error; what has none is taken over only by --adopt.
func TestApplyOwners(t *testing.T) {
	s := newApplyServer(t)
	s.Register(t, servertest.M{"client_id": "unowned", "scope": "read"})
	s.Register(t, servertest.M{"client_id": "foreign", "managed_by": "infra"})
	s.User(t, servertest.M{"email": "ada@example.com"})
	document := declaration("unowned: {scope: [read]}") + "users: {ada@example.com: {}}\n"
	s.apply(t, document).want(t, exitUsage, "(standard input):4: clients.unowned: exists already and has no owner; --adopt makes it one of platform",
		"users.ada@example.com: exists already")
	s.apply(t, declaration("foreign: {}"), "--adopt").want(t, exitUsage, "clients.foreign: is managed by infra")
	s.apply(t, document, "--adopt").want(t, exitOK, "~ change client unowned: managed_by none → platform\n", "changed user ada@example.com")
	if got := s.client(t, "unowned")["managed_by"]; got != "platform" {
		t.Errorf("the client is managed by %v", got)
	}
	s.apply(t, document, "--dry-run").want(t, exitOK)
}

// TestApplyPrune deletes exactly what has the owner and is in no file.
func TestApplyPrune(t *testing.T) {
	s := newApplyServer(t)
	runner := s.Register(t, servertest.M{"client_id": "runner", "scope": "mintkeep:admin", "managed_by": "platform", "audience": []string{servertest.Issuer}})
	for id, owner := range map[string]string{"gone": "platform", "kept": "platform", demoClient: "platform", "foreign": "infra", "unowned": ""} {
		metadata := servertest.M{"client_id": id}
		if owner != "" {
			metadata["managed_by"] = owner
		}
		s.Register(t, metadata)
	}
	s.User(t, servertest.M{"email": "gone@example.com", "managed_by": "platform"})
	s.User(t, servertest.M{"email": "kept@example.com"})
	document := declaration("kept: {}")
	s.apply(t, document, "--dry-run").want(t, exitOK, "3 objects of these owners are in no file")
	environ := s.environ(s.Token(t, runner, "scope=mintkeep:admin"))
	prune := func(flags ...string) result {
		return mintkeep(t, environ, document, append([]string{"apply", "-f", "-", "--prune"}, flags...)...)
	}
	prune("--dry-run").want(t, exitDiffers, "- delete client gone (revokes 1 secret, its tokens)\n- delete user gone@example.com (revokes their API keys)\n",
		"client runner stays: it is running this command", "client demo stays: it is the demo client")
	prune().want(t, exitUsage, "--yes is required")
	prune("--yes").want(t, exitOK, "deleted client gone", "deleted user gone@example.com")
	self := s.User(t, servertest.M{"email": "self@example.com", "role": "operator", "managed_by": "platform"})
	environ = s.environ(s.Key(t, self, servertest.M{"scope": "mintkeep:admin"}).Plain)
	prune("--dry-run").want(t, exitDiffers, "- delete client runner ", "user self@example.com stays: it is running this command")
	for id, want := range map[string]bool{"gone": false, "kept": true, demoClient: true, "foreign": true, "unowned": true, "runner": true} {
		if got := s.has(t, id); got != want {
			t.Errorf("%s: got %t, want %t", id, got, want)
		}
	}
	users := s.Admin(t, http.MethodGet, "/admin/users", nil).JSON(t)["items"].([]any)
	if len(users) != 2 {
		t.Errorf("got the users %v, want the one that is kept and the one that asks", users)
	}
}

// TestApplyChecks: what only the server knows to be wrong is said with its place too, before anything is changed.
func TestApplyChecks(t *testing.T) {
	s := newApplyServer(t)
	s.apply(t, declaration("billing: {}")).want(t, exitOK)
	s.apply(t, declaration("good: {}", "long: {access_token_ttl: 900000h}", "remote: {jwks_uri: 'http://a.example/jwks.json'}", "billing:", "  access_token_ttl: 900001h")).
		want(t, exitUsage, "3 errors in the files; nothing was changed",
			"(standard input):5: clients.long.access_token_ttl: must be at most", "(standard input):6: clients.remote.jwks_uri: ",
			"(standard input):8: clients.billing.access_token_ttl: must be at most")
	if s.has(t, "good") {
		t.Error("something was changed")
	}
}

// TestApplyLongPath: the audit event has the end of a path that is longer than it may be.
func TestApplyLongPath(t *testing.T) {
	s := newApplyServer(t)
	dir := t.TempDir()
	for range 6 {
		dir = filepath.Join(dir, strings.Repeat("ä", 30))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "clients\n.yaml")
	if err := os.WriteFile(path, []byte(declaration("billing: {secret_file: secret}")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(strings.Repeat("s", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	mintkeep(t, s.environ(""), "", "apply", "-f", path).want(t, exitOK)
	event := s.Admin(t, http.MethodGet, "/admin/audit", nil).JSON(t)["items"].([]any)[0].(servertest.M)
	if file := event["detail"].(servertest.M)["file"].(string); len(file) > 255 || !strings.HasSuffix(file, `/clients\n.yaml`) {
		t.Errorf("the event has the file %q", file)
	}
}

// TestExport: what was exported differs in nothing.
func TestExport(t *testing.T) {
	s := newApplyServer(t)
	s.apply(t, declaration(
		"billing: {name: '\"yes\": #1 ~', scope: [read, payments:write], grant_types: [], access_token_ttl: 1h30m5s, access_token_format: opaque, "+
			"audience: ['https://b.example', 'urn:a'], rate_limit: 20/s, disabled: true, token_endpoint_auth_method: client_secret_post}",
		"'123': {name: 'null'}", "'true': {jwks: "+exampleKeys+", token_endpoint_auth_signing_alg: ES256, access_token_ttl: 2h}")+
		"users:\n  ada@example.com: {role: operator, name: 'Ada: \"L\"'}\n  ben@example.com: {disabled: true}\n"+
		"---\nversion: 1\nowner: infra\nclients: {reports: {}}\n").want(t, exitOK)
	s.Register(t, servertest.M{"client_id": "unowned", "scope": "read"})
	s.Admin(t, http.MethodPost, "/admin/clients?check=false", servertest.M{"client_id": "remote", "jwks_uri": "https://a.example/jwks.json", "managed_by": "infra"}).
		Want(t, http.StatusCreated, "")
	export := func(flags ...string) string {
		t.Helper()
		got := mintkeep(t, s.environ(""), "", append([]string{"export"}, flags...)...).want(t, exitOK)
		if strings.Contains(got.stdout, "sha256") || strings.Contains(got.stdout, "secret: ") {
			t.Errorf("a secret is exported:\n%s", got.stdout)
		}
		return got.stdout
	}
	all := export()
	s.apply(t, all, "--dry-run", "--prune").want(t, exitOK, "Nothing to do: 5 clients and 2 users are as declared")
	if strings.Contains(all, "unowned") {
		t.Error("what has no owner is exported")
	}
	infra := export("--owner=infra")
	if strings.Contains(infra, "platform") || !strings.Contains(infra, "jwks_uri: https://a.example/jwks.json") {
		t.Errorf("got\n%s", infra)
	}
	adopting := export("--owner=new", "--unowned")
	if diff := cmp.Diff("version: 1\nowner: new\nclients:\n  unowned:\n    scope:\n      - read\n", adopting); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.apply(t, adopting, "--adopt").want(t, exitOK)
	mintkeep(t, s.environ(""), "", "export", "--unowned").want(t, exitUsage, "--unowned needs --owner")
}

// A declaration that is too long is read whole or not at all: without its end, pruning would delete what that declares.
func TestApplyTooLong(t *testing.T) {
	t.Parallel()
	text := "version: 1\nowner: platform\n" + strings.Repeat("# "+strings.Repeat("x", 1022)+"\n", 16<<10) + "clients: {billing: {}}\n"
	path := filepath.Join(t.TempDir(), "clients.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"MINTKEEP_URL=http://127.0.0.1:1", "MINTKEEP_ADMIN_TOKEN=" + strings.Repeat("a", 32)}
	for name, stdin := range map[string]string{path: "", "-": text} {
		got := mintkeep(t, environ, stdin, "apply", "--prune", "--yes", "-f", name)
		if got.code != exitUsage || !strings.Contains(got.stderr, "is larger than 16 MiB") {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
