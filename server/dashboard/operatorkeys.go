package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// operatorKeys is a page of all users' keys.
type operatorKeys struct {
	operatorPage
	*keyList
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
	id, err := d.users.IDOf(r.Context(), user)
	if err != nil {
		return err
	}
	list, err := d.listKeys(r, allKeys, id)
	if err != nil {
		return err
	}
	if err := d.explainOwners(r.Context(), list.Keys); err != nil {
		return err
	}
	return d.show(w, http.StatusOK, "operatorkeys", in.page(r, "API keys", "operator", operatorKeys{operatorPage{"keys"}, list}))
}

// explainOwners tells owners who are deleted from those whose record cannot be read.
func (d *Dashboard) explainOwners(ctx context.Context, rows []keyRow) error {
	var nameless []string
	for _, row := range rows {
		if row.Owner.Gone != "" {
			nameless = append(nameless, audit.UserTarget(row.Owner.ID))
		}
	}
	if len(nameless) == 0 {
		return nil
	}
	names, err := d.refs(ctx, nameless...)
	if err != nil {
		return err
	}
	for i, row := range rows {
		if row.Owner.Gone != "" {
			rows[i].Owner = names.of(audit.UserTarget(row.Owner.ID))
		}
	}
	return nil
}

// operatorKey is the page of any user's key.
type operatorKey struct {
	operatorPage
	*keyPage
	Suspended bool // the owner is disabled
}

// OperatorKey answers GET /operator/keys/{id}.
func (d *Dashboard) OperatorKey(w http.ResponseWriter, r *http.Request, in *session) error {
	key, err := d.keys.Key(r.Context(), web.Path(r, "id"))
	if err != nil {
		return err
	}
	content, err := d.keyPage(r, in, key, allKeys)
	if err != nil {
		return err
	}
	owner, err := d.owner(r, key)
	if err != nil {
		return err
	}
	content.Owner = ownerOf(key.UserID, "")
	if owner != nil {
		content.Owner = ownerOf(owner.ID, owner.Metadata.Email)
	}
	p := operatorKey{operatorPage{"keys"}, content, owner != nil && !owner.Enabled}
	return d.show(w, http.StatusOK, "operatorkey", in.page(r, key.Name, "operator", p))
}

// owner reads whose key it is; nil if the user is deleted.
func (d *Dashboard) owner(r *http.Request, key *store.APIKey) (*store.User, error) {
	owner, err := d.store.User(r.Context(), key.UserID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return owner, err
}

// ownerOf names the owner of a key; without an email, the user is deleted.
func ownerOf(id, email string) ref {
	if email == "" {
		return ref{Kind: "user", Label: id, ID: id, Gone: "deleted"}
	}
	return ref{Kind: "user", Label: email, ID: id, Link: userURL(id)}
}

// OperatorRevoke answers GET and POST /operator/keys/{id}/revoke: the question, and the revocation.
func (d *Dashboard) OperatorRevoke(w http.ResponseWriter, r *http.Request, in *session) error {
	key, err := d.keys.Key(r.Context(), web.Path(r, "id"))
	if err != nil {
		return err
	}
	owner, err := d.owner(r, key)
	if err != nil {
		return err
	}
	page := "/operator/keys/" + url.PathEscape(key.ID)
	how := revocation{Back: page, Done: page, Reason: "optional; the owner sees it", Otherwise: "revoked by an operator", Owner: "a deleted user"}
	if owner != nil {
		how.Owner = owner.Metadata.Email
	}
	return d.revokeKey(w, r, in, key, how)
}
