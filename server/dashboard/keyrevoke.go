package dashboard

import (
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/store"
)

// RevokeKey answers GET and POST /settings/keys/{id}/revoke: the question, and the revocation.
func (d *Dashboard) RevokeKey(w http.ResponseWriter, r *http.Request, in *session) error {
	key, err := d.ownKey(r, in)
	if err != nil {
		return err
	}
	return d.revokeKey(w, r, in, key, revocation{
		Back: "/settings/keys/" + key.ID, Done: "/settings", Reason: "optional; kept in the key’s history", Otherwise: "revoked by its owner",
	})
}

// revocation is how a page revokes a key.
type revocation struct {
	Back, Done string // where Cancel leads, and where the revocation does
	Reason     string // the hint of the field
	Otherwise  string // what stands for no reason
	Owner      string // the email of the owner, if it is another user's key
}

func (d *Dashboard) revokeKey(w http.ResponseWriter, r *http.Request, in *session, key *store.APIKey, how revocation) error {
	view, err := d.keys.View(r.Context(), key)
	if err != nil {
		return err
	}
	if view.Revocation != nil {
		return d.revokeInactive(w, r, in, key, how)
	}
	c := d.revokeQuestion(view, how)
	form, err := d.confirmed(w, r, in, c)
	if form == nil {
		return err
	}
	reason, err := keys.CheckReason(form.Get("reason"), how.Otherwise)
	if err != nil {
		return d.confirmAgain(w, r, in, c, form, "reason", "Reason "+err.Error()+".")
	}
	if err := d.keys.Revoke(r.Context(), key, reason, in.Actor); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return seeOther(w, how.Done, d.stopped("revoked"))
}

// revokeInactive has nothing to ask: the key is revoked or has expired. A form that asks for it all the same may repeat a
// revocation that was not confirmed, and confirms it.
func (d *Dashboard) revokeInactive(w http.ResponseWriter, r *http.Request, in *session, key *store.APIKey, how revocation) error {
	if r.Method == http.MethodPost {
		if _, err := in.form(r); err != nil {
			return err
		}
		if err := d.keys.Revoke(r.Context(), key, how.Otherwise, in.Actor); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return seeOther(w, how.Back, "inactive")
}

// revokeQuestion asks whether to revoke a key. Something must be typed if the key was used within a day, so that revoking it
// is likely to break something.
func (d *Dashboard) revokeQuestion(view adminapi.Key, how revocation) confirmation {
	c := confirmation{
		Title: "Revoke the API key “" + view.Name + "”?", Button: "Revoke key", Cancel: how.Back, Reason: how.Reason, Reasons: revokeReasons,
		Effects: []string{"The key stops working at once. A revoked key cannot be activated again."},
	}
	if how.Owner != "" {
		c.Effects = append(c.Effects, "It belongs to "+how.Owner+".")
	}
	if d.tellLastUse(view, &c) {
		c.Warning += " Programs that use it stop working."
		c.Type, c.Kind = typedOf(view)
	}
	return c
}

// revokeReasons are proposed to the user, who may type another.
var revokeReasons = []string{"leaked, or may have leaked", "no longer needed", "replaced by another key", "the owner has left"}

// longestTyped is how many characters of a name are typed to confirm.
const longestTyped = 20

// typedOf is what is typed to confirm that a key is the right one: its name, or the end of the key if the name is long.
func typedOf(view adminapi.Key) (text, kind string) {
	if utf8.RuneCountInString(view.Name) > longestTyped && view.LastFour != "" {
		return view.LastFour, "last four characters of the key"
	}
	return view.Name, "name"
}

// tellLastUse adds to a question when a key was last used: as a warning, if that was within a day.
func (d *Dashboard) tellLastUse(view adminapi.Key, c *confirmation) (recent bool) {
	if view.LastUsed == nil {
		c.Effects = append(c.Effects, "It was never used.")
		return false
	}
	used := ago(d.now(), view.LastUsed.At) + " " + through(view.LastUsed.From) + "."
	if d.recent(view.LastUsed.At) {
		c.Warning = "Used " + used
		return true
	}
	c.Effects = append(c.Effects, "It was last used "+used)
	return false
}
