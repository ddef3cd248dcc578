package oauth

import "strings"

// ownScopes begin the names of the scopes that open Mintkeep's own doors. They are never granted
// without being asked for by name.
const ownScopes = "mintkeep:"

// The scopes that mean something to Mintkeep itself.
const (
	ScopeAdmin      = "mintkeep:admin"
	ScopeIntrospect = "mintkeep:introspect"
)

// maxScope is the longest scope parameter that is looked at, in bytes: no registration is longer.
const maxScope = 4096

// grantScope is the scope that a client registered for registered gets when it asks for asked, or why
// it gets none (RFC 6749 §3.3).
func grantScope(registered, asked string) (string, error) {
	if asked == "" {
		return defaultScope(registered)
	}
	if len(asked) > maxScope || !scopeGrammar(asked) {
		return "", invalidScope("The scope is malformed")
	}
	granted := make([]string, 0, 8)
	for token := range strings.SplitSeq(asked, " ") {
		if !HasScope(registered, token) {
			return "", invalidScope("The client is not registered for a scope that was asked for")
		}
		if !has(granted, token) {
			granted = append(granted, token)
		}
	}
	if len(granted) == 1 {
		return granted[0], nil
	}
	return strings.Join(granted, " "), nil
}

// defaultScope is everything registered but the scopes of Mintkeep's own.
func defaultScope(registered string) (string, error) {
	if registered != "" && !strings.Contains(registered, ownScopes) {
		return registered, nil
	}
	var granted []string
	for token := range strings.FieldsSeq(registered) {
		if !strings.HasPrefix(token, ownScopes) {
			granted = append(granted, token)
		}
	}
	if len(granted) == 0 {
		return "", invalidScope("The client has no scope that is granted without being asked for; name one in scope")
	}
	return strings.Join(granted, " "), nil
}

// HasScope says whether a space-separated scope has the token.
func HasScope(scope, token string) bool {
	for len(scope) > 0 {
		first, rest, _ := strings.Cut(scope, " ")
		if first == token {
			return token != ""
		}
		scope = rest
	}
	return false
}

func has(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// scopeGrammar is scope-token *( SP scope-token ), with scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
// (RFC 6749 §3.3).
func scopeGrammar(scope string) bool {
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
