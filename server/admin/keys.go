package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/mintkeep/mintkeep/server/adminapi"
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

// ListKeys answers GET /admin/keys, newest first, or the busiest ones.
func (a *Admin) ListKeys(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	list := a.listKeys
	switch byUses, err := keys.ReadSort(query); {
	case err != nil:
		return err
	case byUses:
		list = a.Keys.Busiest
	}
	page, err := list(r.Context(), query)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, page)
}

func (a *Admin) listKeys(ctx context.Context, query web.Query) (page adminapi.Page[adminapi.Key], err error) {
	filter, err := keys.ReadFilter(query)
	if err != nil {
		return page, err
	}
	if err := filter.ReadUnused(query, a.Now()); err != nil {
		return page, err
	}
	user, err := query.Text("user")
	if err != nil {
		return page, err
	}
	if filter.UserID, err = a.Users.IDOf(ctx, user); err != nil {
		return page, err
	}
	filter.ForOperator = true
	return a.Keys.Page(ctx, filter, a.cursors)
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

// PatchKey answers PATCH /admin/keys/{id}. An operator who acts through a key enables none with more scopes than that key has.
func (a *Admin) PatchKey(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	key, err := a.Keys.Key(r.Context(), web.Path(r, "id"))
	if err != nil {
		return err
	}
	if key, err = a.Keys.Patch(r.Context(), key, o, by); err != nil {
		return beyond(err)
	}
	view, err := a.Keys.ViewForOperator(r.Context(), key)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, view)
}

// beyond answers that the key through which an operator acts lacks scopes of the other.
func beyond(err error) error {
	var beyond *keys.BeyondError
	if errors.As(err, &beyond) {
		return &web.Error{Status: http.StatusBadRequest, Code: "invalid_scope", Description: beyond.Error()}
	}
	return err
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

// RevokeKeys answers POST /admin/keys/revoke.
func (a *Admin) RevokeKeys(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	several, err := keys.ReadSeveral(o, "revoked by an operator")
	if err != nil {
		return err
	}
	revoked, err := a.Keys.RevokeSeveral(r.Context(), several, "", by)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, revoked)
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
	if err != nil {
		return beyond(err)
	}
	w.Header().Set("Location", a.Config.AdminOrigin()+"/admin/keys/"+successor.ID)
	return web.JSON(w, http.StatusCreated, successor.ViewRotated(key))
}
