package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	_ "github.com/MicahParks/keyfunc/v3" // the programs for Go in docs/clients.md import these, and so does go.mod keep them
	_ "github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
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
	t.Parallel()
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
	programs := blocks(text(t, "../../README.md"), "go")
	at := slices.IndexFunc(programs, func(program string) bool { return strings.HasPrefix(program, "import ") })
	if at < 0 {
		t.Fatal("README.md has no Go with an import and statements")
	}
	imports, body, _ := strings.Cut(programs[at], "\n\n")
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
