package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The table of docs/architecture.md names every package of the module and nothing else, and every path in the text
// exists.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	document, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var built, named []string
	for _, f := range sourceFiles(t) {
		built = append(built, f.pkg)
	}
	slices.Sort(built)
	built = slices.Compact(built)
	for _, row := range regexp.MustCompile("(?m)^\\| `((?:cmd|config|docs|server|store)[^`]*)` \\|").FindAllSubmatch(document, -1) {
		named = append(named, string(row[1]))
	}
	slices.Sort(named)
	if diff := cmp.Diff(built, named); diff != "" {
		t.Errorf("the table of docs/architecture.md is not the list of packages (-built +named):\n%s", diff)
	}
	for _, path := range regexp.MustCompile("`((?:cmd|config|docs|server|store)(?:/[^` ]*)?)`").FindAllSubmatch(document, -1) {
		if found, err := filepath.Glob(filepath.Join("../..", string(path[1]))); err != nil || len(found) == 0 {
			t.Errorf("docs/architecture.md names %s, which does not exist", path[1])
		}
	}
}
