package clients

import (
	"context"
	"errors"
	"slices"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
)

// errOvertaken: the metadata is not any more as it was read.
var errOvertaken = errors.New("the client was changed meanwhile")

// settle is for a patch that changes nothing. The metadata is written as it is, and nothing is recorded: an earlier change
// without an answer, which may still be on its way to Redis, is not made any more then. err is that of reading the patch.
func (g *Registry) settle(ctx context.Context, c *store.Client, p *patch, by audit.Actor, err error) (*store.Client, error) {
	if err != nil || !p.hasMetadata() {
		return c, err
	}
	settled, err := g.Store.UpdateClient(ctx, c.ID, g.Audit.Cause(by, ""), func(m *store.ClientMetadata) (newGeneration bool, err error) {
		changed, err := g.rules().patch(m, p.object)
		if err == nil && len(changed) > 0 {
			err = errOvertaken
		}
		return false, err
	})
	if !errors.Is(err, errOvertaken) {
		return settled, err
	}
	if c, err = g.Client(ctx, c.ID); err != nil {
		return nil, err
	}
	return g.update(ctx, c, p, by)
}

// hasMetadata is whether the patch has a member of the metadata.
func (p *patch) hasMetadata() bool {
	return slices.ContainsFunc(Members, func(m Member) bool { return p.object.Names(m.Name) })
}
