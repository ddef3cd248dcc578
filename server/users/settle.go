package users

import (
	"context"
	"errors"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
)

// errOvertaken: the metadata is not any more as it was read.
var errOvertaken = errors.New("the user was changed meanwhile")

// settle is for a patch that changes nothing of the metadata. The metadata is written as it is, and nothing is recorded: an
// earlier change without an answer, which may still be on its way to Redis, is not made any more then.
func (g *Registry) settle(ctx context.Context, u *store.User, p spec, by audit.Actor) error {
	if p.email == nil && p.name == nil && p.owner == nil {
		return nil
	}
	_, err := g.Store.UpdateUser(ctx, u.ID, g.Audit.Cause(by, ""), func(m *store.UserMetadata) error {
		if len(p.apply(m)) > 0 {
			return errOvertaken
		}
		return nil
	})
	if !errors.Is(err, errOvertaken) {
		return err
	}
	if u, err = g.Store.User(ctx, u.ID); err != nil {
		return err
	}
	return g.update(ctx, u, p, by)
}
