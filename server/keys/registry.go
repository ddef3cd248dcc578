package keys

import (
	"context"
	"errors"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Registry creates and changes keys. All fields are required.
type Registry struct {
	Store  *store.Store
	Config *config.Config
	Audit  *audit.Log
	Now    func() time.Time
}

// record is an action on a key of a user's.
func record(action audit.Action, id, userID string) audit.Record {
	return audit.Record{Action: action, Target: audit.KeyTarget(id), Detail: map[string]string{"user": userID}}
}

// Created is a new key. Plain is the key itself, to be shown this once.
type Created struct {
	*store.APIKey
	Plain string
}

// View shows the key, itself included.
func (c *Created) View() adminapi.CreatedKey {
	return adminapi.CreatedKey{
		ID: c.ID, Key: c.Plain, KeyMembers: membersOf(c.APIKey),
		CreatedAt: web.Time(c.CreatedAt), ExpiresAt: web.TimeOrNull(c.ExpiresAt),
	}
}

// ViewRotated shows the key as the successor of old, which has expired or will.
func (c *Created) ViewRotated(old *store.APIKey) adminapi.RotatedKey {
	return adminapi.RotatedKey{CreatedKey: c.View(), Previous: adminapi.Previous{ID: old.ID, ExpiresAt: web.Time(old.ExpiresAt)}}
}

// Create creates a key for its owner.
func (g *Registry) Create(ctx context.Context, owner *store.User, spec NewKey, by audit.Actor) (*Created, error) {
	granted, err := g.grant(owner, spec, by)
	if err != nil {
		return nil, err
	}
	what := record(audit.KeyCreated, "", owner.ID).Granted("name", granted.Name).Granted("scope", granted.Scope).
		Granted("expires_at", audit.Moment(granted.ExpiresAt)).Granted("description", granted.Description).
		Granted("metadata", metadataText(granted.Metadata)).Granted("rate_limit", granted.RateLimit.String())
	if granted.Disabled != nil {
		what = what.Granted("disabled", "true")
	}
	return g.create(ctx, owner, granted, what, by)
}

// CreateOwn is Create for a user who creates the key for themselves, which MINTKEEP_KEY_CREATE_RATE limits.
func (g *Registry) CreateOwn(ctx context.Context, owner *store.User, spec NewKey, by audit.Actor) (*Created, error) {
	if err := g.countOwn(ctx, owner); err != nil {
		return nil, err
	}
	return g.Create(ctx, owner, spec, by)
}

// countOwn counts a creation or a rotation by the owner. One too many is a 429.
func (g *Registry) countOwn(ctx context.Context, owner *store.User) error {
	over, retryAfter, err := g.Store.CountCall(ctx, owner.ID, g.Config.KeyCreateRate)
	if over {
		return web.TooManyRequests(retryAfter)
	}
	return err
}

// create creates the key that was granted. what has no target, or the key that the new one succeeds.
func (g *Registry) create(ctx context.Context, owner *store.User, granted *store.APIKey, what audit.Record, by audit.Actor) (*Created, error) {
	// Checked before the record is written. The store checks again.
	if err := g.Store.RoomForKey(ctx, owner.ID); err != nil {
		return nil, tooMany(err)
	}
	plain := credential.NewKey(g.Config.KeyPrefix)
	granted.CreatedAt = web.Time(g.Now())
	granted.ID, granted.UserID, granted.CreatedBy = store.NewKeyID(granted.CreatedAt), owner.ID, by.Name
	granted.Digest, granted.Masked = store.DigestOf(plain), credential.Mask(plain)
	if what.Action == audit.KeyCreated {
		what.Target = audit.KeyTarget(granted.ID)
	} else {
		what.Detail["successor"] = granted.ID
	}
	if err := g.Audit.Change(ctx, by, what, func(ctx context.Context) error {
		return g.Store.CreateKey(ctx, granted, owner)
	}); err != nil {
		return nil, tooMany(err)
	}
	return &Created{granted, plain}, nil
}

func tooMany(err error) error {
	if errors.Is(err, store.ErrTooManyKeys) {
		return web.Conflict("The user has 1,000 active keys, which is the limit; revoke one first")
	}
	return err
}
