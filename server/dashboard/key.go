package dashboard

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// keyPage is the page of one key.
type keyPage struct {
	keyRow
	History  []happening
	Once     string
	Overlaps []choice
	Problem  string
	Confirm  bool // its name must be typed to revoke it: it was used within a day
	Uses     *chart
}

// happening is a line of a key's history.
type happening struct {
	At   *time.Time
	What string
	Who  string
}

// ownKey finds the key that the path names, if it is the person's. Another's is not there.
func (d *Dashboard) ownKey(r *http.Request, v *visitor) (*store.APIKey, error) {
	key, err := d.keys.Find(r)
	if err == nil && key.UserID != v.UserID {
		return nil, web.NotFound("Key")
	}
	return key, err
}

// KeyPage answers GET /settings/keys/{id}.
func (d *Dashboard) KeyPage(w http.ResponseWriter, r *http.Request) error {
	return d.withKey(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, key *store.APIKey) error {
		return d.showKeyPage(w, r, v, key, http.StatusOK, "")
	})
}

// withKey is signedIn for the page of a key.
func (d *Dashboard) withKey(w http.ResponseWriter, r *http.Request, h func(http.ResponseWriter, *http.Request, *visitor, *store.APIKey) error) error {
	return d.signedIn(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		key, err := d.ownKey(r, v)
		if err != nil {
			return err
		}
		return h(w, r, v, key)
	})
}

func (d *Dashboard) showKeyPage(w http.ResponseWriter, r *http.Request, v *visitor, key *store.APIKey, status int, problem string) error {
	content, err := d.keyPage(r, v, key)
	if err != nil {
		return err
	}
	content.Problem = problem
	return d.show(w, status, "key", v.page(r, key.Name, "keys", content))
}

func (d *Dashboard) keyPage(r *http.Request, v *visitor, key *store.APIKey) (*keyPage, error) {
	view, err := d.keys.View(r.Context(), key)
	if err != nil {
		return nil, err
	}
	p := &keyPage{keyRow: rowOf(view, d.now()), History: history(key, view, v.Person), Once: rand.Text(), Confirm: d.inUse(view)}
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

// inUse says whether a key was used within a day, so that revoking it is likely to break something.
func (d *Dashboard) inUse(view keys.View) bool {
	return view.LastUsed != nil && d.now().Sub(view.LastUsed.At) < 24*time.Hour
}

// history tells what happened to a key, the latest first.
func history(key *store.APIKey, view keys.View, person *store.User) (h []happening) {
	who := func(actor string) string {
		switch actor {
		case "user:" + person.ID:
			return "you"
		case "admin-token":
			return "an operator"
		}
		return actor
	}
	if end := view.Ended; end != nil {
		h = append(h, happening{end.At, "Ended: " + end.Reason, who(end.By)})
	}
	if key.RotatedTo != "" {
		h = append(h, happening{web.TimeOrNull(key.RotatedAt), "Rotated; the successor is " + key.RotatedTo, who(key.RotatedBy)})
	}
	return append(h, happening{&view.CreatedAt, "Created", who(key.CreatedBy)})
}

// RenameKey answers POST /settings/keys/{id}/rename.
func (d *Dashboard) RenameKey(w http.ResponseWriter, r *http.Request) error {
	return d.withKey(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, key *store.APIKey) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		name, err := keys.CheckName(form.Get("name"))
		if err != nil {
			return d.showKeyPage(w, r, v, key, http.StatusBadRequest, "The name "+err.Error()+".")
		}
		if err := d.keys.Rename(r, key, name, v.actor()); err != nil {
			return err
		}
		return seeOther(w, "/settings/keys/"+key.ID, "renamed")
	})
}

// RotateKey answers POST /settings/keys/{id}/rotate, with the page that shows the successor.
func (d *Dashboard) RotateKey(w http.ResponseWriter, r *http.Request) error {
	return d.withKey(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, key *store.APIKey) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		overlap, err := time.ParseDuration(form.Get("overlap"))
		if err != nil || overlap < 0 || overlap > 720*time.Hour {
			return d.showKeyPage(w, r, v, key, http.StatusBadRequest, "Choose when the old key ends.")
		}
		return d.once(w, r, v, form, func() (string, error) {
			made, err := d.keys.Rotate(r, v.Person, key, overlap, v.maker())
			var refused *web.Error
			if errors.As(err, &refused) && refused.Status == http.StatusConflict {
				return "", d.showKeyPage(w, r, v, key, refused.Status, refused.Description+".")
			}
			if err != nil {
				return "", err
			}
			return "/settings/keys/" + made.ID, d.showKey(w, r, v, made, key)
		})
	})
}

// RevokeKey answers POST /settings/keys/{id}/revoke.
func (d *Dashboard) RevokeKey(w http.ResponseWriter, r *http.Request) error {
	return d.withKey(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, key *store.APIKey) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		view, err := d.keys.View(r.Context(), key)
		if err != nil {
			return err
		}
		if d.inUse(view) && strings.TrimSpace(form.Get("confirm")) != key.Name {
			return d.showKeyPage(w, r, v, key, http.StatusBadRequest, "The key was used within a day. Type its name to revoke it.")
		}
		reason, err := keys.CheckReason(form.Get("reason"), "revoked by its owner")
		if err != nil {
			return d.showKeyPage(w, r, v, key, http.StatusBadRequest, "The reason "+err.Error()+".")
		}
		if err := d.keys.End(r, key, v.actor(), reason); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return seeOther(w, "/settings", "revoked")
	})
}
