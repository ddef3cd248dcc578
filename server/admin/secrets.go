package admin

import (
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
)

func (a *Admin) listSecrets(w http.ResponseWriter, r *http.Request, _ string) error {
	c, uses, err := a.find(r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, web.Page[secretView]{Items: secretViews(c, uses, a.now())})
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
	if err := a.clients.RevokeSecret(r, web.Path(r, "id"), web.Path(r, "secret_id"), actor); err != nil {
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
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	id := web.Path(r, "id")
	made, err := a.clients.RotateSecret(r, id, o, actor)
	if err != nil {
		return err
	}
	view := rotatedView{ID: made.ID, Secret: made.Plain, CreatedAt: web.Time(made.CreatedAt), LastFour: lastFour(made.Secret)}
	if previous := made.Previous; previous != nil {
		view.Previous = &previousView{previous.ID, web.Time(previous.ExpiresAt)}
	}
	w.Header().Set("Location", a.config.Issuer+"/admin/clients/"+id+"/secrets/"+made.ID)
	return web.JSON(w, http.StatusCreated, view)
}
