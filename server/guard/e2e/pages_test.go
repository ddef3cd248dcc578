package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "whether the programs on the pages are rewritten")

const root = "../../.."

// A block of Go on a page is generated: the line before it names a file that is compiled and run, and a function or "code",
// which is all below the imports.
var generated = regexp.MustCompile("(?ms)^<!-- go: (\\S+)(?: (\\S+))? -->\n```go\n(.*?)^```$")

// The programs on the pages are those that the tests of this module run.
func TestPrograms(t *testing.T) {
	for page, wanted := range map[string]int{"docs/guard.md": 6, "README.md": 1} {
		path := filepath.Join(root, page)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		fresh := generated.ReplaceAllFunc(text, func(block []byte) []byte {
			found++
			m := generated.FindSubmatch(block)
			source, err := excerpt(filepath.Join(root, string(m[1])), string(m[2]))
			if err != nil {
				t.Errorf("%s: %s: %v", page, m[1], err)
				return block
			}
			return fmt.Appendf(nil, "<!-- go: %s -->\n```go\n%s```", bytes.Join(bytes.Fields(bytes.Join(m[1:3], []byte(" "))), []byte(" ")), source)
		})
		if found < wanted {
			t.Errorf("%s has %d programs that are generated, want %d", page, found, wanted)
		}
		if all := bytes.Count(text, []byte("```go\n")); page != "README.md" && all != found {
			t.Errorf("%s has %d programs, of which %d are generated", page, all, found)
		}
		if bytes.Equal(text, fresh) {
			continue
		}
		if !*update {
			t.Errorf("%s does not have the programs that are run: go test . -run Programs -update", page)
		} else if err := os.WriteFile(path, fresh, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// excerpt is a file, all below its imports, or one of its functions; with ".body", what is in the function's braces.
func excerpt(path, what string) (string, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if tidy, err := format.Source(source); err != nil || !bytes.Equal(tidy, source) {
		return "", fmt.Errorf("it is not formatted: %w", err)
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, source, parser.ParseComments)
	if err != nil {
		return "", err
	}
	at := func(p token.Pos) int { return set.Position(p).Offset }
	name, body := strings.CutSuffix(what, ".body")
	last := 0
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			if d.Tok == token.IMPORT {
				last = at(d.End())
			}
		case *ast.FuncDecl:
			switch {
			case d.Name.Name != name:
			case body:
				inside := string(source[at(d.Body.Lbrace)+2 : at(d.Body.Rbrace)])
				return strings.ReplaceAll("\n"+inside, "\n\t", "\n")[1:], nil
			case d.Doc != nil:
				return string(source[at(d.Doc.Pos()):at(d.End())]) + "\n", nil
			default:
				return string(source[at(d.Pos()):at(d.End())]) + "\n", nil
			}
		}
	}
	switch what {
	case "":
		return string(source), nil
	case "code":
		return strings.TrimLeft(string(source[last:]), "\n"), nil
	}
	return "", fmt.Errorf("it has no function %s", name)
}
