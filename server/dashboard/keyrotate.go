package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

var overlaps = []struct{ value, label string }{
	{"0s", "now"}, {"1h", "in 1 hour"}, {"24h", "in 24 hours"}, {"168h", "in 7 days"},
}

// stopsNow is whether a form asks for a rotation without an overlap.
func stopsNow(form url.Values) bool {
	overlap, err := time.ParseDuration(form.Get("overlap"))
	return err == nil && overlap == 0
}

// RotateKey answers POST /settings/keys/{id}/rotate, with the page that shows the successor. Without an overlap it asks
// first: the key stops working at once.
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
		return d.showKeyPage(w, r, in, key, http.StatusBadRequest, problems{"overlap": "Choose when this key expires."})
	}
	if overlap == 0 && key.Active && !form.Has(confirmedField) {
		return d.askToRotate(w, r, in, key, form)
	}
	return d.once(w, r, in, form, func() (string, error) {
		successor, err := d.keys.RotateOwn(r.Context(), in.User, key, overlap, in.Actor)
		var answered *web.Error
		if errors.As(err, &answered) && slices.Contains(shownAgain, answered.Status) {
			answered.SetHeaders(w)
			return "", d.showKeyPage(w, r, in, key, answered.Status, problems{"": sentence(answered.Description)})
		}
		if err != nil {
			return "", err
		}
		return "/settings/keys/" + successor.ID, d.showKey(w, r, in, successor, key)
	})
}

func (d *Dashboard) askToRotate(w http.ResponseWriter, r *http.Request, in *session, key *store.APIKey, form url.Values) error {
	view, err := d.keys.View(r.Context(), key)
	if err != nil {
		return err
	}
	question := confirmation{
		Title: "Replace the API key “" + view.Name + "” at once?", Button: "Rotate key", Cancel: "/settings/keys/" + key.ID,
		Effects: []string{
			"The current key is revoked now. Programs that use it fail until they have the new one.",
			"To give them time, cancel and choose a later expiry of this key.",
		},
	}
	d.tellLastUse(view, &question)
	return d.askFirst(w, r, in, question, form)
}
