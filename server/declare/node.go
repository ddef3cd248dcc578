package declare

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
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

func (r *reader) place(n *yaml.Node, path string) Place {
	return Place{File: r.file, Line: max(n.Line, 1), Path: path}
}

func (r *reader) wrong(p Place, format string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{p, fmt.Sprintf(format, args...)})
}

// entry is a member of a mapping.
type entry struct {
	name  string
	place Place
	value *yaml.Node
}

// entries are the members of a mapping, each once. A mapping without members may be null.
func (r *reader) entries(n *yaml.Node, path string) (all []entry) {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.wrong(r.place(n, path), "must be a mapping of names to values")
		return nil
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		// A name is taken as it is written: 123 is a text, and so is true.
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			r.wrong(r.place(key, path), "must have plain names: aliases and merge keys are not read")
			continue
		}
		at := r.place(key, joined(path, key.Value))
		if first, twice := seen[key.Value]; twice {
			r.wrong(at, "appears twice: line %d has it too", first)
			continue
		}
		seen[key.Value] = at.Line
		all = append(all, entry{key.Value, at, n.Content[i+1]})
	}
	return all
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func joined(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// str reads a string.
func (r *reader) str(n *yaml.Node, p Place) (string, bool) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		return n.Value, true
	case n.Kind == yaml.ScalarNode && !isNull(n):
		r.wrong(p, "must be a string: put it in quotes")
	default:
		r.wrong(p, "must be a string")
	}
	return "", false
}

// strs reads a list of strings, each once, and each of them one word if oneWord says so.
func (r *reader) strs(n *yaml.Node, p Place, oneWord bool) ([]string, bool) {
	if n.Kind != yaml.SequenceNode {
		r.wrong(p, "must be a list of strings")
		return nil, false
	}
	all, good := []string{}, true
	seen := map[string]bool{}
	for i, item := range n.Content {
		at := r.place(item, fmt.Sprintf("%s[%d]", p.Path, i))
		switch s, ok := r.str(item, at); {
		case !ok:
			good = false
		case seen[s]:
			r.wrong(at, "appears twice")
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
	if isNull(e.value) {
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
		v, ok = r.boolean(e)
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

func (r *reader) boolean(e entry) (value, ok bool) {
	if e.value.Tag != "!!bool" || e.value.Decode(&value) != nil {
		r.wrong(e.place, "must be true or false")
		return false, false
	}
	return value, true
}

// json reads a value as JSON has it.
func (r *reader) json(n *yaml.Node, p Place) (any, bool) {
	switch {
	case n.Kind == yaml.SequenceNode:
		all, good := []any{}, true
		for i, item := range n.Content {
			v, ok := r.json(item, r.place(item, fmt.Sprintf("%s[%d]", p.Path, i)))
			all, good = append(all, v), good && ok
		}
		return all, good
	case n.Kind == yaml.MappingNode:
		all, good := map[string]any{}, true
		for _, e := range r.entries(n, p.Path) {
			v, ok := r.json(e.value, e.place)
			all[e.name], good = v, good && ok
		}
		return all, good
	case n.Kind == yaml.ScalarNode && slices.Contains([]string{"!!str", "!!bool", "!!int", "!!null"}, n.Tag):
		var v any
		if n.Decode(&v) == nil {
			return v, true
		}
	}
	r.wrong(p, "must be a string, true, false, a whole number, a list or a mapping")
	return nil, false
}
