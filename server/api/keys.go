package api

import (
	"errors"
	"net/http"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// ListKeys answers GET /api/v1/keys.
func (a *API) ListKeys(w http.ResponseWriter, r *http.Request, who *bearer.Principal) error {
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	filter, err := keys.ReadFilter(query)
	if err != nil {
		return err
	}
	filter.UserID = who.User.ID
	var page adminapi.KeyPage
	if page.Page, err = a.keys.Page(r.Context(), filter, a.cursors); err != nil {
		return err
	}
	if page.Notices, err = a.keys.Notices(r.Context(), who.User.ID); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, page)
}

// CreateKey answers POST /api/v1/keys.
func (a *API) CreateKey(w http.ResponseWriter, r *http.Request, who *bearer.Principal) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	spec, err := keys.ReadNewKey(o, a.now())
	if err != nil {
		return err
	}
	created, err := a.keys.CreateOwn(r.Context(), who.User, spec, who.Actor(r.Context()))
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.config.Issuer+KeysPath+"/"+created.ID)
	return web.JSON(w, http.StatusCreated, created.View())
}

// ShowKey answers GET /api/v1/keys/{id}.
func (a *API) ShowKey(w http.ResponseWriter, r *http.Request, who *bearer.Principal) error {
	key, err := a.ownKey(r, who)
	if err != nil {
		return err
	}
	view, err := a.keys.View(r.Context(), key)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, view)
}

// ownKey is the key that the path names, if it is the caller's. Another user's is not found.
func (a *API) ownKey(r *http.Request, who *bearer.Principal) (*store.APIKey, error) {
	key, err := a.keys.Key(r.Context(), web.Path(r, "id"))
	if err == nil && key.UserID != who.User.ID {
		return nil, web.NotFound("Key")
	}
	return key, err
}

// PatchKey answers PATCH /api/v1/keys/{id}.
func (a *API) PatchKey(w http.ResponseWriter, r *http.Request, who *bearer.Principal) error {
	key, err := a.ownKey(r, who)
	if err != nil {
		return err
	}
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	key, err = a.keys.Patch(r.Context(), key, o, who.Actor(r.Context()))
	if err != nil {
		return a.beyond(err)
	}
	view, err := a.keys.View(r.Context(), key)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, view)
}

// beyond answers that the calling key lacks scopes of the other (RFC 6750 §3.1).
func (a *API) beyond(err error) error {
	var beyond *keys.BeyondError
	if errors.As(err, &beyond) {
		return a.resource.Forbidden(beyond.Scope, beyond.Error())
	}
	return err
}

// RevokeKey answers DELETE /api/v1/keys/{id}.
func (a *API) RevokeKey(w http.ResponseWriter, r *http.Request, who *bearer.Principal) error {
	key, err := a.ownKey(r, who)
	if err != nil {
		return err
	}
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	reason, err := keys.ReadReason(query, "revoked by its owner")
	if err != nil {
		return err
	}
	if err := a.keys.Revoke(r.Context(), key, reason, who.Actor(r.Context())); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return web.NoContent(w)
}

// RevokeKeys answers POST /api/v1/keys/revoke.
func (a *API) RevokeKeys(w http.ResponseWriter, r *http.Request, who *bearer.Principal) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	several, err := keys.ReadSeveral(o, "revoked by its owner")
	if err != nil {
		return err
	}
	revoked, err := a.keys.RevokeSeveral(r.Context(), several, who.User.ID, who.Actor(r.Context()))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, revoked)
}

// RotateKey answers POST /api/v1/keys/{id}/rotate.
func (a *API) RotateKey(w http.ResponseWriter, r *http.Request, who *bearer.Principal) error {
	key, err := a.ownKey(r, who)
	if err != nil {
		return err
	}
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	overlap, err := web.ReadOverlap(o)
	if err != nil {
		return err
	}
	successor, err := a.keys.RotateOwn(r.Context(), who.User, key, overlap, who.Actor(r.Context()))
	if err != nil {
		return a.beyond(err)
	}
	w.Header().Set("Location", a.config.Issuer+KeysPath+"/"+successor.ID)
	return web.JSON(w, http.StatusCreated, successor.ViewRotated(key))
}
