package audit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/audit"
)

// Each constant of the type Action is in Actions, which other packages' tests hold their tables to.
func TestActionsAreAllConstants(t *testing.T) {
	file := parse(t, "action.go")
	var declared []audit.Action
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Action" {
			declared = append(declared, audit.Action(text(t, spec.Values[0])))
		}
		return true
	})
	if len(declared) == 0 {
		t.Fatal("action.go declares no action")
	}
	if diff := cmp.Diff(declared, audit.Actions()); diff != "" {
		t.Errorf("the constants and Actions differ (-constants +Actions)\n%s", diff)
	}
	slices.Sort(declared)
	if got := len(slices.Compact(declared)); got != len(audit.Actions()) {
		t.Errorf("%d different actions of %d", got, len(audit.Actions()))
	}
}

// No other file makes an action out of a string, so that none escapes the list.
func TestActionsAreDeclaredHereAlone(t *testing.T) {
	err := fs.WalkDir(os.DirFS("../.."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || name == "server/audit/action.go" {
			return err
		}
		ast.Inspect(parse(t, filepath.Join("../..", name)), func(n ast.Node) bool {
			if pair, ok := n.(*ast.KeyValueExpr); ok {
				key, isName := pair.Key.(*ast.Ident)
				value, isText := pair.Value.(*ast.BasicLit)
				if isName && isText && key.Name == "Action" && value.Kind == token.STRING {
					t.Errorf("%s: the action %s has no constant", name, value.Value)
				}
			}
			if spec, ok := n.(*ast.ValueSpec); ok {
				if typ, ok := spec.Type.(*ast.SelectorExpr); ok && typ.Sel.Name == "Action" {
					t.Errorf("%s declares an action: it belongs into server/audit/action.go", name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func text(t *testing.T, e ast.Expr) string {
	t.Helper()
	literal, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatalf("%v is no string", e)
	}
	s, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
