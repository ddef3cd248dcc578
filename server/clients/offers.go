package clients

import (
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/store"
)

// Offers are the names that a client may be registered with. Their lists are in server/oauth.
type Offers struct {
	AuthMethods   []string // client authentication methods
	SecretMethods []string // those of AuthMethods that use the client's secret; a client that names no method may use each
	GrantTypes    []string // the first is the default
}

// Either lists names as a text for users has them: a; a or b; a, b or c.
func Either(names []string) string { return join(names, " or ") }

// Unpinned lists, for a text for users, the methods that a client may use which is registered for none: those for which it
// has a secret or a key.
func (o Offers) Unpinned() string {
	names := slices.Clone(o.SecretMethods)
	if slices.Contains(o.AuthMethods, store.PrivateKeyJWT) {
		names = append(names, store.PrivateKeyJWT)
	}
	if len(names) == 2 && len(o.AuthMethods) == 2 {
		return "both"
	}
	return join(names, " and ")
}

// grants lists the grants for a text for users.
func (o Offers) grants() string {
	if len(o.GrantTypes) == 1 {
		return o.GrantTypes[0] + " is the only supported grant"
	}
	return "the supported grants are " + join(o.GrantTypes, " and ")
}

func join(names []string, last string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	n := len(names) - 1
	return strings.Join(names[:n], ", ") + last + names[n]
}

// BySecret is whether a client that is registered for this method (empty: for none) uses a secret.
func (o Offers) BySecret(method string) bool {
	return method == "" || slices.Contains(o.SecretMethods, method)
}
