package main

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// mcpPlace is a Mintkeep with the clients of docs/mcp.md, and the address of the MCP server that they call.
type mcpPlace struct {
	*published

	document string // with the addresses of this place
	url      string // of the MCP server
	metadata string // the address of its RFC 9728 metadata
	secrets  map[string]string
}

func newMCPPlace(t *testing.T) *mcpPlace {
	t.Helper()
	p := &mcpPlace{published: startPublished(t)}
	_, port, _ := net.SplitHostPort(storetest.FreeAddr(t))
	p.document = strings.NewReplacer(documentedIssuer, p.issuer, "3000", port).Replace(text(t, "../../docs/mcp.md"))
	p.url = "http://localhost:" + port + "/mcp"
	p.metadata = "http://localhost:" + port + "/.well-known/oauth-protected-resource/mcp"

	out := p.shell(t, blocks(p.document, "sh")[0]+"mintkeep client create --id other --scope weather --audience https://other.example\n")
	secrets := regexp.MustCompile(`mks_\w+`).FindAllString(out, -1)
	if len(secrets) != 3 {
		t.Fatalf("the clients of docs/mcp.md: %s", out)
	}
	p.env = append(p.env, "WEATHER_SECRET="+secrets[0], "AGENT_SECRET="+secrets[1])
	p.secrets = map[string]string{"agent": secrets[1], "other": secrets[2]}
	return p
}

// programs are those of one language under a heading.
func (p *mcpPlace) programs(t *testing.T, heading, language string) []string {
	t.Helper()
	return blocks(section(t, p.document, heading), language)
}

// start runs a program in the background until the test is over, and returns what it writes to stdout. It waits until the
// MCP server answers.
func (p *mcpPlace) start(t *testing.T, command ...string) *processtest.Output {
	t.Helper()
	stdout, log := &processtest.Output{}, &processtest.Output{}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, p.env, stdout, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	processtest.Eventually(t, processtest.Patience, func() bool {
		answer, err := http.Get(p.metadata)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, log.String)
	return stdout
}

// token fetches a token for a client with a secret. more are flags.
func (p *mcpPlace) token(t *testing.T, id string, more ...string) (string, error) {
	t.Helper()
	environ := []string{"MINTKEEP_URL=" + p.URL, "MINTKEEP_CLIENT_ID=" + id, "MINTKEEP_CLIENT_SECRET=" + p.secrets[id]}
	r := mintkeep(t, environ, "", append([]string{"token"}, more...)...)
	if r.code != 0 {
		return "", errors.New(r.stderr)
	}
	return strings.TrimSpace(r.stdout), nil
}

// call sends the first message of MCP to the server.
func (p *mcpPlace) call(t *testing.T, token string) *http.Response {
	t.Helper()
	const message = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{` + //nolint:misspell // MCP's word
		`"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url, strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer
}

// check holds an MCP server of docs/mcp.md to what it must do.
func (p *mcpPlace) check(t *testing.T) {
	t.Helper()
	answer, err := http.Get(p.metadata)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var metadata struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&metadata); err != nil || metadata.Resource != p.url || !slices.Equal(metadata.Servers, []string{p.issuer}) {
		t.Errorf("its metadata: %+v, %v", metadata, err)
	}
	if r := p.call(t, ""); r.StatusCode != http.StatusUnauthorized ||
		!strings.Contains(r.Header.Get("WWW-Authenticate"), `resource_metadata="`+p.metadata+`"`) {
		t.Errorf("without a token: %d, %q", r.StatusCode, r.Header.Get("WWW-Authenticate"))
	}
	other, err := p.token(t, "other")
	if err != nil {
		t.Fatal(err)
	}
	if r := p.call(t, other); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token for another server: %d", r.StatusCode)
	}
	mine, err := p.token(t, "agent")
	if err != nil {
		t.Fatal(err)
	}
	if r := p.call(t, mine); r.StatusCode != http.StatusOK {
		t.Errorf("a token for it: %d", r.StatusCode)
	}
	form := url.Values{"token": {mine}, "client_id": {"agent"}, "client_secret": {p.secrets["agent"]}}
	if r := p.Call(http.MethodPost, "/oauth/revoke", "application/x-www-form-urlencoded", form.Encode(), ""); r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if r := p.call(t, mine); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", r.StatusCode)
	}
}

// mcpDriver runs the MCP server, and the clients one after the other, in one process, and writes what came of each client.
const mcpDriver = `
const [, , metadata, ...clients] = process.argv;
await import("./server.mjs");
while (!(await fetch(metadata).catch(() => false))) await new Promise((done) => setTimeout(done, 10));
const write = process.stdout.write;
const runs = [];
for (const client of clients) {
  const run = { Stdout: "", Error: "" };
  process.stdout.write = (text) => { run.Stdout += text; return true; };
  await import(client).catch((error) => { run.Error = String(error) || "an error"; });
  runs.push(run);
}
process.stdout.write = write;
console.log(JSON.stringify(runs));
`

// TestMCP runs the programs of docs/mcp.md: a client that has an SDK calls a tool of an MCP server that introspects at
// Mintkeep, and the server learns which client calls.
func TestMCP(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts many programs, and the race detector looks into none of them")
	}
	t.Parallel()
	p := newMCPPlace(t)
	want := blocks(p.document, "text")[0]
	t.Run("TypeScript, by secret and by private key", func(t *testing.T) {
		command := nodeProgram(t, mcpDriver)
		folder := filepath.Dir(command[len(command)-1])
		clients := p.programs(t, "### Client in TypeScript", "js")
		for file, source := range map[string]string{
			"server.mjs": p.programs(t, "### Server in TypeScript", "js")[0],
			"client.mjs": clients[0], "secret.mjs": clients[1], "key.mjs": clients[2],
			"keyed.mjs": strings.ReplaceAll(clients[0], "./secret.mjs", "./key.mjs"),
		} {
			save(t, filepath.Join(folder, file), source)
		}
		stdout := p.start(t, append(command, p.metadata, "./client.mjs", "./keyed.mjs")...)
		processtest.Eventually(t, processtest.Patience, func() bool { return strings.HasSuffix(stdout.String(), "\n") }, stdout.String)
		var got []programRun
		if err := json.Unmarshal([]byte(stdout.String()), &got); err != nil {
			t.Fatalf("%v in %s", err, stdout)
		}
		if diff := cmp.Diff([]programRun{{Stdout: want}, {Stdout: "keyed-" + want}}, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		p.check(t)
	})
	t.Run("Go, by secret", func(t *testing.T) {
		server, client := mcpGoPrograms(t, p)
		p.start(t, server)
		if got, err := p.run(t, client); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		p.check(t)
	})
	t.Run("Python, as the SDK writes its requests", func(t *testing.T) { testMCPPython(t, p) })
	t.Run("a resource is compared byte for byte", func(t *testing.T) {
		if _, err := p.token(t, "agent", "--resource", p.url); err != nil {
			t.Errorf("%s: %v", p.url, err)
		}
		for _, resource := range []string{p.url + "/", strings.TrimSuffix(p.url, "/mcp"), "https://other.example"} {
			if got, err := p.token(t, "agent", "--resource", resource); err == nil || !strings.Contains(err.Error(), "invalid_target") {
				t.Errorf("%s: got %q, %v, want invalid_target", resource, got, err)
			}
		}
	})
}

// TestMCPVersions holds the versions in docs/conformance.md to those that are run.
func TestMCPVersions(t *testing.T) {
	part := section(t, text(t, "../../docs/conformance.md"), "## MCP")
	run := text(t, "testdata/mcp/go.mod") + strings.ReplaceAll(text(t, "testdata/node/package.json"), `"`, "")
	named := regexp.MustCompile("`([@\\w./-]+/[\\w-]+) (v?\\d[\\w.-]*)`").FindAllStringSubmatch(part, -1)
	if len(named) != 3 {
		t.Errorf("got %q, want three libraries with their versions", named)
	}
	for _, library := range named {
		if !regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(library[1]) + `:? ` + regexp.QuoteMeta(library[2]) + `[,\s]`).MatchString(run) {
			t.Errorf("%s is not the version that the tests run", library[0])
		}
	}
}

// mcpGoPrograms builds the MCP server and its client with the versions of testdata/mcp, which is a module of its own.
func mcpGoPrograms(t *testing.T, p *mcpPlace) (server, client string) {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{"go.mod", "go.sum"} {
		save(t, filepath.Join(dir, file), text(t, "testdata/mcp/"+file))
	}
	for name, heading := range map[string]string{"server": "### Server in Go", "client": "### Client in Go"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		save(t, filepath.Join(dir, name, "main.go"), p.programs(t, heading, "go")[0])
	}
	bin := filepath.Join(dir, "bin") + string(filepath.Separator)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./server", "./client")
	build.Dir = dir
	out, err := build.CombinedOutput()
	switch {
	case err != nil && regexp.MustCompile(`dial tcp|no such host|module lookup disabled`).Match(out):
		missing(t, "go-modules", "the module proxy cannot be reached")
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
	return bin + "server", bin + "client"
}

// testMCPPython sends the requests of the Python SDK (mcp/client/auth/extensions/client_credentials.py), which is not
// installed: the version 1.29 writes a slash behind the issuer, the version 2 does not.
func testMCPPython(t *testing.T, p *mcpPlace) {
	keys, err := json.Marshal(map[string]any{
		"client_id": "python", "scope": "weather", "audience": []string{p.url},
		"jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: testKeys().rsa.Public()}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := p.Call(http.MethodPost, "/admin/clients", "application/json", string(keys), "Bearer "+processtest.AdminToken); r.Status != http.StatusCreated {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	for version, audience := range map[string]string{"1.29": p.issuer + "/", "2.3": p.issuer} {
		now := time.Now().Unix()
		assertion := signPyJWT(t, testKeys().rsa, map[string]any{
			"iss": "python", "sub": "python", "aud": audience, "exp": now + 300, "iat": now, "jti": rand.Text(),
		})
		form := "grant_type=client_credentials&client_assertion=" + assertion +
			"&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer" +
			"&resource=" + url.QueryEscape(p.url) + "&scope=weather"
		r := p.Call(http.MethodPost, "/oauth/token", "application/x-www-form-urlencoded", form, "")
		if r.Status != http.StatusOK {
			t.Errorf("PrivateKeyJWTOAuthProvider of %s: %d %s", version, r.Status, r.Body)
		}
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("agent:"+p.secrets["agent"])) // with nothing to encode
	r := p.Call(http.MethodPost, "/oauth/token", "application/x-www-form-urlencoded",
		"grant_type=client_credentials&resource="+url.QueryEscape(p.url)+"&scope=weather", basic)
	if r.Status != http.StatusOK {
		t.Errorf("ClientCredentialsOAuthProvider: %d %s", r.Status, r.Body)
	}
}

// signPyJWT is jwt.encode of PyJWT with RS256.
func signPyJWT(t *testing.T, key crypto.Signer, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}
