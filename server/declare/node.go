package declare

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Place is where something stands in the files.
type Place struct {
	File string
	Line int
	Path string // such as clients.billing.scope; empty: the document
}

// A Mistake is what is wrong at a place.
type Mistake struct {
	Place
	Problem string
}

func (m Mistake) String() string {
	where := fmt.Sprintf("%s:%d: ", m.File, m.Line)
	if m.Path != "" {
		where += m.Path + ": "
	}
	return where + m.Problem
}

// reader reads the nodes of one file, and collects everything that is wrong.
type reader struct {
	options  Options
	file     string
	mistakes []Mistake
}

func (r *reader) place(n ast.Node, path string) Place {
	p := Place{File: r.file, Line: 1, Path: path}
	if n != nil && n.GetToken() != nil {
		p.Line = n.GetToken().Position.Line
	}
	return p
}

func (r *reader) wrong(p Place, format string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{p, fmt.Sprintf(format, args...)})
}

// entry is a member of a mapping.
type entry struct {
	name  string
	place Place
	value ast.Node
}

// entries are the members of a mapping, each once. A mapping without members may be empty or null.
func (r *reader) entries(n ast.Node, path string) (all []entry) {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		r.wrong(r.place(n, path), "must be a mapping of names to values")
		return nil
	}
	seen := map[string]int{}
	for _, pair := range pairs {
		name, ok := keyOf(pair.Key)
		at := r.place(pair.Key, joined(path, name))
		first, twice := seen[name]
		switch {
		case !ok:
			r.wrong(r.place(pair.Key, path), "must have plain names: anchors, aliases and merge keys are not read")
		case twice:
			r.wrong(at, "is there twice: line %d has it too", first)
		default:
			seen[name] = at.Line
			all = append(all, entry{name, at, pair.Value})
		}
	}
	return all
}

// keyOf is a name as it is written: 123 is a text, and so is true.
func keyOf(key ast.MapKeyNode) (string, bool) {
	switch key := key.(type) {
	case *ast.StringNode:
		return key.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return key.GetToken().Value, true
	}
	return "", false
}

func joined(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// str reads a string.
func (r *reader) str(n ast.Node, p Place) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		r.wrong(p, "must be a string: put it in quotes")
	default:
		r.wrong(p, "must be a string")
	}
	return "", false
}

// strs reads a list of strings, each once, and each of them one word if oneWord says so.
func (r *reader) strs(n ast.Node, p Place, oneWord bool) ([]string, bool) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wrong(p, "must be a list of strings")
		return nil, false
	}
	all, good := []string{}, true
	seen := map[string]bool{}
	for i, item := range sequence.Values {
		at := r.place(item, fmt.Sprintf("%s[%d]", p.Path, i))
		switch s, ok := r.str(item, at); {
		case !ok:
			good = false
		case seen[s]:
			r.wrong(at, "is there twice")
			good = false
		case oneWord && (s == "" || strings.ContainsAny(s, " \t\r\n")):
			r.wrong(at, "must be one word: each scope is an item of its own")
			good = false
		default:
			seen[s] = true
			all = append(all, s)
		}
	}
	return all, good
}

// value reads a member as the API has it; nil: it is not there, or wrong.
func (r *reader) value(m *member, e entry) json.RawMessage {
	if _, null := e.value.(*ast.NullNode); null || e.value == nil {
		return nil // the default, as in the API
	}
	var v any
	ok := false
	switch m.kind {
	case words:
		var scopes []string
		scopes, ok = r.strs(e.value, e.place, true)
		v = strings.Join(scopes, " ")
	case list:
		v, ok = r.strs(e.value, e.place, false)
	case duration:
		v, ok = r.seconds(e)
	case boolean:
		b, is := e.value.(*ast.BoolNode)
		if v, ok = is && b.Value, is; !ok {
			r.wrong(e.place, "must be true or false")
		}
	case object:
		v, ok = r.json(e.value, e.place)
	case text:
		v, ok = r.str(e.value, e.place)
	}
	if !ok {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		r.wrong(e.place, "cannot be read: %v", err)
	}
	return raw
}

// seconds reads a duration.
func (r *reader) seconds(e entry) (int64, bool) {
	s, ok := r.str(e.value, e.place)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	if err != nil || d%time.Second != 0 || d < time.Second {
		r.wrong(e.place, "must be a duration of whole seconds, such as 15m")
		return 0, false
	}
	return int64(d / time.Second), true
}

// json reads a value as JSON has it.
func (r *reader) json(n ast.Node, p Place) (any, bool) {
	switch n := n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return r.str(n, p)
	case *ast.BoolNode:
		return n.Value, true
	case *ast.IntegerNode:
		return n.Value, true
	case *ast.NullNode:
		return nil, true
	case *ast.SequenceNode:
		all, good := []any{}, true
		for i, item := range n.Values {
			v, ok := r.json(item, r.place(item, fmt.Sprintf("%s[%d]", p.Path, i)))
			all, good = append(all, v), good && ok
		}
		return all, good
	case *ast.MappingNode, *ast.MappingValueNode:
		all, good := map[string]any{}, true
		for _, e := range r.entries(n, p.Path) {
			v, ok := r.json(e.value, e.place)
			all[e.name], good = v, good && ok
		}
		return all, good
	}
	r.wrong(p, "must be a string, true, false, a whole number, a list or a mapping")
	return nil, false
}
