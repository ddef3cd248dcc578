package clients

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const maxLiveSecrets = 2 // as the store has it

// RevokeSecret ends one secret of a client.
func (g *Registry) RevokeSecret(r *http.Request, id, secretID, actor string) error {
	if checkID(id) != nil {
		return errNoClient
	}
	detail := map[string]string{"secret": secretID}
	err := g.end(r, web.Act{Actor: actor, Action: secretEnded, Target: ClientTarget(id), Detail: detail}, func(ctx context.Context) error {
		return g.Store.RevokeSecret(ctx, id, secretID, g.cause(actor))
	})
	if errors.Is(err, store.ErrNotFound) {
		return web.NotFound("Secret")
	}
	return err
}

// Rotated is a client's new secret, and the one before with its new end; nil if there was none.
type Rotated struct {
	store.Secret
	Plain    string // to be shown this once; empty if the operator brought it
	Previous *store.Secret
}

// RotateSecret gives a client a second secret. The present one lives on for the overlap.
func (g *Registry) RotateSecret(r *http.Request, id string, o web.Object, actor string) (*Rotated, error) {
	next, overlap, err := g.readRotation(o)
	if err != nil {
		return nil, err
	}
	if err := g.rotatable(r.Context(), id, next.Secret); err != nil {
		return nil, err
	}
	detail := map[string]string{"secret": next.ID, "overlap": overlap.String()}
	err = g.change(r, web.Act{Actor: actor, Action: secretRotated, Target: ClientTarget(id), Detail: detail}, func(ctx context.Context) (err error) {
		next.Previous, err = g.Store.AddSecret(ctx, id, next.Secret, g.instant().Add(overlap), g.cause(actor))
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return nil, web.Conflict("The client has two live secrets, or another change came first; look at its secrets and repeat")
	}
	return next, noClient(err)
}

func (g *Registry) readRotation(o web.Object) (next *Rotated, overlap time.Duration, err error) {
	if overlap, err = web.ReadOverlap(o); err != nil {
		return nil, 0, err
	}
	secret, plain, err := g.newSecret(o)
	if err != nil {
		return nil, 0, web.InvalidRequest("client_secret: %v", err)
	}
	return &Rotated{Secret: secret, Plain: plain}, overlap, nil
}

// rotatable says beforehand what would keep the client from having this secret too.
func (g *Registry) rotatable(ctx context.Context, id string, next store.Secret) error {
	c, err := g.Client(ctx, id)
	if err != nil {
		return err
	}
	live, now := 0, g.Now()
	for _, s := range c.Secrets {
		if !s.ActiveAt(now) {
			continue
		}
		live++
		if s.Digest.Equal(next.Digest) { // its end would be that of neither
			return web.InvalidRequest("client_secret: is a live secret of this client already")
		}
	}
	if live >= maxLiveSecrets {
		return web.Conflict("Two secrets are live already; end one first")
	}
	return nil
}
