package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 720 * time.Hour
	maxLiveSecrets = 2 // as the store has it
)

func (a *Admin) listSecrets(w http.ResponseWriter, r *http.Request, _ string) error {
	c, uses, err := a.find(r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, page[secretView]{Items: secretViews(c, uses, a.now())})
}

func (a *Admin) showSecret(w http.ResponseWriter, r *http.Request, _ string) error {
	c, uses, err := a.find(r)
	if err != nil {
		return err
	}
	for _, view := range secretViews(c, uses, a.now()) {
		if view.ID == web.Path(r, "secret_id") {
			return web.JSON(w, http.StatusOK, view)
		}
	}
	return web.NotFound("Secret")
}

func (a *Admin) endSecret(w http.ResponseWriter, r *http.Request, actor string) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	secretID := web.Path(r, "secret_id")
	detail := map[string]string{"secret": secretID}
	err = a.end(r, act{actor, secretEnded, clientTarget(id), detail}, func(ctx context.Context) error {
		return a.store.EndSecret(ctx, id, secretID)
	})
	if errors.Is(err, store.ErrNotFound) {
		return web.NotFound("Secret")
	}
	if err != nil {
		return err
	}
	return web.NoContent(w)
}

// rotatedView is the other answer with a secret in it.
type rotatedView struct {
	ID        string        `json:"id"`
	Secret    string        `json:"client_secret,omitempty"`
	CreatedAt time.Time     `json:"created_at"`
	ExpiresAt *time.Time    `json:"expires_at"`
	LastFour  *string       `json:"last_four"`
	Previous  *previousView `json:"previous,omitempty"`
}

type previousView struct {
	ID        string    `json:"id"`
	ExpiresAt time.Time `json:"expires_at"`
}

func (a *Admin) rotateSecret(w http.ResponseWriter, r *http.Request, actor string) error {
	next, plain, overlap, err := a.readRotation(r)
	if err != nil {
		return err
	}
	c, err := a.rotatable(r, next)
	if err != nil {
		return err
	}
	var previous *store.Secret
	detail := map[string]string{"secret": next.ID, "overlap": overlap.String()}
	err = a.change(r, act{actor, secretRotated, clientTarget(c.ID), detail}, func(ctx context.Context) (err error) {
		previous, err = a.store.AddSecret(ctx, c.ID, next, a.instant().Add(overlap))
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return web.Conflict("The client has two live secrets, or another change came first; look at its secrets and repeat")
	}
	if err != nil {
		return noClient(err)
	}
	view := rotatedView{ID: next.ID, Secret: plain, CreatedAt: shown(next.CreatedAt), LastFour: lastFour(next)}
	if previous != nil {
		view.Previous = &previousView{previous.ID, shown(previous.ExpiresAt)}
	}
	w.Header().Set("Location", a.config.Issuer+"/admin/clients/"+c.ID+"/secrets/"+next.ID)
	return web.JSON(w, http.StatusCreated, view)
}

func (a *Admin) readRotation(r *http.Request) (next store.Secret, plain string, overlap time.Duration, err error) {
	o, err := readObject(r)
	if err != nil {
		return next, "", 0, err
	}
	overlap, err = readOverlap(o)
	if err != nil {
		return next, "", 0, web.InvalidRequest("overlap: %v", err)
	}
	next, plain, err = a.newSecret(o)
	if err != nil {
		return next, "", 0, web.InvalidRequest("client_secret: %v", err)
	}
	return next, plain, overlap, nil
}

func readOverlap(o object) (time.Duration, error) {
	if !o.has("overlap") {
		return defaultOverlap, nil
	}
	text, err := decode[string](o["overlap"], "a string such as 24h")
	if err != nil {
		return 0, err
	}
	overlap, err := time.ParseDuration(text)
	if err != nil || overlap < 0 || overlap > maxOverlap {
		return 0, errors.New("must be a duration from 0s to 720h, such as 90s or 24h")
	}
	return overlap, nil
}

// rotatable says beforehand what would keep the client from having this secret too.
func (a *Admin) rotatable(r *http.Request, next store.Secret) (*store.Client, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	c, err := a.store.Client(r.Context(), id)
	if err != nil {
		return nil, noClient(err)
	}
	live, now := 0, a.now()
	for _, s := range c.Secrets {
		if !s.LiveAt(now) {
			continue
		}
		live++
		if s.Digest.Equal(next.Digest) { // its end would be that of neither
			return nil, web.InvalidRequest("client_secret: is a live secret of this client already")
		}
	}
	if live >= maxLiveSecrets {
		return nil, web.Conflict("Two secrets are live already; end one first")
	}
	return c, nil
}
