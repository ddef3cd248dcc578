package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// section is the part of a document under a heading, up to the next one of its level.
func section(t *testing.T, document, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(document, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("the document has no heading %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	part, _, _ := strings.Cut(rest, "\n"+level+" ")
	return part
}

// published is a Mintkeep whose clients find its endpoints in its metadata. Programs are run in dir.
type published struct {
	*processtest.Server

	issuer string
	dir    string
	env    []string // of the programs
}

func startPublished(t *testing.T, environ ...string) *published {
	t.Helper()
	s := processtest.StartReady(t, append(environ, "MINTKEEP_ADMIN_TOKEN="+processtest.AdminToken)...)
	var metadata struct{ Issuer string }
	if err := json.Unmarshal([]byte(s.Get("/.well-known/oauth-authorization-server").Body), &metadata); err != nil || metadata.Issuer == "" {
		t.Fatalf("no issuer in the metadata: %v", err)
	}
	p := &published{Server: s, issuer: metadata.Issuer, dir: t.TempDir()}
	p.env = append(os.Environ(), "MINTKEEP_URL="+s.URL, "MINTKEEP_ADMIN_TOKEN="+processtest.AdminToken)
	return p
}

// run runs a command, and returns what it wrote to stdout. The error has what it wrote to stderr.
func (p *published) run(t *testing.T, command ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.Output()
	return string(out), stderr(err)
}

// shell runs commands of a document.
func (p *published) shell(t *testing.T, commands string) string {
	t.Helper()
	out, err := p.run(t, "sh", "-ec", commands)
	if err != nil {
		t.Fatalf("%s\n%v", commands, err)
	}
	return out
}

// drive runs programs in one process of an interpreter, one after the other: to start it and to load the libraries takes
// longer than all else. The driver writes what came of each.
func (p *published) drive(t *testing.T, interpreter []string, driver string, programs ...string) []programRun {
	t.Helper()
	extension := filepath.Ext(interpreter[len(interpreter)-1])
	folder := filepath.Dir(interpreter[len(interpreter)-1])
	save(t, filepath.Join(folder, "driver"+extension), driver)
	command := append(slices.Clone(interpreter[:len(interpreter)-1]), filepath.Join(folder, "driver"+extension))
	for i, source := range programs {
		file := filepath.Join(folder, "program"+string(rune('0'+i))+extension)
		save(t, file, source)
		command = append(command, file)
	}
	out, err := p.run(t, command...)
	var runs []programRun
	if err == nil {
		err = json.Unmarshal([]byte(out), &runs)
	}
	if err != nil || len(runs) != len(programs) {
		t.Fatalf("%d runs of %d programs: %v\n%s", len(runs), len(programs), err, out)
	}
	return runs
}

// programRun is what came of a program.
type programRun struct{ Stdout, Error string }

const nodeDriver = `
import { pathToFileURL } from "node:url";
const write = process.stdout.write;
const runs = [];
for (const program of process.argv.slice(2)) {
  const run = { Stdout: "", Error: "" };
  process.stdout.write = (text) => { run.Stdout += text; return true; };
  await import(pathToFileURL(program).href).catch((error) => { run.Error = String(error) || "an error"; });
  runs.push(run);
}
process.stdout.write = write;
console.log(JSON.stringify(runs));
`

const pythonDriver = `
import contextlib, io, json, runpy, sys
runs = []
for program in sys.argv[1:]:
    out, error = io.StringIO(), ""
    with contextlib.redirect_stdout(out):
        try:
            runpy.run_path(program, run_name="__main__")
        except BaseException as e:
            error = repr(e)
    runs.append({"Stdout": out.getvalue(), "Error": error})
print(json.dumps(runs))
`

// TestPrivateKeyPrograms runs the programs and commands of docs/clients.md for a client with a private key. They fetch,
// introspect and revoke a token, each time with a new assertion.
func TestPrivateKeyPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts many programs, and the race detector looks into none of them")
	}
	t.Parallel()
	part := section(t, text(t, "../../docs/clients.md"), "## Private keys")
	want, commands := blocks(part, "text")[0], blocks(part, "sh")
	p := startPublished(t)
	if out := p.shell(t, commands[0]); strings.Contains(out, "mks_") {
		t.Errorf("the client with a key has a secret as well:\n%s", out)
	}
	programs := func(language string) (list []string) {
		for _, source := range blocks(part, language) {
			list = append(list, strings.ReplaceAll(source, documentedIssuer, p.issuer))
		}
		return list
	}

	t.Run("the client has a key of openssl instead", func(t *testing.T) {
		if _, err := exec.LookPath("openssl"); err != nil {
			missing(t, "openssl", "openssl is not installed")
		}
		if out := p.shell(t, commands[1]); strings.Count(out, " ES256 ") != 1 {
			t.Errorf("got %s, want one key", out)
		}
	})
	t.Run("the command fetches a token", func(t *testing.T) {
		if token := p.shell(t, commands[3]); strings.Count(token, ".") != 2 {
			t.Errorf("got %q, want a JWT", token)
		}
	})
	t.Run("curl fetches a token with an assertion of the command", func(t *testing.T) {
		if _, err := exec.LookPath("curl"); err != nil {
			missing(t, "curl", "curl is not installed")
		}
		if answer := p.shell(t, strings.ReplaceAll(commands[4], documentedIssuer, p.issuer)); !strings.Contains(answer, `"access_token":"`) {
			t.Errorf("got %s", answer)
		}
	})
	t.Run("Go", func(t *testing.T) {
		if got, err := p.run(t, goProgram(t, programs("go")[0])...); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
	t.Run("Node: openid-client, oauth4webapi and jose", func(t *testing.T) {
		for i, got := range p.drive(t, nodeProgram(t, ""), nodeDriver, programs("js")...) {
			if diff := cmp.Diff(programRun{Stdout: want}, got); diff != "" {
				t.Errorf("the program %d for Node (-want +got):\n%s", i+1, diff)
			}
		}
	})
	t.Run("Python", func(t *testing.T) { testAuthlib(t, p, programs("python")[0], want) })
}

// testAuthlib runs the program for Python, and what Authlib does by default: it writes the token endpoint as the audience,
// which is accepted only by a server with MINTKEEP_ASSERTION_AUDIENCE=issuer,token_endpoint.
func testAuthlib(t *testing.T, p *published, program, want string) {
	byDefault := strings.Replace(program, `PrivateKeyJWT(ISSUER, `, `PrivateKeyJWT(ISSUER + "/oauth/token", `, 1)
	if byDefault == program {
		t.Fatal("the program has another line for the audience")
	}
	interpreter := pythonProgram(t, "")
	lenient := startPublished(t, "MINTKEEP_ASSERTION_AUDIENCE=issuer,token_endpoint")
	var client struct{ JWKS json.RawMessage }
	answer := p.Call(http.MethodGet, "/admin/clients/billing", "", "", "Bearer "+processtest.AdminToken)
	if err := json.Unmarshal([]byte(answer.Body), &client); err != nil || client.JWKS == nil {
		t.Fatalf("the client's keys: %v\n%s", err, answer.Body)
	}
	save(t, filepath.Join(lenient.dir, "keys.json"), string(client.JWKS))
	lenient.shell(t, "mintkeep client create --id billing --scope 'read write' --jwks-file keys.json")
	there := func(source string) string { return strings.ReplaceAll(source, p.issuer, lenient.issuer) }

	got := p.drive(t, interpreter, pythonDriver, program, byDefault, there(program), there(byDefault))
	for i, accepted := range []bool{true, false, true, true} {
		if accepted && (got[i].Stdout != want || got[i].Error != "") || !accepted && !strings.Contains(got[i].Error, "invalid_client") {
			t.Errorf("the program %d for Python: got %+v, want accepted %v", i+1, got[i], accepted)
		}
	}
}
