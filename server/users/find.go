package users

import (
	"context"
	"errors"
	"strings"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
)

// IDOf is the id of the user with an email address. Any other text, and an email that no user has, is as it is: it is the
// id of a user, or of none.
func (g *Registry) IDOf(ctx context.Context, text string) (id string, err error) {
	if !strings.Contains(text, "@") { // as in no id
		return text, nil
	}
	u, err := g.Store.UserByEmail(ctx, text)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return text, nil
	case err != nil:
		return "", err
	}
	return u.ID, nil
}

// AuditName is what the audit log calls an actor or a target: ada@example.com, and user:ada@example.com, are user:usr_…
// Any other text is as it is.
func (g *Registry) AuditName(ctx context.Context, text string) (string, error) {
	if !strings.Contains(text, "@") {
		return text, nil
	}
	id, err := g.IDOf(ctx, strings.TrimPrefix(text, audit.UserTarget("")))
	return audit.UserTarget(id), err
}
