package dashboard

import (
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// keyPage is the page of one key.
type keyPage struct {
	keyRow
	History  []event
	Once     string
	Overlaps []choice
	Problem  string
	Uses     *chart
}

// event is a line of a key's history.
type event struct {
	At   *time.Time
	What string
	Who  string
}

// ownKey reads the key that the path names, if it is the user's. Another user's is not found.
func (d *Dashboard) ownKey(r *http.Request, in *session) (*store.APIKey, error) {
	key, err := d.keys.Key(r.Context(), web.Path(r, "id"))
	if err == nil && key.UserID != in.UserID {
		return nil, web.NotFound("Key")
	}
	return key, err
}

// KeyPage answers GET /settings/keys/{id}.
func (d *Dashboard) KeyPage(w http.ResponseWriter, r *http.Request, in *session) error {
	key, err := d.ownKey(r, in)
	if err != nil {
		return err
	}
	return d.showKeyPage(w, r, in, key, http.StatusOK, "")
}

func (d *Dashboard) showKeyPage(w http.ResponseWriter, r *http.Request, in *session, key *store.APIKey, status int, problem string) error {
	content, err := d.keyPage(r, in, key)
	if err != nil {
		return err
	}
	content.Problem = problem
	return d.show(w, status, "key", in.page(r, key.Name, "keys", content))
}

func (d *Dashboard) keyPage(r *http.Request, in *session, key *store.APIKey) (*keyPage, error) {
	view, err := d.keys.View(r.Context(), key)
	if err != nil {
		return nil, err
	}
	p := &keyPage{keyRow: rowOf(view, d.now()), History: history(key, view, in.User), Once: rand.Text()}
	for _, o := range overlaps {
		p.Overlaps = append(p.Overlaps, choice{o.value, o.label, "", o.value == "24h"})
	}
	uses, err := d.store.KeyDays(r.Context(), key.ID)
	if err != nil {
		return nil, err
	}
	p.Uses = usesChart(uses)
	return p, nil
}

var overlaps = []struct{ value, label string }{
	{"0s", "at once"}, {"1h", "in an hour"}, {"24h", "in 24 hours"}, {"168h", "in 7 days"},
}

// history tells what happened to a key, the latest first.
func history(key *store.APIKey, view adminapi.Key, user *store.User) (h []event) {
	who := func(actor string) string {
		switch actor {
		case store.UserActor(user.ID).Name:
			return "you"
		case audit.AdminTokenName, audit.NextAdminTokenName:
			return "an operator"
		}
		return actor
	}
	if revoked := view.Revocation; revoked != nil {
		h = append(h, event{revoked.At, "Ended: " + revoked.Reason, who(revoked.By)})
	}
	if key.RotatedTo != "" {
		h = append(h, event{web.TimeOrNull(key.RotatedAt), "Rotated; the successor is " + key.RotatedTo, who(key.RotatedBy)})
	}
	return append(h, event{&view.CreatedAt, "Created", who(key.CreatedBy)})
}

// RenameKey answers POST /settings/keys/{id}/rename.
func (d *Dashboard) RenameKey(w http.ResponseWriter, r *http.Request, in *session) error {
	key, err := d.ownKey(r, in)
	if err != nil {
		return err
	}
	form, err := in.form(r)
	if err != nil {
		return err
	}
	name, err := keys.CheckName(form.Get("name"))
	if err != nil {
		return d.showKeyPage(w, r, in, key, http.StatusBadRequest, "The name "+err.Error()+".")
	}
	if err := d.keys.Rename(r.Context(), key, name, in.Actor); err != nil {
		return err
	}
	return seeOther(w, "/settings/keys/"+key.ID, "renamed")
}

// RotateKey answers POST /settings/keys/{id}/rotate, with the page that shows the successor.
func (d *Dashboard) RotateKey(w http.ResponseWriter, r *http.Request, in *session) error {
	key, err := d.ownKey(r, in)
	if err != nil {
		return err
	}
	form, err := in.form(r)
	if err != nil {
		return err
	}
	overlap, err := time.ParseDuration(form.Get("overlap"))
	if err != nil || overlap < 0 || overlap > 720*time.Hour {
		return d.showKeyPage(w, r, in, key, http.StatusBadRequest, "Choose when the old key ends.")
	}
	return d.once(w, r, in, form, func() (string, error) {
		successor, err := d.keys.Rotate(r.Context(), in.User, key, overlap, in.Actor)
		var answered *web.Error
		if errors.As(err, &answered) && slices.Contains(shownAgain, answered.Status) {
			answered.SetHeaders(w)
			return "", d.showKeyPage(w, r, in, key, answered.Status, sentence(answered.Description))
		}
		if err != nil {
			return "", err
		}
		return "/settings/keys/" + successor.ID, d.showKey(w, r, in, successor, key)
	})
}

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
	return seeOther(w, how.Done, "revoked")
}

// revokeQuestion asks whether to revoke a key. The name must be typed if the key was used within a day, so that revoking it
// is likely to break something.
func (d *Dashboard) revokeQuestion(view adminapi.Key, how revocation) confirmation {
	c := confirmation{
		Title: "Revoke the API key “" + view.Name + "”?", Button: "Revoke key", Cancel: how.Back, Reason: how.Reason,
		Effects: []string{"The key stops working at once. A revoked key cannot be activated again."},
	}
	if how.Owner != "" {
		c.Effects = append(c.Effects, "It belongs to "+how.Owner+".")
	}
	switch {
	case view.LastUsed == nil:
		c.Effects = append(c.Effects, "It was never used.")
	case d.now().Sub(view.LastUsed.At) < 24*time.Hour:
		c.Warning = "Used " + ago(d.now(), view.LastUsed.At) + " from " + view.LastUsed.From + ". The programs that use it are rejected from then on."
		c.Type, c.Kind = view.Name, "name"
	default:
		c.Effects = append(c.Effects, "It was last used "+ago(d.now(), view.LastUsed.At)+" from "+view.LastUsed.From+".")
	}
	return c
}
