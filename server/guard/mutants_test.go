//go:build go1.25

package guard

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var allMutants = flag.Bool("mutants", false, "whether every mutant is tried, or two")

// Each rule of the guard is needed: without it, the model test finds an answer that came too late.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not look into the go command")
	}
	files, err := filepath.Glob("testdata/mutants/*.mutant")
	if err != nil || len(files) == 0 {
		t.Fatal("no mutants", err)
	}
	if !*allMutants {
		files = files[:2]
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".mutant"), func(t *testing.T) {
			overlay := mutate(t, file)
			cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", overlay, "-run", "TestModel", "-model", "2000000", ".")
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Error("the model test does not find it")
			} else if !strings.Contains(string(out), "after its revocation was acknowledged") && !strings.Contains(string(out), "after it has expired") {
				t.Errorf("the model test fails for another reason:\n%s", out)
			}
		})
	}
}

// mutate writes the mutant of a file, and an overlay by which it is compiled in place of that.
func mutate(t *testing.T, mutant string) (overlay string) {
	t.Helper()
	text, err := os.ReadFile(mutant)
	if err != nil {
		t.Fatal(err)
	}
	name, rest, _ := strings.Cut(string(text), "\n--- old\n")
	before, after, found := strings.Cut(rest, "\n--- new\n")
	source, err := os.ReadFile(name)
	if err != nil || !found {
		t.Fatal("the mutant cannot be read", err)
	}
	if strings.Count(string(source), before) != 1 {
		t.Fatalf("%s has %d times:\n%s", name, strings.Count(string(source), before), before)
	}
	folder := t.TempDir()
	changed := filepath.Join(folder, name)
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), before, strings.TrimSuffix(after, "\n"), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	original, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(overlay, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}
