package main

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// namedTest is a test in a document, with a subtest behind a slash if there is one.
var namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)(?:/([^`]+))?`")

// TestDocumentedTests holds the documents to the tests of the code: each test that they name exists, and so does each
// subtest, by its literal name or the literal that its name begins with.
func TestDocumentedTests(t *testing.T) {
	if testing.Short() {
		t.Skip("it is one call after another: the race detector sees nothing in it")
	}
	texts := testTexts(t)
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, named := range namedTest.FindAllStringSubmatch(string(text), -1) {
			test, subtest := named[1], named[2]
			if known, ok := texts[test]; !ok || subtest != "" && !known[subtest] {
				t.Errorf("%s names %s, which does not exist", filepath.Base(document), named[0])
			}
		}
	}
}

// testTexts are the tests of the module by name, each with the strings in its file; of "an access token, "+format, the
// part without the comma.
func testTexts(t *testing.T) map[string]map[string]bool {
	tests := map[string]map[string]bool{}
	for _, f := range sourceFiles(t) {
		if !f.test() {
			continue
		}
		texts := map[string]bool{}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				text, _ := strconv.Unquote(literal.Value) // the parser accepted it
				texts[strings.TrimRight(text, ", ")] = true
			}
			return true
		})
		for _, declaration := range f.syntax.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Recv == nil {
				name := function.Name.Name
				if tests[name] == nil {
					tests[name] = map[string]bool{}
				}
				maps.Copy(tests[name], texts)
			}
		}
	}
	return tests
}
