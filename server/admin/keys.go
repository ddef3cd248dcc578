package admin

import (
	"errors"
	"net/http"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// CreateKey answers POST /admin/users/{id}/keys, by the one answer that has the new key in it. An operator who acts
// through a key gives no more than that key has.
func (a *Admin) CreateKey(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	spec, err := keys.ReadNewKey(o, a.Now())
	if err != nil {
		return err
	}
	owner, err := a.user(r)
	if err != nil {
		return err
	}
	created, err := a.Keys.Create(r.Context(), owner, spec, by)
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.Config.AdminOrigin()+"/admin/keys/"+created.ID)
	return web.JSON(w, http.StatusCreated, created.View())
}

// ListKeys answers GET /admin/keys, newest first.
func (a *Admin) ListKeys(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	filter, err := keys.ReadFilter(query)
	if err != nil {
		return err
	}
	user, err := query.Text("user")
	if err != nil {
		return err
	}
	if filter.UserID, err = a.Users.IDOf(r.Context(), user); err != nil {
		return err
	}
	filter.ForOperator = true
	page, err := a.Keys.Page(r.Context(), filter, a.cursors)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, page)
}

// ShowKey answers GET /admin/keys/{id}.
func (a *Admin) ShowKey(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	key, err := a.Keys.Key(r.Context(), web.Path(r, "id"))
	if err != nil {
		return err
	}
	view, err := a.Keys.ViewForOperator(r.Context(), key)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, view)
}

// RevokeKey answers DELETE /admin/keys/{id}.
func (a *Admin) RevokeKey(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	reason, err := keys.ReadReason(query, "revoked by an operator")
	if err != nil {
		return err
	}
	id := web.Path(r, "id")
	key, err := a.Keys.Key(r.Context(), id)
	var answered *web.Error // not found
	switch {
	case errors.As(err, &answered):
		return err
	case err != nil:
		key = &store.APIKey{ID: id} // what cannot be read can be revoked
	}
	if err := a.Keys.Revoke(r.Context(), key, reason, by); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return web.NoContent(w)
}

// RotateKey answers POST /admin/keys/{id}/rotate, by the one answer that has the successor in it. An operator who acts
// through a key gives no more than that key has.
func (a *Admin) RotateKey(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	overlap, err := web.ReadOverlap(o)
	if err != nil {
		return err
	}
	key, err := a.Keys.Key(r.Context(), web.Path(r, "id"))
	if err != nil {
		return err
	}
	owner, err := a.Users.User(r.Context(), key.UserID)
	if err != nil {
		return err
	}
	successor, err := a.Keys.Rotate(r.Context(), owner, key, overlap, by)
	var beyond *keys.BeyondError
	if errors.As(err, &beyond) {
		return &web.Error{Status: http.StatusBadRequest, Code: "invalid_scope", Description: beyond.Error()}
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.Config.AdminOrigin()+"/admin/keys/"+successor.ID)
	return web.JSON(w, http.StatusCreated, successor.ViewRotated(key))
}
