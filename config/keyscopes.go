package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxKeyScopes        = 50
	maxScopeDescription = 100 // characters
)

// OwnerEmail is the value of [Config.IntrospectOwner] by which introspection tells the email address of a key's owner.
const OwnerEmail = "email"

// KeyScope is a scope that developers may give to their API keys.
type KeyScope struct {
	Name        string
	Description string // what it allows, for users; may be empty
}

// KeyScopes are those scopes, in the operator's order.
type KeyScopes []KeyScope

// Names are the scopes alone.
func (s KeyScopes) Names() []string {
	names := make([]string, len(s))
	for i, scope := range s {
		names[i] = scope.Name
	}
	return names
}

// Description is what a scope allows; empty if the operator does not say.
func (s KeyScopes) Description(name string) string { return s.Descriptions()[name] }

// Descriptions are those of the scopes that have one; nil if none has.
func (s KeyScopes) Descriptions() map[string]string {
	var described map[string]string
	for _, scope := range s {
		if scope.Description == "" {
			continue
		}
		if described == nil {
			described = map[string]string{}
		}
		described[scope.Name] = scope.Description
	}
	return described
}

// parseKeyScopes reads scopes that are separated by spaces, or, if the text has an equals sign, scopes with their
// descriptions, separated by semicolons. The error has every mistake.
func parseKeyScopes(s string) (KeyScopes, error) {
	var scopes KeyScopes
	if strings.Contains(s, "=") {
		for part := range strings.SplitSeq(s, ";") {
			name, description, _ := strings.Cut(part, "=")
			scopes = append(scopes, KeyScope{strings.TrimSpace(name), strings.TrimSpace(description)})
		}
		return scopes, scopes.check("scope tokens (RFC 6749 section 3.3) with descriptions, such as read=Read orders;write=Write orders")
	}
	for name := range strings.SplitSeq(s, " ") {
		scopes = append(scopes, KeyScope{Name: name})
	}
	return scopes, scopes.check("space-separated scope tokens (RFC 6749 section 3.3)")
}

// check says what is wrong; form is how scopes are written. Mintkeep's own are not allowed: which keys may have them is
// fixed.
func (s KeyScopes) check(form string) error {
	var mistakes []string
	mistake := func(is bool, text string) {
		if is && !slices.Contains(mistakes, text) {
			mistakes = append(mistakes, text)
		}
	}
	for i, scope := range s {
		mistake(scope.Name == "" || strings.ContainsFunc(scope.Name, notInScope), "must be "+form)
		mistake(strings.HasPrefix(scope.Name, "mintkeep:"), "must not contain a mintkeep: scope, such as mintkeep:keys")
		mistake(scope.Name != "" && slices.Contains(s[:i].Names(), scope.Name), "must not contain a scope twice")
		mistake(utf8.RuneCountInString(scope.Description) > maxScopeDescription || strings.ContainsFunc(scope.Description, notPrintable),
			fmt.Sprintf("must have descriptions of at most %d printable characters", maxScopeDescription))
	}
	mistake(len(s) > maxKeyScopes, fmt.Sprintf("must have at most %d scopes", maxKeyScopes))
	if len(mistakes) == 0 {
		return nil
	}
	return errors.New(strings.Join(mistakes, ", and "))
}

// notInScope: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ).
func notInScope(r rune) bool { return r < 0x21 || r > 0x7e || r == '"' || r == '\\' }

// notPrintable: the invalid, and what moves the cursor or turns text around.
func notPrintable(r rune) bool {
	return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}
