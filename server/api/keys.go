package api

import (
	"errors"
	"net/http"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// owner lets the owner of keys in, by a key of theirs that may see to the others.
func (a *API) owner(w http.ResponseWriter, r *http.Request) (*bearer.Holder, error) {
	h, err := a.enter(w, r, scope.Keys)
	if err == nil && h.User == nil {
		return nil, a.door.Forbidden(scope.Keys, "Keys belong to people: an API key with the scope mintkeep:keys is needed")
	}
	return h, err
}

// ListKeys answers GET /api/v1/keys.
func (a *API) ListKeys(w http.ResponseWriter, r *http.Request) error {
	h, err := a.owner(w, r)
	if err != nil {
		return err
	}
	filter, err := keys.ReadFilter(r)
	if err != nil {
		return err
	}
	filter.UserID = h.User.ID
	page, err := a.keys.Page(r, filter, a.cursors)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, page)
}

// CreateKey answers POST /api/v1/keys.
func (a *API) CreateKey(w http.ResponseWriter, r *http.Request) error {
	h, err := a.owner(w, r)
	if err != nil {
		return err
	}
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	wish, err := keys.ReadWish(o, a.now())
	if err != nil {
		return err
	}
	made, err := a.keys.Make(r, h.User, wish, keys.MakerOf(h))
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.config.Issuer+KeysPath+"/"+made.ID)
	return web.JSON(w, http.StatusCreated, made.View())
}

// ShowKey answers GET /api/v1/keys/{id}.
func (a *API) ShowKey(w http.ResponseWriter, r *http.Request) error {
	_, key, err := a.own(w, r)
	if err != nil {
		return err
	}
	view, err := a.keys.View(r.Context(), key)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, view)
}

// own is the key that the path names, if it is the caller's. Another's is not there.
func (a *API) own(w http.ResponseWriter, r *http.Request) (*bearer.Holder, *store.APIKey, error) {
	h, err := a.owner(w, r)
	if err != nil {
		return nil, nil, err
	}
	key, err := a.keys.Find(r)
	if err == nil && key.UserID != h.User.ID {
		return nil, nil, web.NotFound("Key")
	}
	return h, key, err
}

// RevokeKey answers DELETE /api/v1/keys/{id}.
func (a *API) RevokeKey(w http.ResponseWriter, r *http.Request) error {
	h, key, err := a.own(w, r)
	if err != nil {
		return err
	}
	reason, err := keys.ReadReason(r, "revoked by its owner")
	if err != nil {
		return err
	}
	if err := a.keys.End(r, key, h.Actor(), reason); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return web.NoContent(w)
}

// rotatedView is a successor, and when the key that it replaces ends.
type rotatedView struct {
	keys.NewView
	Previous keys.PreviousView `json:"previous"`
}

// RotateKey answers POST /api/v1/keys/{id}/rotate.
func (a *API) RotateKey(w http.ResponseWriter, r *http.Request) error {
	h, key, err := a.own(w, r)
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
	made, err := a.keys.Rotate(r, h.User, key, overlap, keys.MakerOf(h))
	var beyond *keys.BeyondError
	if errors.As(err, &beyond) {
		return a.door.Forbidden(beyond.Scope, "The key has scopes that the key which rotates it has not")
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.config.Issuer+KeysPath+"/"+made.ID)
	return web.JSON(w, http.StatusCreated, rotatedView{made.View(), keys.PreviousView{ID: key.ID, ExpiresAt: web.Time(key.ExpiresAt)}})
}
