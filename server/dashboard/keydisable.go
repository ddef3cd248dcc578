package dashboard

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// DisableKey answers GET and POST /settings/keys/{id}/disable.
func (d *Dashboard) DisableKey(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.setDisabled(w, r, in, ownKeys, true)
}

// EnableKey answers GET and POST /settings/keys/{id}/enable.
func (d *Dashboard) EnableKey(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.setDisabled(w, r, in, ownKeys, false)
}

// OperatorDisable answers GET and POST /operator/keys/{id}/disable.
func (d *Dashboard) OperatorDisable(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.setDisabled(w, r, in, allKeys, true)
}

// OperatorEnable answers GET and POST /operator/keys/{id}/enable.
func (d *Dashboard) OperatorEnable(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.setDisabled(w, r, in, allKeys, false)
}

// keyAt reads the key that the path names. To its owner, another user's is not found.
func (d *Dashboard) keyAt(r *http.Request, in *session, at keyPlace) (*store.APIKey, error) {
	if at.Operator {
		return d.keys.Key(r.Context(), web.Path(r, "id"))
	}
	return d.ownKey(r, in)
}

// setDisabled disables a key or enables it, once the user has confirmed.
func (d *Dashboard) setDisabled(w http.ResponseWriter, r *http.Request, in *session, at keyPlace, disable bool) error {
	key, err := d.keyAt(r, in, at)
	if err != nil {
		return err
	}
	view, err := d.keys.ViewForOperator(r.Context(), key)
	if err != nil {
		return err
	}
	page := at.Base + key.ID
	if !key.Revocable() {
		return seeOther(w, page, "inactive")
	}
	c := d.enableQuestion(view)
	if disable {
		c = d.disableQuestion(view)
	}
	c.Cancel = page
	if at.Operator {
		c.Effects = append(c.Effects, "It belongs to "+ownerOf(view.User, view.UserEmail).Label+".")
	}
	form, err := d.confirmed(w, r, in, c)
	if form == nil {
		return err
	}
	if _, err := d.keys.Patch(r.Context(), key, web.ObjectOf(map[string]any{"disabled": disable}), in.Actor); err != nil {
		return err
	}
	if disable {
		return seeOther(w, page, d.stopped("key-disabled"))
	}
	return seeOther(w, page, "key-enabled")
}

func (d *Dashboard) disableQuestion(view adminapi.Key) confirmation {
	c := confirmation{
		Title: "Disable the API key “" + view.Name + "”?", Button: "Disable key",
		Effects: []string{"The key is rejected at once, until it is enabled again. Its expiry stays as it is."},
	}
	if d.tellLastUse(view, &c) {
		c.Warning += " Programs that use it fail until then."
	}
	return c
}

func (d *Dashboard) enableQuestion(view adminapi.Key) confirmation {
	c := confirmation{
		Title: "Enable the API key “" + view.Name + "”?", Button: "Enable key",
		Effects: []string{"The key works again at once. All who have it can use it, with the scopes " + view.Scope + "."},
	}
	if view.ExpiresAt != nil {
		c.Effects = append(c.Effects, "It expires "+ago(d.now(), *view.ExpiresAt)+", at "+moment(*view.ExpiresAt)+".")
	}
	return c
}
