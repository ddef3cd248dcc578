package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The plan of the house: cmd → server → features → use cases → kit → store → config. Each package says what of
// ours it may import; a new one takes its place here first. Features never import each other, and use cases neither.
// The kit has three floors: the lower are for the upper too.
var (
	below    = []string{"store", "store/feed", "store/redisdb", "config"}
	lowerKit = []string{"server/adminapi", "server/credential", "server/fdreserve", "server/jwks", "server/metrics", "server/overload", "server/scope", "server/seal", "server/tracing", "server/web"}
	upperKit = []string{"server/assertion", "server/audit", "server/bearer", "server/invite", "server/password", "server/remotekeys", "server/signing"}
	kit      = slices.Concat(lowerKit, upperKit)
	useCases = []string{"server/clients", "server/guards", "server/keys", "server/signingkeys", "server/users"}
	features = []string{"server/admin", "server/api", "server/dashboard", "server/oauth"}

	plan = map[string][]string{
		"config":             {},
		"store/redisdb":      {"config"},
		"store/rollback":     {"store/redisdb"},
		"store/feed":         {"store/redisdb"},
		"store":              {"store/rollback", "store/feed", "store/redisdb", "config"},
		"store/storetest":    {"store", "store/redisdb", "config"},
		"server/credential":  below,
		"server/fdreserve":   {},
		"server/jwks":        {},
		"server/metrics":     slices.Concat(below, []string{"server/web"}),
		"server/scope":       {},
		"server/seal":        {},
		"server/overload":    {},
		"server/tracing":     below,
		"server/web":         slices.Concat(below, []string{"server/adminapi", "server/overload", "server/seal", "server/tracing"}),
		"server/adminapi":    {},
		"server/assertion":   {"server/jwks"},
		"server/audit":       slices.Concat(below, lowerKit),
		"server/bearer":      slices.Concat(below, lowerKit, []string{"server/audit"}),
		"server/invite":      slices.Concat(below, lowerKit),
		"server/password":    slices.Concat(below, lowerKit),
		"server/remotekeys":  slices.Concat(below, lowerKit),
		"server/signing":     slices.Concat(below, lowerKit),
		"server/clients":     slices.Concat(below, kit),
		"server/guards":      slices.Concat(below, kit),
		"server/keys":        slices.Concat(below, kit),
		"server/signingkeys": slices.Concat(below, kit),
		"server/users":       slices.Concat(below, kit),
		"server/admin":       slices.Concat(below, kit, useCases),
		"server/dashboard":   slices.Concat(below, kit, useCases),
		"server/api":         slices.Concat(below, kit, useCases),
		"server/oauth":       slices.Concat(below, kit, useCases),
		"server/doctor":      slices.Concat(below, []string{"store/feed", "server/audit", "server/guards", "server/password", "server/remotekeys", "server/seal", "server/signing"}),
		"server":             slices.Concat(below, kit, useCases, features, []string{"server/declare"}),
		"server/declare":     slices.Concat(below, []string{"server/adminapi", "server/audit", "server/clients", "server/users", "server/web"}),
		"server/fence":       slices.Concat(below, lowerKit, []string{"server/audit", "server/invite"}),
		"server/rekey":       slices.Concat(below, lowerKit, []string{"server/audit", "server/password", "server/signing"}),
		"server/servertest":  slices.Concat(below, kit, useCases, features, []string{"server", "store/storetest"}),
		"cmd/mintkeep":       slices.Concat(below, kit, useCases, features, []string{"server", "server/declare", "server/doctor", "server/fence", "server/rekey"}),

		// The guard's own module: a service imports it without Mintkeep.
		"server/guard":                    {},
		"server/guard/guardtest":          {"server/guard"},
		"server/guard/ginguard":           {"server/guard"},
		"server/guard/tokens":             {},
		"server/guard/cmd/mintkeep-guard": {"server/guard"},
		"server/guard/e2e":                {},
		"server/guard/schemas":            {},

		"cmd/mintkeep/deploy":         {},
		"cmd/mintkeep/load":           {},
		"docs/deploy/helm/test":       {}, // a module of its own
		"cmd/mintkeep/processtest":    {"store/storetest"},
		"cmd/mintkeep/faults":         {},
		"cmd/mintkeep/faults/history": {},
		"server/tracing/tracingtest":  {},
	}
)

// A library that is at home in a few packages, their tests included, and nowhere else. A home that ends
// with a slash is everything below it.
var homes = []struct {
	library string
	homes   []string
}{
	{"github.com/gin-gonic/", []string{"server", "server/"}},
	{"google.golang.org/grpc", []string{"server/guard/e2e"}},
	{"github.com/go-oauth2/", []string{"server/oauth"}},
	{"github.com/redis/go-redis/", []string{"store", "store/"}},
	{"github.com/alicebob/miniredis/", []string{"store/redisdb", "store/storetest"}},
	{"github.com/prometheus/", []string{"server/metrics"}},
	{"github.com/Shopify/toxiproxy/", []string{"store/storetest"}},
	{"go.opentelemetry.io/", []string{"server/tracing", "server/tracing/"}},
	{"code.dny.dev/ssrf", []string{"server/remotekeys"}},
	{"github.com/alecthomas/kong", []string{"cmd/mintkeep"}},
	{"go.yaml.in/yaml", []string{"server/declare", "cmd/mintkeep"}}, // the command's tests
}

const modulePath = "github.com/mintkeep/mintkeep/"

func TestImportsPointDown(t *testing.T) {
	for _, f := range sourceFiles(t) {
		may, placed := plan[f.pkg]
		if !placed {
			t.Errorf("%s: the package has no place in the plan", f.name)
			continue
		}
		for _, imported := range f.imports() {
			ours, ok := strings.CutPrefix(imported, modulePath)
			if ok && !f.test() && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s, which is not below it", f.name, ours)
			}
		}
	}
}

func TestLibrariesStayAtHome(t *testing.T) {
	for _, f := range sourceFiles(t) {
		for _, imported := range f.imports() {
			for _, h := range homes {
				if strings.HasPrefix(imported, h.library) && !f.livesIn(h.homes) {
					t.Errorf("%s imports %s, which is for %s", f.name, imported, strings.Join(h.homes, " and "))
				}
			}
			if f.livesIn([]string{"store", "store/"}) && !f.test() && imported == "net/http" {
				t.Errorf("%s imports %s: the store knows nothing of HTTP", f.name, imported)
			}
		}
	}
}

// TestUseCasesKnowNoHTTP: what may be done is the same by JSON and on a page.
func TestUseCasesKnowNoHTTP(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if f.test() || !slices.Contains(useCases, f.pkg) {
			continue
		}
		for _, imported := range f.imports() {
			if imported == "net/http" || strings.HasPrefix(imported, "github.com/gin-gonic/") {
				t.Errorf("%s imports %s, which is for the features", f.name, imported)
			}
		}
	}
}

// What walks all keys of Redis is for operators' tools: no route may lead there.
func TestWalksAreForTools(t *testing.T) {
	walks := []string{"RevokeAllTokens", "RevokeAllSessions", "ListAll", "EachClient", "EachUserPage", "CountRecords"}
	for _, f := range sourceFiles(t) {
		if f.test() || f.livesIn([]string{"store", "server/fence", "server/rekey"}) || f.name == "cmd/mintkeep/fence.go" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(walks, s.Sel.Name) {
				t.Errorf("%s uses %s, which walks all keys", f.name, s.Sel.Name)
			}
			return true
		})
	}
}

// Only main reads the environment and exits the process; the rest is given what it needs. The exception
// is what the tests are told about the machine.
func TestEnvironmentAndExitAreForMain(t *testing.T) {
	kept := map[string]bool{
		"os.Getenv": true, "os.LookupEnv": true, "os.Environ": true, "os.ExpandEnv": true, "os.Exit": true,
		"log.Fatal": true, "log.Fatalf": true, "log.Fatalln": true,
	}
	for _, f := range sourceFiles(t) {
		if f.test() || f.livesIn([]string{"cmd/", "server/guard/cmd/", "store/storetest"}) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && kept[x.Name+"."+s.Sel.Name] {
					t.Errorf("%s uses %s.%s, which is for cmd", f.name, x.Name, s.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestPlanIsBuilt keeps the plan from naming what is not there.
func TestPlanIsBuilt(t *testing.T) {
	built := map[string]bool{}
	for _, f := range sourceFiles(t) {
		built[f.pkg] = true
	}
	for _, pkg := range slices.Sorted(maps.Keys(plan)) {
		if !built[pkg] {
			t.Errorf("there is no package %s", pkg)
		}
	}
}

// sourceFile is one file of the module; pkg is its folder.
type sourceFile struct {
	name, pkg string
	syntax    *ast.File
}

func (f sourceFile) test() bool { return strings.HasSuffix(f.name, "_test.go") }

func (f sourceFile) imports() []string {
	var paths []string
	for _, spec := range f.syntax.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value) // the parser accepted it
		paths = append(paths, imported)
	}
	return paths
}

func (f sourceFile) livesIn(homes []string) bool {
	return slices.ContainsFunc(homes, func(home string) bool {
		return f.pkg == home || strings.HasSuffix(home, "/") && strings.HasPrefix(f.pkg, home)
	})
}

// sourceFiles is the module, parsed once.
func sourceFiles(t *testing.T) []sourceFile {
	t.Helper()
	files, err := parsedModule()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// parsedModule parses the module. It does so itself rather than by asking go list, because the cache of
// test results knows which files this process has opened, and not what a child of it has.
var parsedModule = sync.OnceValues(func() (files []sourceFile, err error) {
	const root = "../.."
	err = fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		hidden := name != "." && strings.HasPrefix(d.Name(), ".")
		switch {
		case err != nil:
			return err
		case d.IsDir() && (hidden || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
		files = append(files, sourceFile{name: name, pkg: path.Dir(name), syntax: syntax})
		return err
	})
	return files, err
})
