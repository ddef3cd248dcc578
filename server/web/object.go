package web

import (
	"encoding/json"
	"errors"
	"net/http"
)

// Object is a JSON object whose members are read one by one, by their exact names: a merge patch depends on which are
// present, and unknown ones are ignored (RFC 7591 §2).
type Object map[string]json.RawMessage

// ReadObject reads the body; none, where a route allows that, is the empty object.
func ReadObject(r *http.Request) (Object, error) {
	o := Object{}
	if err := DecodeJSON(r, &o); err != nil {
		return nil, err
	}
	if o == nil { // null
		return nil, InvalidRequest("The body must be a JSON object")
	}
	return o, nil
}

// Has is whether a member has a value. Everywhere but in a patch, null is the same as absent.
func (o Object) Has(name string) bool { return !IsNull(o[name]) }

// Names is whether a member is there, null or not: in a patch, null resets it.
func (o Object) Names(name string) bool { _, there := o[name]; return there }

// IsNull is whether a member is null, or absent.
func IsNull(raw json.RawMessage) bool { return raw == nil || string(raw) == "null" }

// Decode reads a member's value; kind says what it must be.
func Decode[T any](raw json.RawMessage, kind string) (v T, err error) {
	if text, ok := any(&v).(*string); ok && isPlain(raw) {
		*text = string(raw[1 : len(raw)-1])
		return v, nil
	}
	if json.Unmarshal(raw, &v) != nil {
		return v, errors.New("must be " + kind)
	}
	return v, nil
}

// isPlain is whether a value of JSON is a string of printable ASCII without an escape, which decodes to itself.
func isPlain(raw json.RawMessage) bool {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return false
	}
	for _, c := range raw[1 : len(raw)-1] {
		if c < ' ' || c > '~' || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}

// ObjectOf is an object with these members, each a value that JSON has: for a form, which is not read from JSON. An empty
// string is an omitted member.
func ObjectOf(members map[string]any) Object {
	o := Object{}
	for name, value := range members {
		if text, ok := value.(string); ok && text == "" {
			continue
		}
		raw, err := json.Marshal(value)
		if err != nil {
			panic(err) // the values are ours: strings, numbers, lists of strings
		}
		o[name] = raw
	}
	return o
}
