package store_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// oneConnection lets a store have no more than one connection at a time.
func oneConnection(o *store.Options) {
	var open atomic.Bool
	o.Feed = true
	o.Dial = func(next redisdb.DialFunc) redisdb.DialFunc {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			if !open.CompareAndSwap(false, true) {
				return nil, errors.New("a second connection is wanted")
			}
			conn, err := next(ctx, network, addr)
			if err != nil {
				open.Store(false)
				return nil, err
			}
			return &onlyConn{conn, &open}, nil
		}
	}
}

type onlyConn struct {
	net.Conn
	open *atomic.Bool
}

func (c *onlyConn) Close() error {
	defer c.open.Store(false)
	return c.Conn.Close()
}

// A change never waits for a second connection while it holds one, so that many changes at once leave connections for requests
// that read.
func TestChangesNeedOneConnection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			t.Skip("the embedded store has no connections to share")
		}
		s, other, ctx := b.Open(t, oneConnection), b.Open(t), t.Context()
		u, c := add(t, s, "a@example.com"), create(t, s, "a")
		k := makeKey(t, b, s, u, "before", 0)
		change := func(what string, change func(*store.APIKey)) {
			t.Helper()
			if _, err := s.UpdateKey(ctx, k, ended(b, ""), func(k *store.APIKey) error { change(k); return nil }); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		change("another description", func(k *store.APIKey) { k.Description = "text" })
		change("another name", func(k *store.APIKey) { k.Name = "after" })
		must(t, renameKey(ctx, other, k, "meanwhile")) // k is as it was before
		change("the name as it was read", func(k *store.APIKey) { k.Name = "before" })
		if found, _, err := other.Keys(ctx, store.KeyFilter{Query: "before"}, "", 10); err != nil || len(found) != 1 {
			t.Errorf("by its name %d keys are found, %v", len(found), err)
		}
		_, err := s.UpdateClient(ctx, c.ID, ended(b, ""), func(m *store.ClientMetadata) (bool, error) { m.Name = "after"; return true, nil })
		must(t, err)
		if found, _, err := other.Clients(ctx, "after", "", 10); err != nil || len(found) != 1 {
			t.Errorf("by its name %d clients are found, %v", len(found), err)
		}
		wantErr(t, "an email that is taken", s.CreateUser(ctx, person("a@example.com")), store.ErrExists)
		b.Do("DEL", "mk:p:"+u.ID) // a deletion that stopped half-way
		add(t, s, "a@example.com")
		must(t, s.ExpireKey(ctx, makeKey(t, b, s, add(t, s, "b@example.com"), "old", 0), b.Clock.Now().Add(time.Hour), "key_next", ended(b, "")))
	})
}

// A plan sends its commands through its tx: by reading the source. Its prerequisites come before it.
func TestPlansUseOnlyTheirTx(t *testing.T) {
	const exempt = "releaseEmail" // which says why
	names, err := filepath.Glob("*.go")
	must(t, err)
	bodies := map[string]*ast.BlockStmt{} // of the methods of Store
	for _, name := range slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") }) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		must(t, err)
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv != nil && len(f.Recv.List[0].Names) == 1 && f.Recv.List[0].Names[0].Name == "s" {
				bodies[f.Name.Name] = f.Body
			}
		}
	}
	isPlanned := map[string]bool{"transact": true, "change": true, "changeKey": true, "redescribeKey": true}
	plans := 0
	for name, body := range bodies {
		ast.Inspect(body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isPlanned[methodOfStore(call.Fun)] || name == exempt {
				return true
			}
			plans++
			if used := usesConnection(call.Args[len(call.Args)-1], bodies, map[string]bool{}); used != "" {
				t.Errorf("the plan of %s uses %s, which takes a connection beside that of its tx", name, used)
			}
			return true
		})
	}
	if plans < 20 {
		t.Errorf("%d plans were found; the test looks for the wrong names", plans)
	}
}

// methodOfStore is the name of a method or a field of s; empty: it is something else.
func methodOfStore(e ast.Expr) string {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == "s" {
			return sel.Sel.Name
		}
	}
	return ""
}

// usesConnection is by what a piece of source uses the client of Redis itself, through the methods of Store that it calls.
func usesConnection(in ast.Node, bodies map[string]*ast.BlockStmt, seen map[string]bool) (by string) {
	ast.Inspect(in, func(n ast.Node) bool {
		if lit, ok := n.(*ast.CompositeLit); ok {
			if typ, ok := lit.Type.(*ast.Ident); ok && typ.Name == "prerequisite" {
				return false
			}
		}
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || by != "" {
			return by == ""
		}
		name := methodOfStore(sel)
		switch body := bodies[name]; {
		case name == "rdb", name == "db":
			by = "s." + name
		case body != nil && !seen[name]:
			seen[name] = true
			if through := usesConnection(body, bodies, seen); through != "" {
				by = "s." + name + ": " + through
			}
		}
		return true
	})
	return by
}
