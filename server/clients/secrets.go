package clients

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// RevokeSecret revokes one secret of a client.
func (g *Registry) RevokeSecret(ctx context.Context, id, secretID string, by audit.Actor) error {
	if CheckID(id) != nil {
		return errNoClient
	}
	if !store.IsSecretID(secretID) || credential.WellFormed(secretID) { // it may be the secret itself
		return web.NotFound("Secret")
	}
	what := record(audit.SecretRevoked, id, map[string]string{"secret": secretID})
	err := g.Audit.Revoke(ctx, by, what, func(ctx context.Context) error {
		return g.Store.RevokeSecret(ctx, id, secretID, g.Audit.Cause(by, ""))
	})
	if errors.Is(err, store.ErrNotFound) {
		return web.NotFound("Secret")
	}
	return err
}

// Rotated is a client's new secret, and the one before with its new expiry; nil if there was none.
type Rotated struct {
	store.Secret
	Plain    string // to be shown this once; empty if the operator brought it
	Previous *store.Secret
}

// RotateSecret gives a client a second secret. The present one stays valid for the overlap. A secret that expires, and is brought
// again, does not expire any more.
func (g *Registry) RotateSecret(ctx context.Context, id string, o web.Object, by audit.Actor) (*Rotated, error) {
	next, overlap, err := g.readRotation(o, id)
	if err != nil {
		return nil, err
	}
	replaced, err := g.rotatable(ctx, id, next.Secret, broughtBy(o))
	if err != nil {
		return nil, err
	}
	var expires time.Time // zero: now, whatever the clock says by then
	detail := map[string]string{"secret": next.ID, "overlap": overlap.String()}
	switch {
	case overlap == keepPrevious:
		expires, detail["overlap"] = store.Never, "unlimited"
	case overlap > 0:
		expires = g.instant().Add(overlap)
	}
	what := record(audit.SecretRotated, id, detail).Granted("replaces", strings.Join(replaced, " "))
	err = g.Audit.Change(ctx, by, what, func(ctx context.Context) (err error) {
		next.Previous, err = g.Store.AddSecret(ctx, id, next.Secret, expires, g.Audit.Cause(by, ""))
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return nil, web.Conflict("The client has two active secrets, or another request changed it first; list its secrets before you retry")
	}
	return next, noClient(err)
}

// keepPrevious is the overlap of a secret beside which the present one stays as it is.
const keepPrevious time.Duration = math.MaxInt64

func (g *Registry) readRotation(o web.Object, id string) (next *Rotated, overlap time.Duration, err error) {
	if overlap, err = readOverlap(o); err != nil {
		return nil, 0, err
	}
	secret, plain, err := g.newSecret(o, id)
	if err != nil {
		return nil, 0, web.InvalidRequest("%s: %v", broughtBy(o), err)
	}
	return &Rotated{Secret: secret, Plain: plain}, overlap, nil
}

func readOverlap(o web.Object) (time.Duration, error) {
	if !o.Has("keep_previous") {
		return web.ReadOverlap(o)
	}
	keep, err := web.Decode[bool](o["keep_previous"], "true or false")
	switch {
	case err != nil:
		return 0, web.InvalidRequest("keep_previous: %v", err)
	case keep && o.Has("overlap"):
		return 0, web.InvalidRequest("keep_previous: must not be true together with overlap")
	case keep:
		return keepPrevious, nil
	}
	return web.ReadOverlap(o)
}

// rotatable says beforehand what would keep the client from having this secret too, which the member may have brought. It
// returns the ids under which the client has the secret already: next replaces them.
func (g *Registry) rotatable(ctx context.Context, id string, next store.Secret, member string) (replaced []string, err error) {
	c, err := g.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	if method := c.Metadata.AuthMethod; !g.Offers.BySecret(method) {
		return nil, web.InvalidRequest("The client authenticates by %s and uses no secret; change its %s first, for example to null", method, methodMember)
	}
	active, now := 0, g.Now()
	for _, s := range c.Secrets {
		switch isActive := s.ActiveAt(now); {
		case s.Digest.Equal(next.Digest) && isActive && s.ExpiresAt.IsZero():
			return nil, web.InvalidRequest("%s: is already an active secret of this client", member)
		case s.Digest.Equal(next.Digest):
			replaced = append(replaced, s.ID)
		case isActive:
			active++
		}
	}
	if active >= store.MaxSecrets {
		return nil, web.Conflict("The client already has two active secrets; revoke one first")
	}
	return replaced, nil
}
