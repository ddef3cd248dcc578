package assertion

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// members calls each with the members of an encoded JSON object, by their exact names, and with their values as they stand
// there. It is false for anything else, and for an object that has a member twice: two readers may take different ones
// (RFC 7515 §4, RFC 7519 §4).
func members(encoded string, each func(name, value string)) bool {
	raw, ok := decode(encoded)
	if !ok || !utf8.Valid(raw) || !json.Valid(raw) {
		return false
	}
	rest := trim(string(raw)) // valid JSON: no index below is out of range
	if rest[0] != '{' {
		return false
	}
	var seen names
	rest = trim(rest[1:])
	for rest[0] != '}' {
		n := valueLength(rest)
		name, _ := text(rest[:n])
		if !seen.add(name) {
			return false
		}
		rest = trim(trim(rest[n:])[1:]) // behind the colon
		n = valueLength(rest)
		each(name, rest[:n])
		if rest = trim(rest[n:]); rest[0] == ',' {
			rest = trim(rest[1:])
		}
	}
	return true
}

// names are the different names of an object's members. An assertion has few; a map is for one that has many, since its sender
// chooses how many.
type names struct {
	few  [16]string
	n    int
	many map[string]struct{}
}

// add is false for a name that is there.
func (s *names) add(name string) bool {
	if s.n < len(s.few) {
		if slices.Contains(s.few[:s.n], name) {
			return false
		}
		s.few[s.n] = name
		s.n++
		return true
	}
	if s.many == nil {
		s.many = make(map[string]struct{}, 2*len(s.few))
		for _, one := range s.few {
			s.many[one] = struct{}{}
		}
	}
	if _, there := s.many[name]; there {
		return false
	}
	s.many[name] = struct{}{}
	return true
}

// trim is s without the white space of JSON in front.
func trim(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t' || s[0] == '\r' || s[0] == '\n') {
		s = s[1:]
	}
	return s
}

// valueLength is how long the value is with which valid JSON begins.
func valueLength(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i += stringLength(s[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 { // of the object around a number
				return i
			}
			depth--
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 { // behind a number
				return i
			}
			continue
		default:
			continue // a letter or a digit: the value may go on
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(s)
}

// stringLength is how long the string is with which s begins, both quotation marks included.
func stringLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// text is a value that is a string.
func text(value string) (s string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if strings.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], true
	}
	return unescaped(value)
}

// unescaped is the string that has escapes. It is apart from text, whose result would be allocated otherwise.
func unescaped(value string) (string, bool) {
	var s string
	err := json.Unmarshal([]byte(value), &s)
	return s, err == nil
}
