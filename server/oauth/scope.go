package oauth

import (
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/scope"
)

// maxScope is the longest scope parameter that is accepted, in bytes: no registration is longer.
const maxScope = 4096

// grantScope is the scope that a client with this registered scope gets when it asks for asked, or why it gets none
// (RFC 6749 §3.3).
func grantScope(registered, asked string) (string, error) {
	if asked == "" {
		return defaultScope(registered)
	}
	if len(asked) > maxScope || !scope.Valid(asked) {
		return "", invalidScope("The scope is malformed")
	}
	granted := make([]string, 0, 8)
	for token := range strings.SplitSeq(asked, " ") {
		if !scope.Has(registered, token) {
			return "", invalidScope("The client is not registered for a requested scope")
		}
		if !slices.Contains(granted, token) {
			granted = append(granted, token)
		}
	}
	if len(granted) == 1 {
		return granted[0], nil
	}
	return strings.Join(granted, " "), nil
}

// defaultScope is the registered scope without Mintkeep's own.
func defaultScope(registered string) (string, error) {
	if registered != "" && !scope.HasOwn(registered) {
		return registered, nil
	}
	var granted []string
	for token := range strings.FieldsSeq(registered) {
		if !scope.IsOwn(token) {
			granted = append(granted, token)
		}
	}
	if len(granted) == 0 {
		return "", invalidScope("The client has no default scope; request one with the parameter scope")
	}
	return strings.Join(granted, " "), nil
}
