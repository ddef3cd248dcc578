package bearer

import (
	"context"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/store"
)

// Principal is who an active credential speaks for: a client with an access token, or a user with an API key.
type Principal struct {
	Claims *Claims
	Client *store.Client

	Key  *store.KeyRecord
	User *store.User

	Record *store.Credential // by which the credential is active
}

// Scope is what the credential allows at this moment. A key's mintkeep:admin counts while its owner is the operator that
// they were when it was created.
func (p *Principal) Scope() string {
	if p.Key == nil {
		return p.Claims.Scope
	}
	if !p.Key.Operator.Matches(p.User.Operator) {
		return scope.Without(p.Key.Scope, scope.Admin)
	}
	return p.Key.Scope
}

// may says whether the principal has the scope, for which a client must still be registered.
func (p *Principal) may(needed string) bool {
	return scope.Has(p.Scope(), needed) && (p.Client == nil || scope.Has(p.Client.Metadata.Scope, needed))
}

// Actor is the principal as the audit log names it, in the request that ctx belongs to.
func (p *Principal) Actor(ctx context.Context) audit.Actor {
	if p.User != nil {
		return audit.Key(ctx, p.User.ID, p.Key, p.Scope())
	}
	return audit.Client(ctx, p.Client.ID)
}
