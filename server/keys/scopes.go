package keys

import "github.com/mintkeep/mintkeep/server/scope"

// ownScopes are what Mintkeep's own scopes allow.
var ownScopes = map[string]string{
	scope.Keys:  "manage your API keys through the API",
	scope.Admin: "full access through the API, like an operator",
}

// Description is what a scope allows, for users: as MINTKEEP_KEY_SCOPES says, or what is known of Mintkeep's own. Empty: it is
// not described.
func (g *Registry) Description(token string) string {
	if own := ownScopes[token]; own != "" {
		return own
	}
	return g.Config.KeyScopes.Description(token)
}
