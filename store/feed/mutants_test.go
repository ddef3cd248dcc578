package feed

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var allMutants = flag.Bool("mutants", false, "TestMutants tries every mutant, not two of them")

// TestMutants breaks one rule of the feed at a time, with a patch of testdata/mutants: the other tests of this package must
// fail then. A patch that no longer applies belongs to a rule that was changed: make it again.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("it is left out of the step with the race detector, for its time; the other steps run it")
	}
	patches, err := filepath.Glob("testdata/mutants/*.patch")
	if err != nil || len(patches) == 0 {
		t.Fatalf("%d patches, %v", len(patches), err)
	}
	for _, patch := range patches {
		name := strings.TrimSuffix(filepath.Base(patch), ".patch")
		t.Run(name, func(t *testing.T) {
			overlay := applyMutant(t, patch)
			if !*allMutants && name != "no-mark-at-a-new-id" && name != "more-forgets" {
				return // that the patch applies was tested
			}
			tests := filepath.Join(t.TempDir(), "feed.test")
			if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", tests, ".").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			units := exec.CommandContext(t.Context(), tests, "-test.skip=TestMutants|TestModel", "-test.failfast", "-test.timeout=5m")
			model := exec.CommandContext(t.Context(), tests, "-test.run=TestModel", "-test.timeout=5m",
				"-rapid.checks=400", "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=1ms")
			if !fails(t, units) && !fails(t, model) {
				t.Error("no test fails")
			}
		})
	}
}

func fails(t *testing.T, tests *exec.Cmd) bool {
	t.Helper()
	out, err := tests.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "--- FAIL: ") && !strings.Contains(string(out), "panic: ") {
		t.Fatalf("%v\n%s", err, out)
	}
	return err != nil
}

// applyMutant writes the changed file and the overlay that names it.
func applyMutant(t *testing.T, patch string) (overlay string) {
	t.Helper()
	text, err := os.ReadFile(patch)
	if err != nil {
		t.Fatal(err)
	}
	var file string
	var before, after strings.Builder
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "@@ ") && before.Len() == 0:
		case strings.HasPrefix(line, "+++ "):
			file = filepath.Base(strings.TrimSpace(line))
		case line[0] == '-':
			before.WriteString(line[1:])
		case line[0] == '+':
			after.WriteString(line[1:])
		case line[0] == ' ':
			before.WriteString(line[1:])
			after.WriteString(line[1:])
		default:
			t.Fatalf("a mutant is one hunk: %q", line)
		}
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), before.String()); n != 1 {
		t.Fatalf("the patch fits %d places of %s, want 1", n, file)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, file)
	overlay = filepath.Join(dir, "overlay.json")
	replace, _ := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	for name, text := range map[string]string{changed: strings.Replace(string(source), before.String(), after.String(), 1), overlay: string(replace)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}
