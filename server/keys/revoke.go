package keys

import (
	"context"
	"errors"
	"slices"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// revoking is the record of a revocation.
func revoking(key *store.APIKey, reason string) audit.Record {
	what := record(audit.KeyRevoked, key.ID, key.UserID)
	what.Detail["reason"] = reason
	return what
}

// Revoke revokes a key. If it is revoked already, that is no error and no second record. A revocation of unknown outcome
// is recorded.
func (g *Registry) Revoke(ctx context.Context, key *store.APIKey, reason string, by audit.Actor) error {
	cause := g.Audit.Cause(by, reason)
	var before error // whether a key that was revoked before is confirmed to be
	err := g.Audit.Revoke(ctx, by, revoking(key, reason), func(ctx context.Context) error {
		wasActive, err := g.Store.RevokeKey(ctx, key.ID, cause)
		if errors.Is(err, store.ErrNotFound) && key.Digest != (store.Digest{}) {
			// Its description was lost; the record alone makes it active.
			wasActive, err = true, g.Store.RevokeToken(ctx, key.Digest, cause)
		}
		if !wasActive && (err == nil || errors.Is(err, store.ErrUnconfirmed)) {
			before = err
			return errRevokedBefore
		}
		return err
	})
	if errors.Is(err, errRevokedBefore) {
		web.NeverSample(ctx)
		return before
	}
	return err
}

var errRevokedBefore = errors.New("the key was revoked before")

// Several is which keys are to be revoked at once, and why.
type Several struct {
	IDs    []string // each once
	Reason string
}

// ReadSeveral reads ids and reason; otherwise is what stands for no reason.
func ReadSeveral(o web.Object, otherwise string) (s Several, err error) {
	if !o.Has("ids") {
		return s, web.InvalidRequest("ids: is missing")
	}
	ids, err := web.Decode[[]string](o["ids"], "an array of strings")
	if err != nil {
		return s, wrong("ids", err)
	}
	if len(ids) == 0 || len(ids) > adminapi.MaxRevokedKeys {
		return s, web.InvalidRequest("ids: must have 1 to 100 strings")
	}
	for _, id := range ids {
		if !slices.Contains(s.IDs, id) {
			s.IDs = append(s.IDs, id)
		}
	}
	if o.Has("reason") {
		if s.Reason, err = web.Decode[string](o["reason"], "a string"); err != nil {
			return s, wrong("reason", err)
		}
	}
	if s.Reason, err = CheckReason(s.Reason, otherwise); err != nil {
		return s, wrong("reason", err)
	}
	return s, nil
}

// errUnknownKeys does not tell which: a key of another user's is as one that does not exist.
var errUnknownKeys = func() *web.Error {
	e := web.NotFound("Key")
	e.Description = "Not all of the keys were found; nothing was revoked"
	return e
}()

// All reads keys, if all of them exist and belong to the owner; empty: to any user.
func (g *Registry) All(ctx context.Context, ids []string, owner string) ([]*store.APIKey, error) {
	if slices.ContainsFunc(ids, func(id string) bool { return !keyIDs.MatchString(id) }) {
		return nil, errUnknownKeys
	}
	found, err := g.Store.KeysByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, key := range found {
		if key == nil || owner != "" && key.UserID != owner {
			return nil, errUnknownKeys
		}
	}
	return found, nil
}

// RevokeSeveral revokes keys, if all of them exist and belong to the owner; empty: to any user. It tells what they were.
func (g *Registry) RevokeSeveral(ctx context.Context, s Several, owner string, by audit.Actor) (revoked adminapi.RevokedKeys, err error) {
	found, err := g.All(ctx, s.IDs, owner)
	if err != nil {
		return revoked, err
	}
	now := g.Now()
	for _, key := range found {
		revoked.Keys = append(revoked.Keys, adminapi.RevokedKey{ID: key.ID, State: string(key.State(now))})
	}
	candidates := slices.DeleteFunc(slices.Clone(found), func(key *store.APIKey) bool { return !key.Revocable() })
	were, err := g.Store.RevokeKeys(ctx, found, g.Audit.Cause(by, s.Reason))
	switch {
	case err == nil || errors.Is(err, store.ErrUnconfirmed):
		records := make([]audit.Record, len(were))
		for i, key := range were {
			records[i] = revoking(key, s.Reason)
		}
		g.Audit.Revoked(ctx, by, records...)
	case errors.Is(err, store.ErrUnavailable): // some may be revoked
		for _, key := range candidates {
			g.Audit.Attempted(ctx, by, revoking(key, s.Reason))
		}
	}
	revoked.Revoked = len(were)
	return revoked, err
}
