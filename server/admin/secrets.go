package admin

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
)

// ListSecrets answers GET /admin/clients/{id}/secrets.
func (a *Admin) ListSecrets(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	c, uses, err := a.client(r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, adminapi.Page[adminapi.Secret]{Items: a.secretViews(c, uses.Secrets)})
}

// ShowSecret answers GET /admin/clients/{id}/secrets/{secret_id}.
func (a *Admin) ShowSecret(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	c, uses, err := a.client(r)
	if err != nil {
		return err
	}
	for _, view := range a.secretViews(c, uses.Secrets) {
		if view.ID == web.Path(r, "secret_id") {
			return web.JSON(w, http.StatusOK, view)
		}
	}
	return web.NotFound("Secret")
}

// RevokeSecret answers DELETE /admin/clients/{id}/secrets/{secret_id}.
func (a *Admin) RevokeSecret(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	if err := a.Clients.RevokeSecret(r.Context(), web.Path(r, "id"), web.Path(r, "secret_id"), by); err != nil {
		return err
	}
	return web.NoContent(w)
}

// RotateSecret answers POST /admin/clients/{id}/secrets, by the one answer that has the new secret in it.
func (a *Admin) RotateSecret(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	id := web.Path(r, "id")
	next, err := a.Clients.RotateSecret(r.Context(), id, o, by)
	if err != nil {
		return err
	}
	view := adminapi.RotatedSecret{ID: next.ID, Secret: next.Plain, CreatedAt: web.Time(next.CreatedAt), LastFour: lastFour(next.Secret)}
	if previous := next.Previous; previous != nil {
		view.Previous = &adminapi.Previous{ID: previous.ID, ExpiresAt: web.Time(previous.ExpiresAt)}
	}
	w.Header().Set("Location", a.Config.AdminOrigin()+"/admin/clients/"+id+"/secrets/"+next.ID)
	return web.JSON(w, http.StatusCreated, view)
}
