package admin

import (
	"errors"
	"net/http"
	"strings"

	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// createKey makes a key for a person. Whoever does so by a key gives no more than that key has.
func (a *Admin) createKey(w http.ResponseWriter, r *http.Request, by keys.Maker) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	wish, err := keys.ReadWish(o, a.now())
	if err != nil {
		return err
	}
	owner, err := a.findUser(r)
	if err != nil {
		return err
	}
	made, err := a.keys.Make(r, owner, wish, by)
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.config.Issuer+"/admin/keys/"+made.ID)
	return web.JSON(w, http.StatusCreated, made.View())
}

func (a *Admin) listKeys(w http.ResponseWriter, r *http.Request, _ string) error {
	filter, err := keys.ReadFilter(r)
	if err != nil {
		return err
	}
	if filter.UserID, err = a.keyOwner(r); err != nil {
		return err
	}
	filter.ForOperator = true
	page, err := a.keys.Page(r, filter, a.cursors)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, page)
}

// keyOwner is the person whose keys are wanted: an id, or the email of somebody who is there. Nobody has keys
// under another.
func (a *Admin) keyOwner(r *http.Request) (string, error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return "", err
	}
	user, err := query.Text("user")
	if err != nil || !strings.Contains(user, "@") {
		return user, err
	}
	switch u, err := a.store.UserByEmail(r.Context(), user); {
	case err == nil:
		return u.ID, nil
	case !errors.Is(err, store.ErrNotFound):
		return "", err
	}
	return user, nil
}

func (a *Admin) showKey(w http.ResponseWriter, r *http.Request, _ string) error {
	key, err := a.keys.Find(r)
	if err != nil {
		return err
	}
	view, err := a.keys.View(r.Context(), key)
	if err != nil {
		return err
	}
	view.User = key.UserID
	return web.JSON(w, http.StatusOK, view)
}

func (a *Admin) endKey(w http.ResponseWriter, r *http.Request, actor string) error {
	reason, err := keys.ReadReason(r, "revoked by an operator")
	if err != nil {
		return err
	}
	key, err := a.keys.Find(r)
	var answered *web.Error // not found
	switch {
	case errors.As(err, &answered):
		return err
	case err != nil:
		key = &store.APIKey{ID: web.Path(r, "id")} // what cannot be read can be ended
	}
	if err := a.keys.End(r, key, actor, reason); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return web.NoContent(w)
}
