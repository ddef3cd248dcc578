package keys

import (
	"context"
	"errors"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Rotate creates a successor of an active key, with the same rights. The old one expires after the overlap, or sooner if
// it would have expired.
func (g *Registry) Rotate(ctx context.Context, owner *store.User, old *store.APIKey, overlap time.Duration, by audit.Actor) (*Created, error) {
	return g.rotate(ctx, owner, old, overlap, by, func() error { return nil })
}

// RotateOwn is Rotate for a user who rotates a key of their own, which MINTKEEP_KEY_CREATE_RATE limits.
func (g *Registry) RotateOwn(ctx context.Context, owner *store.User, old *store.APIKey, overlap time.Duration, by audit.Actor) (*Created, error) {
	return g.rotate(ctx, owner, old, overlap, by, func() error { return g.countOwn(ctx, owner) })
}

// rotate calls count once the rotation is allowed, before anything is done.
func (g *Registry) rotate(
	ctx context.Context, owner *store.User, old *store.APIKey, overlap time.Duration, by audit.Actor, count func() error,
) (*Created, error) {
	current, err := g.rotatable(ctx, old)
	if err != nil {
		return nil, err
	}
	granted, err := succeed(owner, old, current, by)
	if err != nil {
		return nil, err
	}
	if !granted.ExpiresAt.IsZero() && !granted.ExpiresAt.After(g.Now()) { // that of a successor, see takeBack
		return nil, web.Conflict("A successor of the key would already have expired; create a new key")
	}
	if err := count(); err != nil {
		return nil, err
	}
	at := g.Audit.Cause(by, "").At.Add(overlap)
	what := rotation(old, granted, current, at).Granted("overlap", overlap.String())
	created, err := g.create(ctx, owner, granted, what, by)
	if err != nil {
		return nil, err
	}
	if overlap == 0 {
		at = time.Time{} // now, whatever the clock says by then
	}
	if err := g.replace(ctx, old, created.ID, at, by); err != nil {
		return nil, g.notReplaced(ctx, created, what, by, err)
	}
	return created, nil
}

// notReplaced revokes the successor of a key whose rotation ended with err: it was shown to no caller, and never will be. One that
// was applied and not confirmed has not failed: the old key expires as it is recorded.
func (g *Registry) notReplaced(ctx context.Context, created *Created, what audit.Record, by audit.Actor, err error) error {
	const reason = "the rotation failed"
	within, cancel := web.CleanUp(ctx)
	defer cancel()
	recorded := g.Audit.Revoked
	if _, e := g.Store.RevokeKey(within, created.ID, g.Audit.Cause(by, reason)); e != nil && !errors.Is(e, store.ErrUnconfirmed) {
		web.Note(ctx, "successor_not_revoked", created.ID)
		web.Note(ctx, "successor_error", e.Error())
		recorded = g.Audit.Attempted
	}
	if errors.Is(err, store.ErrUnconfirmed) {
		recorded(ctx, by, revoking(created.APIKey, reason))
		return err
	}
	g.Audit.Failed(ctx, by, what)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return web.Conflict("The key was revoked or rotated at the same time; read it again before you retry")
	}
	return err
}

// rotatable rejects the rotation of a key that is revoked or was rotated. A rotation whose answer was lost, or that was
// not confirmed, stands in the record alone.
func (g *Registry) rotatable(ctx context.Context, old *store.APIKey) (*store.KeyRecord, error) {
	found, err := g.Store.Credential(ctx, old.Digest)
	if old.Disabled != nil || err == nil && found.IsDisabled() {
		return nil, web.Conflict("The key is disabled; enable it first, or create a new one")
	}
	if !old.Active || errors.Is(err, store.ErrNotFound) || err == nil && found.Key == nil {
		return nil, web.Conflict("The key is no longer active; create a new one")
	}
	if err != nil {
		return nil, err
	}
	if old.RotatedTo = found.Key.RotatedTo; old.RotatedTo != "" {
		err = g.takeBack(ctx, old)
	}
	return found.Key, err
}

// takeBack rejects a second rotation of a key, unless the successor of the first cannot be used: the rotation stopped
// half-way, or its successor was revoked and had none of its own. The key's expiry was brought forward then, and is that
// of the successor again.
func (g *Registry) takeBack(ctx context.Context, old *store.APIKey) error {
	successor, err := g.Store.Key(ctx, old.RotatedTo)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case successor.Tombstone == nil || successor.RotatedTo != "":
		return web.Conflict("The key was already rotated; its successor is %s", old.RotatedTo)
	}
	old.ExpiresAt = successor.ExpiresAt
	return nil
}

// rotation is the record of a rotation: what the successor is granted, and when the old key expires now.
func rotation(old, granted *store.APIKey, current *store.KeyRecord, at time.Time) audit.Record {
	what := record(audit.KeyRotated, old.ID, old.UserID).Granted("scope", granted.Scope).
		Granted("successor_expires_at", audit.Moment(granted.ExpiresAt))
	if granted.Scope != old.Scope {
		what = what.Changed("scope", old.Scope, granted.Scope)
	}
	if expires := current.Expires(); expires.IsZero() || at.Before(expires) {
		what = what.Changed("expires_at", audit.Moment(expires), audit.Moment(at))
	}
	return what
}

// replace brings the expiry of the old key forward to at; zero: it is revoked now.
func (g *Registry) replace(ctx context.Context, old *store.APIKey, successor string, at time.Time, by audit.Actor) error {
	cause := g.Audit.Cause(by, "rotated")
	old.RotatedAt, old.RotatedBy = cause.At, by.Name
	return g.Store.ExpireKey(ctx, old, at, successor, cause)
}

// succeed is what the successor of a key may have: the same, but what no key may give to another.
func succeed(owner *store.User, old *store.APIKey, current *store.KeyRecord, by audit.Actor) (*store.APIKey, error) {
	granted := &store.APIKey{
		Name: old.Name, Description: old.Description, Scope: old.Scope, ExpiresAt: old.ExpiresAt, Metadata: old.Metadata, RateLimit: old.RateLimit,
	}
	if !current.Operator.Matches(owner.Operator) { // what a demotion took away is not given back
		granted.Scope = scope.Without(granted.Scope, scope.Admin)
	}
	if by.Key == nil {
		return granted, nil
	}
	granted.Scope = scope.WithoutOwn(old.Scope)
	if len(scope.Beyond(granted.Scope, by.Scope)) > 0 {
		return nil, &BeyondError{Scope: granted.Scope, To: "rotate"}
	}
	if granted.Scope == "" && old.Scope != "" { // the successor could do nothing, and the old key is revoked
		return nil, &BeyondError{Scope: old.Scope, To: "rotate"}
	}
	if above(granted.RateLimit, by.Key.RateLimit) {
		granted.RateLimit = by.Key.RateLimit
	}
	if latest := by.Key.Expires(); !latest.IsZero() && (granted.ExpiresAt.IsZero() || latest.Before(granted.ExpiresAt)) {
		granted.ExpiresAt = latest
	}
	return granted, nil
}

// BeyondError says that a key cannot rotate another, or enable it, because it lacks scopes of that key.
type BeyondError struct {
	Scope string
	To    string // what was to be done
}

func (e *BeyondError) Error() string { return "The calling key lacks scopes of the key to " + e.To }
