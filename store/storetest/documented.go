package storetest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DocumentedRights are the rules that docs/operations.md gives to a user of Redis, without its password: what stands behind
// "ACL SETUSER <user>".
func DocumentedRights(user string) string {
	page, err := os.ReadFile(filepath.Join(moduleDir(), "docs", "operations.md"))
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(page)) {
		if rules, ok := strings.CutPrefix(strings.TrimSpace(line), "ACL SETUSER "+user+" on "); ok {
			words := slices.DeleteFunc(strings.Fields(rules), func(word string) bool { return strings.HasPrefix(word, ">") })
			return strings.Join(words, " ")
		}
	}
	panic("docs/operations.md has no ACL SETUSER " + user)
}

// moduleDir is the directory of go.mod. A test runs in the directory of its package, and a binary that was built with
// -trimpath does not know where its sources are.
func moduleDir() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	panic("no go.mod above the directory of the test")
}
