package dashboard

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// allKeys is a page of everybody's keys.
type allKeys struct {
	operatorPage
	*keyList
	User string // of whom, if it is of one
}

// OperatorKeys answers GET /operator/keys.
func (d *Dashboard) OperatorKeys(w http.ResponseWriter, r *http.Request) error {
	return d.operator(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
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
		return d.show(w, http.StatusOK, "operatorkeys", v.page(r, "API keys", "operator", allKeys{operatorPage{"keys"}, list, user}))
	})
}

// operatorKey is the page of somebody's key.
type operatorKey struct {
	operatorPage
	*keyPage
	Owner *store.User // nil: deleted
}

// OperatorKey answers GET /operator/keys/{id}.
func (d *Dashboard) OperatorKey(w http.ResponseWriter, r *http.Request) error {
	return d.operator(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		key, err := d.keys.Find(r)
		if err != nil {
			return err
		}
		return d.showOperatorKey(w, r, v, key, http.StatusOK, "")
	})
}

func (d *Dashboard) showOperatorKey(w http.ResponseWriter, r *http.Request, v *visitor, key *store.APIKey, status int, problem string) error {
	content, err := d.keyPage(r, v, key)
	if err != nil {
		return err
	}
	content.Problem = problem
	owner, err := d.store.User(r.Context(), key.UserID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return d.show(w, status, "operatorkey", v.page(r, key.Name, "operator", operatorKey{operatorPage{"keys"}, content, owner}))
}

// OperatorRevoke answers POST /operator/keys/{id}/revoke.
func (d *Dashboard) OperatorRevoke(w http.ResponseWriter, r *http.Request) error {
	return d.operator(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		key, err := d.keys.Find(r)
		if err != nil {
			return err
		}
		reason, err := keys.CheckReason(form.Get("reason"), "revoked by an operator")
		if err != nil {
			return d.showOperatorKey(w, r, v, key, http.StatusBadRequest, "The reason "+err.Error()+".")
		}
		if err := d.keys.End(r, key, v.actor(), reason); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return seeOther(w, "/operator/keys/"+url.PathEscape(key.ID), "revoked")
	})
}
