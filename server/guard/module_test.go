package guard_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A module that imports the guard gets go-jose and nothing else. It needs Go 1.24 and no later one.
func TestModuleThatImportsTheGuard(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not look into the go command")
	}
	guard, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(dir string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	write("go.mod", "module orders\n\ngo 1.24.0\n\nrequire github.com/mintkeep/mintkeep/server/guard v0.0.0\n\nreplace github.com/mintkeep/mintkeep/server/guard => "+guard+"\n")
	write("go.sum", string(sums))
	write("main.go", `package main

import (
	_ "github.com/mintkeep/mintkeep/server/guard"
	_ "github.com/mintkeep/mintkeep/server/guard/guardtest"
	_ "github.com/mintkeep/mintkeep/server/guard/tokens"
)

func main() {}
`)
	run(folder, "build", "-buildvcs=false", "-o", os.DevNull, ".")
	var others []string
	for _, module := range strings.Fields(run(folder, "list", "-m", "-f", "{{.Path}}", "all")) {
		if module != "orders" && module != "github.com/mintkeep/mintkeep/server/guard" {
			others = append(others, module)
		}
	}
	if got := strings.Join(others, " "); got != "github.com/go-jose/go-jose/v4" {
		t.Errorf("the module gets %s", got)
	}
	after, err := os.ReadFile(filepath.Join(folder, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range []string{"gin-gonic", "redis", "prometheus"} {
		if strings.Contains(string(after), library) {
			t.Errorf("go.sum has %s:\n%s", library, after)
		}
	}
	run(guard, "vet", "-stdversion", "./...") // nothing of the standard library that is newer than go.mod says
}
