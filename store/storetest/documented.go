package storetest

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// DocumentedRights are the rules that docs/operations.md gives to a user of Redis, without its password: what stands behind
// "ACL SETUSER <user>".
func DocumentedRights(user string) string {
	_, here, _, _ := runtime.Caller(0)
	page, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "docs", "operations.md"))
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
