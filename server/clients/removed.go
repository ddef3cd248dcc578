package clients

import (
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Removed is what a change takes away that tokens of the client may have. Such a change revokes them.
type Removed struct{ Scopes, Grants, Audience []string }

// Any says whether it takes anything away.
func (r Removed) Any() bool { return len(r.Scopes)+len(r.Grants)+len(r.Audience) > 0 }

// Removes is what a merge patch would take away from a client, and what the client would be then; nothing is changed.
func (g *Registry) Removes(c *store.Client, o web.Object) (removed Removed, after store.ClientMetadata, err error) {
	in, after := g.rules(), c.Metadata
	if _, err := in.patch(&after, o); err != nil {
		return removed, after, err
	}
	return in.removed(c.Metadata, after), after, nil
}

// removed is what a client loses that its tokens may have: scopes, audiences (the server's own, where it is registered
// with none) and grants.
func (in rules) removed(before, after store.ClientMetadata) Removed {
	return Removed{
		Scopes:   lost(strings.Fields(before.Scope), strings.Fields(after.Scope)),
		Grants:   lost(before.GrantTypes, after.GrantTypes),
		Audience: lost(in.audienceOf(before), in.audienceOf(after)),
	}
}

// lost are those of before that are not in after.
func lost(before, after []string) (gone []string) {
	for _, s := range before {
		if !slices.Contains(after, s) {
			gone = append(gone, s)
		}
	}
	return gone
}
