package jwks

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	strict "github.com/go-jose/go-jose/v4/json"
)

// members are those of a JSON object, by their exact names.
type members map[string]strict.RawMessage

// readMembers reads an object. It rejects one that has a member twice, of which two readers may take different ones
// (RFC 7517 §4).
func readMembers(raw []byte) (members, error) {
	var m members
	if !utf8.Valid(raw) || strict.Unmarshal(raw, &m) != nil || m == nil {
		return nil, errors.New("must be a JSON object that has each member once")
	}
	return m, nil
}

// has is whether the member has a value: null is the same as absent.
func (m members) has(name string) bool {
	raw, ok := m[name]
	return ok && string(raw) != "null"
}

func (m members) decode(name string, v any) bool { return json.Unmarshal(m[name], v) == nil }

// text is a member that is a string. Absent: empty.
func (m members) text(name string) (s string, err error) {
	if m.has(name) && !m.decode(name, &s) {
		return "", errors.New(name + " must be a string")
	}
	return s, nil
}

// bytes is a required member in base64url (RFC 7518 §2).
func (m members) bytes(name string) ([]byte, error) {
	text, err := m.text(name)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errors.New(name + " is missing")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which package base64 ignores
		return nil, errors.New(name + " must be base64url without padding")
	}
	return b, nil
}
