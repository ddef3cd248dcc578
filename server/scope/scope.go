// Package scope is the grammar of scopes (RFC 6749 §3.3), and the scopes that mean something to Mintkeep
// itself. Every other scope belongs to the operator's APIs.
package scope

import "strings"

// The scopes of Mintkeep's own APIs. They are granted only if they are asked for by name.
const (
	Admin      = "mintkeep:admin"      // /admin
	Introspect = "mintkeep:introspect" // the state of other clients' credentials
	Keys       = "mintkeep:keys"       // a user's own keys, at /api/v1/keys

	prefix = "mintkeep:"
)

// Own lists them.
var Own = []string{Admin, Introspect, Keys}

// IsOwn is whether a scope is, or looks like, one of Mintkeep's own.
func IsOwn(token string) bool { return strings.HasPrefix(token, prefix) }

// HasOwn is whether a space-separated scope has one of Mintkeep's own.
func HasOwn(scope string) bool { return strings.Contains(scope, prefix) }

// Has is whether a space-separated scope has the token.
func Has(scope, token string) bool {
	for len(scope) > 0 {
		first, rest, _ := strings.Cut(scope, " ")
		if first == token {
			return token != ""
		}
		scope = rest
	}
	return false
}

// Beyond returns the tokens of scope that allowed does not have.
func Beyond(scope, allowed string) (beyond []string) {
	for token := range strings.FieldsSeq(scope) {
		if !Has(allowed, token) {
			beyond = append(beyond, token)
		}
	}
	return beyond
}

// Without returns scope without the token.
func Without(scope, token string) string {
	if !Has(scope, token) {
		return scope
	}
	var kept []string
	for t := range strings.FieldsSeq(scope) {
		if t != token {
			kept = append(kept, t)
		}
	}
	return strings.Join(kept, " ")
}

// WithoutOwn returns scope without Mintkeep's own.
func WithoutOwn(scope string) string {
	for _, token := range Own {
		scope = Without(scope, token)
	}
	return scope
}

// Valid is scope-token *( SP scope-token ), with scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
// (RFC 6749 §3.3).
func Valid(scope string) bool {
	spaced := true // a token must follow
	for i := range len(scope) {
		switch c := scope[i]; {
		case c == ' ':
			if spaced {
				return false
			}
			spaced = true
		case c < 0x21 || c == '"' || c == '\\' || c > 0x7e:
			return false
		default:
			spaced = false
		}
	}
	return !spaced
}
