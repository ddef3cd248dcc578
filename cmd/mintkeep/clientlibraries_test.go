package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/MicahParks/keyfunc/v3" // the program for Go in docs/clients.md imports it, and so does go.mod keep it
	"github.com/go-jose/go-jose/v4"
	_ "github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// A reader copies the programs of docs/clients.md.

const (
	documentedIssuer   = "http://localhost:8080"
	documentedAudience = "https://api.example.com"
)

// blocks are the blocks of code of one language in a text.
func blocks(text, language string) []string {
	var found []string
	for _, block := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		found = append(found, block[1])
	}
	return found
}

// TestClientPrograms runs the programs of docs/clients.md, and oauth4webapi. They get, introspect, verify and revoke a
// token, and they reject a JWT that is not an access token for them.
func TestClientPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts many programs, and the race detector looks into none of them")
	}
	document := text(t, "../../docs/clients.md")
	want := blocks(document, "text")[0]
	for _, program := range []struct {
		name       string
		source     string
		ready      func(t *testing.T, source string) []string
		discovers  bool // it finds the endpoints by itself
		documented bool
	}{
		{"Go", blocks(document, "go")[0], goProgram, false, true},
		{"Node", blocks(document, "js")[0], nodeProgram, true, true},
		{"oauth4webapi", text(t, "testdata/node/oauth4webapi.mjs"), nodeProgram, true, false},
		{"Python", blocks(document, "python")[0], pythonProgram, false, true},
	} {
		t.Run(program.name, func(t *testing.T) {
			t.Parallel()
			iss := startIssuer(t)
			command := program.ready(t, strings.ReplaceAll(program.source, documentedIssuer, iss.URL))
			t.Run("gets, introspects, verifies and revokes a token", func(t *testing.T) {
				got, err := iss.run(t, command)
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("-want +got:\n%s%v", diff, err)
				}
				if discovered := iss.wasAsked("/.well-known/openid-configuration"); discovered != program.discovers {
					t.Errorf("asked for /.well-known/openid-configuration: %v, want %v", discovered, program.discovers)
				}
			})
			if !program.documented {
				return
			}
			t.Run("rejects a JWT that is not an access token for it", func(t *testing.T) {
				for name, got := range iss.runForged(t, command) {
					switch {
					case name == unchanged && got.Stdout != want:
						t.Errorf("the token of the test is rejected: %s", got.Error)
					case name != unchanged && (got.Error == "" || strings.Contains(got.Stdout, "verified") ||
						!strings.Contains(got.Stdout, "introspected")):
						t.Errorf("%s: got %q, %s", name, got.Stdout, got.Error)
					}
				}
			})
		})
	}
}

// TestReadmeProgram runs the README's lines for Go.
func TestReadmeProgram(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the race detector does not look into the program")
	}
	iss := startIssuer(t)
	imports, body, ok := strings.Cut(blocks(text(t, "../../README.md"), "go")[0], "\n\n")
	if !ok {
		t.Fatal("README.md has no Go with an import and statements")
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Count(r.Header.Get("Authorization"), "."))
	}))
	defer api.Close()
	source := fmt.Sprintf(`package main
import ("context"; "io"; "os"; "fmt")
%s
func main() {
	ctx := context.Background()
%s
	answer, err := client.Get(%q)
	if err != nil { fmt.Println(err); return }
	io.Copy(os.Stdout, answer.Body)
}`, imports, body, api.URL)
	command := goProgram(t, strings.ReplaceAll(source, documentedIssuer, iss.URL))
	if got, err := iss.run(t, command); got != "2" || err != nil {
		t.Errorf("got %q, %v, want a JWT with two dots in the Authorization header", got, err)
	}
}

// TestClientLibraryVersions holds the versions in docs/conformance.md to those that are run.
func TestClientLibraryVersions(t *testing.T) {
	_, section, _ := strings.Cut(text(t, "../../docs/conformance.md"), "\n## Client libraries\n")
	section, _, _ = strings.Cut(section, "\n## ")
	run := text(t, "../../go.mod") + strings.ReplaceAll(text(t, "testdata/node/package.json"), `"`, "")
	named := regexp.MustCompile("`([\\w./-]+) (v?\\d[\\d.]*)`").FindAllStringSubmatch(section, -1)
	if len(named) != 6 {
		t.Errorf("got %q, want six libraries with their versions", named)
	}
	for _, library := range named {
		if !regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(library[1]) + `:? ` + regexp.QuoteMeta(library[2]) + `\b`).MatchString(run) {
			t.Errorf("%s is not the version that the tests run", library[0])
		}
	}
}

// TestNodePackages: they come from the public registry, or from the one that npm is told to use, and npm checks their
// digests.
func TestNodePackages(t *testing.T) {
	var lock struct {
		Packages map[string]struct{ Version, Resolved, Integrity string }
	}
	if err := json.Unmarshal([]byte(text(t, "testdata/node/package-lock.json")), &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		public := p.Resolved == "" || strings.HasPrefix(p.Resolved, "https://registry.npmjs.org/")
		if name != "" && (!public || !strings.HasPrefix(p.Integrity, "sha512-")) {
			t.Errorf("%s: resolved %q, integrity %q", name, p.Resolved, p.Integrity)
		}
	}
}

// goProgram builds a program, with the versions of go.mod.
func goProgram(t *testing.T, source string) []string {
	dir := t.TempDir()
	file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "main")
	save(t, file, source)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []string{program}
}

// nodeProgram puts a program beside the packages that it imports.
func nodeProgram(t *testing.T, source string) []string {
	out, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	if err != nil {
		missing(t, "node", "node is not installed")
	}
	folder, err := exec.CommandContext(t.Context(), "../../.ci/npm").Output()
	if err != nil {
		missing(t, "node", fmt.Sprintf("the packages for Node cannot be installed: %v", stderr(err)))
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(strings.TrimSpace(string(folder)), "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "main.mjs")
	save(t, file, source)
	major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	if n, _ := strconv.Atoi(major); n < 20 {
		return []string{"node", "--experimental-global-webcrypto", file} // the libraries are for Node 20; Debian 12 has 18
	}
	return []string{"node", file}
}

// pythonProgram finds a Python with Authlib: Debian's, if it is not the first.
func pythonProgram(t *testing.T, source string) []string {
	file := filepath.Join(t.TempDir(), "main.py")
	save(t, file, source)
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import authlib, requests").Run() == nil {
			return []string{python, file}
		}
	}
	missing(t, "authlib", "Authlib is not installed")
	return nil
}

// missing skips the test, or fails it where MINTKEEP_TEST_REQUIRE names what is missing.
func missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("MINTKEEP_TEST_REQUIRE"), ","), what) {
		t.Fatalf("%s, and MINTKEEP_TEST_REQUIRE asks for it", why)
	}
	t.Skip(why)
}

func save(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// stderr is the error with what the process wrote.
func stderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}

// issuer is a Mintkeep with the clients of docs/clients.md. It can be made to answer with a token and keys of the test.
type issuer struct {
	URL      string
	environ  []string // the clients' secrets
	mintkeep http.Handler

	mu      sync.Mutex
	asked   map[string]bool // paths
	forged  []forged        // what the next programs get
	current *forged         // what the present one has got; nil: Mintkeep answers
	revoked bool
}

// forged is a token, and the key set that is published with it.
type forged struct {
	token string
	keys  jose.JSONWebKeySet
}

func startIssuer(t *testing.T) *issuer {
	front := httptest.NewUnstartedServer(nil)
	t.Cleanup(front.Close)
	iss := &issuer{URL: "http://" + front.Listener.Addr().String(), asked: map[string]bool{}}
	server := processtest.StartReady(t, "MINTKEEP_ISSUER="+iss.URL, "MINTKEEP_ADMIN_TOKEN="+processtest.AdminToken)
	behind, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	iss.mintkeep = httputil.NewSingleHostReverseProxy(behind)
	front.Config.Handler = iss
	front.Start()

	creation := exec.CommandContext(t.Context(), "sh", "-ec", blocks(text(t, "../../docs/clients.md"), "sh")[0])
	creation.Env = append(os.Environ(), "MINTKEEP_URL="+server.URL, "MINTKEEP_ADMIN_TOKEN="+processtest.AdminToken)
	out, err := creation.CombinedOutput()
	secrets := regexp.MustCompile(`mks_\w+`).FindAllString(string(out), -1)
	if err != nil || len(secrets) != 2 {
		t.Fatalf("the clients of docs/clients.md: %v\n%s", err, out)
	}
	iss.environ = append(os.Environ(), "MINTKEEP_CLIENT_SECRET="+secrets[0], "ORDERS_SECRET="+secrets[1])
	return iss
}

// run runs a program. The error has what it wrote to stderr.
func (iss *issuer) run(t *testing.T, command []string) (stdout string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = iss.environ
	out, err := cmd.Output()
	return string(out), stderr(err)
}

// ran is a run of a program.
type ran struct{ Stdout, Error string }

// runForged runs a program once for each forgery, and returns what came of each. A program that an interpreter runs is run
// by a driver, many times in one process: to start the interpreter and to load the libraries takes longer than all else.
func (iss *issuer) runForged(t *testing.T, command []string) map[string]ran {
	t.Helper()
	names, results := slices.Sorted(maps.Keys(forgeries)), map[string]ran{}
	driver := drivers[filepath.Ext(command[len(command)-1])]
	if driver == "" {
		for _, name := range names {
			iss.forge(t, name)
			stdout, err := iss.run(t, command)
			result := ran{Stdout: stdout}
			if err != nil {
				result.Error = err.Error()
			}
			results[name] = result
		}
		return results
	}
	program := command[len(command)-1]
	file := filepath.Join(filepath.Dir(program), "driver"+filepath.Ext(program))
	save(t, file, driver)
	iss.forge(t, names...)
	driven := append(slices.Clone(command[:len(command)-1]), file, program, strconv.Itoa(len(names)))
	stdout, err := iss.run(t, driven)
	var inOrder []ran
	if err == nil {
		err = json.Unmarshal([]byte(stdout), &inOrder)
	}
	if err != nil || len(inOrder) != len(names) || iss.unused() != 0 {
		t.Fatalf("%d runs for %d tokens, of which %d were not fetched: %v\n%s", len(inOrder), len(names), iss.unused(), err, stdout)
	}
	for i, name := range names {
		results[name] = inOrder[i]
	}
	return results
}

// drivers run a program as often as they are told, and write what came of each run. The program is that of the document:
// Node evaluates a module again under another query.
var drivers = map[string]string{
	".mjs": `
import { pathToFileURL } from "node:url";
const [, , program, times] = process.argv;
const write = process.stdout.write;
const runs = [];
for (let i = 0; i < Number(times); i++) {
  const run = { Stdout: "", Error: "" };
  process.stdout.write = (text) => { run.Stdout += text; return true; };
  await import(pathToFileURL(program).href + "?run=" + i).catch((error) => { run.Error = String(error) || "an error"; });
  runs.push(run);
}
process.stdout.write = write;
console.log(JSON.stringify(runs));
`,
	".py": `
import contextlib, io, json, runpy, sys
runs = []
for _ in range(int(sys.argv[2])):
    out, error = io.StringIO(), ""
    with contextlib.redirect_stdout(out):
        try:
            runpy.run_path(sys.argv[1], run_name="__main__")
        except BaseException as e:
            error = repr(e)
    runs.append({"Stdout": out.getvalue(), "Error": error})
print(json.dumps(runs))
`,
}

func (iss *issuer) wasAsked(path string) bool {
	iss.mu.Lock()
	defer iss.mu.Unlock()
	return iss.asked[path]
}

// forge makes it answer with these forgeries, the next one at each request for a token.
func (iss *issuer) forge(t *testing.T, names ...string) {
	t.Helper()
	iss.mu.Lock()
	defer iss.mu.Unlock()
	iss.forged = nil
	for _, name := range names {
		f := newForgery(t, iss.URL)
		forgeries[name](f)
		token, keys := f.sign(t)
		iss.forged = append(iss.forged, forged{token, keys})
	}
}

// unused is how many forgeries were not fetched.
func (iss *issuer) unused() int {
	iss.mu.Lock()
	defer iss.mu.Unlock()
	return len(iss.forged)
}

func (iss *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	iss.mu.Lock()
	defer iss.mu.Unlock()
	iss.asked[r.URL.Path] = true
	var answer any
	if r.URL.Path == "/oauth/token" && len(iss.forged) > 0 {
		iss.current, iss.forged, iss.revoked = &iss.forged[0], iss.forged[1:], false
	}
	switch {
	case iss.current == nil:
	case r.URL.Path == "/oauth/token":
		answer = map[string]any{"access_token": iss.current.token, "token_type": "bearer", "expires_in": 3600}
	case r.URL.Path == "/.well-known/jwks.json":
		answer = iss.current.keys
	case r.URL.Path == "/oauth/introspect":
		answer = map[string]any{"active": !iss.revoked, "client_id": "billing", "scope": "read", "aud": documentedAudience}
	case r.URL.Path == "/oauth/revoke":
		iss.revoked = true
		answer = map[string]any{}
	}
	if answer == nil {
		iss.mintkeep.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// forgery is a JWT before it is signed.
type forgery struct {
	algorithm jose.SignatureAlgorithm
	header    map[jose.HeaderKey]any
	claims    map[string]any
	key       crypto.Signer // it signs
	published []jose.JSONWebKey
}

// unchanged is the forgery that a program must accept.
const unchanged = "nothing is changed"

var forgeries = map[string]func(*forgery){
	unchanged:                 func(*forgery) {},
	"another type":            func(f *forgery) { f.header["typ"] = "JWT" },
	"no type":                 func(f *forgery) { delete(f.header, "typ") },
	"another issuer":          func(f *forgery) { f.claims["iss"] = "https://other.example" },
	"a slash behind":          func(f *forgery) { f.claims["iss"] = f.claims["iss"].(string) + "/" },
	"another audience":        func(f *forgery) { f.claims["aud"] = "https://other.example" },
	"no audience":             func(f *forgery) { delete(f.claims, "aud") },
	"it has expired":          func(f *forgery) { f.claims["exp"] = time.Now().Add(-time.Hour).Unix() },
	"it never expires":        func(f *forgery) { delete(f.claims, "exp") },
	"another scope":           func(f *forgery) { f.claims["scope"] = "write reader" },
	"no scope":                func(f *forgery) { delete(f.claims, "scope") },
	"a key with the same kid": func(f *forgery) { f.key = newECDSA() },
	"an unknown kid":          func(f *forgery) { f.header["kid"] = "unknown" },
	"no signature":            func(f *forgery) { f.algorithm = "none" },
	"another algorithm": func(f *forgery) {
		f.algorithm, f.key, f.header["kid"] = jose.RS256, rsaKey, "of another algorithm"
	},
}

var rsaKey, _ = rsa.GenerateKey(rand.Reader, 2048)

func newECDSA() crypto.Signer {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return key
}

// newForgery is what Mintkeep would issue, but for the key.
func newForgery(t *testing.T, iss string) *forgery {
	t.Helper()
	key, now := newECDSA(), time.Now()
	return &forgery{
		algorithm: jose.ES256, key: key,
		header: map[jose.HeaderKey]any{"typ": "at+jwt", "kid": "of the test"},
		claims: map[string]any{
			"iss": iss, "aud": documentedAudience, "sub": "billing", "client_id": "billing", "scope": "read", "jti": "1",
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		},
		published: []jose.JSONWebKey{
			{Key: key.Public(), KeyID: "of the test", Algorithm: "ES256", Use: "sig"},
			{Key: rsaKey.Public(), KeyID: "of another algorithm", Algorithm: "RS256", Use: "sig"},
		},
	}
}

// sign is the token, and the key set that is published.
func (f *forgery) sign(t *testing.T) (token string, keys jose.JSONWebKeySet) {
	t.Helper()
	keys.Keys = f.published
	claims, err := json.Marshal(f.claims)
	if err != nil {
		t.Fatal(err)
	}
	if f.algorithm == "none" {
		header := maps.Clone(f.header)
		header["alg"] = "none"
		encoded, _ := json.Marshal(header)
		return base64.RawURLEncoding.EncodeToString(encoded) + "." + base64.RawURLEncoding.EncodeToString(claims) + ".", keys
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: f.algorithm, Key: f.key}, &jose.SignerOptions{ExtraHeaders: f.header})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(bytes.Clone(claims))
	if err != nil {
		t.Fatal(err)
	}
	if token, err = signed.CompactSerialize(); err != nil {
		t.Fatal(err)
	}
	return token, keys
}
