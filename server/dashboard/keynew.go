package dashboard

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// keyForm is the page on which a key is created.
type keyForm struct {
	Name     string
	Problems problems
	Scopes   []choice
	Expiries []choice
	Once     string
}

// choice is one of a group of boxes or buttons.
type choice struct {
	Value, Label, Hint string
	Chosen             bool
}

const defaultExpiry = "90"

// keyForm as it was filled in; nil: as it is at first, with the least scope.
func (d *Dashboard) keyForm(in *session, sent url.Values, wrong problems) keyForm {
	f := keyForm{Problems: wrong, Once: rand.Text(), Name: sent.Get("name")}
	scopes, expiry := sent["scope"], sent.Get("expiry")
	if sent == nil {
		scopes, expiry = leastScope(d.config.KeyScopes.Names()), defaultExpiry
	}
	for token := range strings.FieldsSeq(d.keys.Allowed(in.User)) {
		f.Scopes = append(f.Scopes, choice{token, token, d.keys.Description(token), slices.Contains(scopes, token)})
	}
	now := d.now()
	for _, days := range []string{"30", defaultExpiry, "365"} {
		f.Expiries = append(f.Expiries, choice{days, days + " days", "expires " + day(now.Add(lifetimes[days])), expiry == days})
	}
	f.Expiries = append(f.Expiries, choice{"never", "Never", "not recommended: a leaked key stays valid until it is revoked", expiry == "never"})
	return f
}

// leastScope is what a new key may do, unless its user selects more: read, or else the first of the scopes.
func leastScope(scopes []string) []string {
	if slices.Contains(scopes, "read") {
		return []string{"read"}
	}
	return scopes[:1]
}

var lifetimes = map[string]time.Duration{
	"30": 30 * 24 * time.Hour, defaultExpiry: 90 * 24 * time.Hour, "365": 365 * 24 * time.Hour, "never": 0,
}

// NewKeyPage answers GET /settings/keys/new.
func (d *Dashboard) NewKeyPage(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.show(w, http.StatusOK, "keynew", in.page(r, "Create New API Key", "keys", d.keyForm(in, nil, nil)))
}

// CreateKey answers POST /settings/keys, with the one page that shows the key.
func (d *Dashboard) CreateKey(w http.ResponseWriter, r *http.Request, in *session) error {
	form, err := in.form(r, "scope")
	if err != nil {
		return err
	}
	spec, err := d.readNewKey(form)
	if err != nil {
		return d.again(w, r, in, form, err)
	}
	return d.once(w, r, in, form, func() (string, error) {
		created, err := d.keys.CreateOwn(r.Context(), in.User, spec, in.Actor)
		if err != nil {
			return "", d.again(w, r, in, form, err)
		}
		return "/settings/keys/" + created.ID, d.showKey(w, r, in, created, nil)
	})
}

// shownAgain are the answers that a form is shown with.
var shownAgain = []int{http.StatusBadRequest, http.StatusConflict, http.StatusTooManyRequests}

// again shows the form as it was sent, and what is wrong with it; other errors go their way.
func (d *Dashboard) again(w http.ResponseWriter, r *http.Request, in *session, form url.Values, err error) error {
	var answered *web.Error
	if !errors.As(err, &answered) || !slices.Contains(shownAgain, answered.Status) {
		return err
	}
	answered.SetHeaders(w)
	return d.show(w, answered.Status, "keynew", in.page(r, "Create New API Key", "keys", d.keyForm(in, form, keyLabels.problems(answered.Description))))
}

// keyLabels are the fields of the form by the members of a new key.
var keyLabels = labels{"name": {"name", "Name"}, "scope": {"scope", "Scopes"}, "expires_at": {"expiry", "Expiration"}}

// readNewKey reads the form by the rules of the API.
func (d *Dashboard) readNewKey(form url.Values) (keys.NewKey, error) {
	members := map[string]any{"name": form.Get("name"), "scope": strings.Join(form["scope"], " ")}
	lifetime, known := lifetimes[form.Get("expiry")]
	switch {
	case !known:
		return keys.NewKey{}, web.InvalidRequest("expires_at: must be selected")
	case len(form["scope"]) == 0:
		return keys.NewKey{}, web.InvalidRequest("scope: must not be empty; select at least one")
	case lifetime > 0:
		members["expires_at"] = d.now().Add(lifetime).UTC().Format(time.RFC3339)
	}
	return keys.ReadNewKey(web.ObjectOf(members), d.now())
}

// sentence makes one of "name: must not be empty".
func sentence(description string) string {
	description = strings.Replace(description, ": ", " ", 1)
	if description == "" {
		return description
	}
	return strings.ToUpper(description[:1]) + description[1:] + "."
}

// newKey is the page that shows a key, this once.
type newKey struct {
	Created  *keys.Created
	Previous *store.APIKey // that it succeeds
	Revoked  bool          // the previous one is
	Here     string        // where it can be tried

	shownOnce
}

// shownOnce is a secret or a link that a page shows, this once, and what the page calls it.
type shownOnce struct{ Label, Secret string }

func (d *Dashboard) showKey(w http.ResponseWriter, r *http.Request, in *session, created *keys.Created, previous *store.APIKey) error {
	content := newKey{Created: created, Previous: previous, Here: d.config.Issuer, shownOnce: shownOnce{"API key", created.Plain}}
	content.Revoked = previous != nil && !previous.ExpiresAt.IsZero() && !previous.ExpiresAt.After(d.now())
	return d.show(w, http.StatusOK, "keymade", in.page(r, "Your new API key", "keys", content))
}

// repeated is the page for a form that comes a second time.
type repeated struct{ Where string }

// once does what a form asks for, if it comes for the first time: a reload, a second click or another tab creates no
// second key. do returns the path of the result; empty if there is none.
func (d *Dashboard) once(w http.ResponseWriter, r *http.Request, in *session, form url.Values, do func() (where string, err error)) error {
	if form.Get("once") == "" {
		return web.InvalidRequest("The form is incomplete. Reload the page and try again")
	}
	idempotencyKey := store.DigestOf("once " + in.cookie + " " + form.Get("once"))
	first, where, err := d.store.ClaimIdempotencyKey(r.Context(), idempotencyKey)
	if err != nil {
		return err
	}
	if !first {
		return d.show(w, http.StatusConflict, "already", in.page(r, "Already created", in.section(r), repeated{where}))
	}
	where, err = do()
	d.store.CompleteIdempotencyKey(context.WithoutCancel(r.Context()), idempotencyKey, where)
	return err
}

// section is the entry of the navigation that a path belongs to.
func (in *session) section(r *http.Request) string {
	for prefix, section := range map[string]string{"/operator": "operator", "/settings/profile": "profile", "/settings/sessions": "profile"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return section
		}
	}
	return "keys"
}
