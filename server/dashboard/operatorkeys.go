package dashboard

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// allKeys is a page of all users' keys.
type allKeys struct {
	operatorPage
	*keyList
	User string // of whom, if it is of one
}

// OperatorKeys answers GET /operator/keys.
func (d *Dashboard) OperatorKeys(w http.ResponseWriter, r *http.Request, in *session) error {
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	user, err := query.Text("user")
	if err != nil {
		return err
	}
	list, err := d.listKeys(r, "/operator/keys", store.KeyFilter{UserID: user})
	if err != nil {
		return err
	}
	if list.Next != "" && user != "" {
		list.Next += "&" + url.Values{"user": {user}}.Encode()
	}
	return d.show(w, http.StatusOK, "operatorkeys", in.page(r, "API keys", "operator", allKeys{operatorPage{"keys"}, list, user}))
}

// operatorKey is the page of any user's key.
type operatorKey struct {
	operatorPage
	*keyPage
	Owner *store.User // nil: deleted
}

// OperatorKey answers GET /operator/keys/{id}.
func (d *Dashboard) OperatorKey(w http.ResponseWriter, r *http.Request, in *session) error {
	key, err := d.keys.Key(r.Context(), web.Path(r, "id"))
	if err != nil {
		return err
	}
	return d.showOperatorKey(w, r, in, key, http.StatusOK, "")
}

func (d *Dashboard) showOperatorKey(w http.ResponseWriter, r *http.Request, in *session, key *store.APIKey, status int, problem string) error {
	content, err := d.keyPage(r, in, key)
	if err != nil {
		return err
	}
	content.Problem = problem
	owner, err := d.store.User(r.Context(), key.UserID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return d.show(w, status, "operatorkey", in.page(r, key.Name, "operator", operatorKey{operatorPage{"keys"}, content, owner}))
}

// OperatorRevoke answers POST /operator/keys/{id}/revoke.
func (d *Dashboard) OperatorRevoke(w http.ResponseWriter, r *http.Request, in *session) error {
	form, err := in.form(r)
	if err != nil {
		return err
	}
	key, err := d.keys.Key(r.Context(), web.Path(r, "id"))
	if err != nil {
		return err
	}
	reason, err := keys.CheckReason(form.Get("reason"), "revoked by an operator")
	if err != nil {
		return d.showOperatorKey(w, r, in, key, http.StatusBadRequest, "The reason "+err.Error()+".")
	}
	if err := d.keys.Revoke(r.Context(), key, reason, in.Actor); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return seeOther(w, "/operator/keys/"+url.PathEscape(key.ID), "revoked")
}
