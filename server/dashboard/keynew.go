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
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// keyForm is the page on which a key is made.
type keyForm struct {
	Name, Problem string
	Scopes        []choice
	Expiries      []choice
	Once          string
}

// choice is one of a group of boxes or buttons.
type choice struct {
	Value, Label, Hint string
	Chosen             bool
}

const defaultExpiry = "90"

// keyForm as it was filled in; nil: as it is at first, with the least scope.
func (d *Dashboard) keyForm(v *visitor, sent url.Values, problem string) keyForm {
	f := keyForm{Problem: problem, Once: rand.Text(), Name: sent.Get("name")}
	scopes, expiry := sent["scope"], sent.Get("expiry")
	if sent == nil {
		scopes, expiry = d.config.KeyScopes[:1], defaultExpiry
	}
	for token := range strings.FieldsSeq(d.keys.Allowed(v.Person)) {
		f.Scopes = append(f.Scopes, choice{token, token, scopeHints[token], slices.Contains(scopes, token)})
	}
	now := d.now()
	for _, days := range []string{"30", defaultExpiry, "365"} {
		f.Expiries = append(f.Expiries, choice{days, days + " days", "until " + day(now.Add(lifetimes[days])), expiry == days})
	}
	f.Expiries = append(f.Expiries, choice{"never", "Never", "a key that leaks works until somebody notices", expiry == "never"})
	return f
}

var lifetimes = map[string]time.Duration{
	"30": 30 * 24 * time.Hour, defaultExpiry: 90 * 24 * time.Hour, "365": 365 * 24 * time.Hour, "never": 0,
}

var scopeHints = map[string]string{
	scope.Keys:  "see to your other keys, from a script",
	scope.Admin: "everything that an operator may do",
}

// NewKeyPage answers GET /settings/keys/new.
func (d *Dashboard) NewKeyPage(w http.ResponseWriter, r *http.Request) error {
	return d.signedIn(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		return d.show(w, http.StatusOK, "keynew", v.page(r, "Create New API Key", "keys", d.keyForm(v, nil, "")))
	})
}

// CreateKey answers POST /settings/keys, with the one page that shows the key.
func (d *Dashboard) CreateKey(w http.ResponseWriter, r *http.Request) error {
	return d.signedIn(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		form, err := v.form(r, "scope")
		if err != nil {
			return err
		}
		wish, err := d.readWish(form)
		if err != nil {
			return d.again(w, r, v, form, err)
		}
		return d.once(w, r, v, form, func() (string, error) {
			made, err := d.keys.Make(r, v.Person, wish, v.maker())
			if err != nil {
				return "", d.again(w, r, v, form, err)
			}
			return "/settings/keys/" + made.ID, d.showKey(w, r, v, made, nil)
		})
	})
}

// again shows the form as it was sent, and what is wrong with it; other errors go their way.
func (d *Dashboard) again(w http.ResponseWriter, r *http.Request, v *visitor, form url.Values, err error) error {
	var refused *web.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest && refused.Status != http.StatusConflict {
		return err
	}
	return d.show(w, refused.Status, "keynew", v.page(r, "Create New API Key", "keys", d.keyForm(v, form, sentence(refused.Description))))
}

// readWish reads the form by the rules of the API, in its words.
func (d *Dashboard) readWish(form url.Values) (keys.Wish, error) {
	members := map[string]any{"name": form.Get("name"), "scope": strings.Join(form["scope"], " ")}
	life, known := lifetimes[form.Get("expiry")]
	switch {
	case !known:
		return keys.Wish{}, web.InvalidRequest("Choose when it expires")
	case len(form["scope"]) == 0:
		return keys.Wish{}, web.InvalidRequest("Choose at least one scope")
	case life > 0:
		members["expires_at"] = d.now().Add(life).UTC().Format(time.RFC3339)
	}
	return keys.ReadWish(web.ObjectOf(members), d.now())
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
	Made     *keys.Made
	Previous *store.APIKey // that it takes the place of
	Here     string        // where it can be tried
}

func (d *Dashboard) showKey(w http.ResponseWriter, r *http.Request, v *visitor, made *keys.Made, previous *store.APIKey) error {
	content := newKey{made, previous, d.config.Issuer}
	return d.show(w, http.StatusOK, "keymade", v.page(r, "Your new API key", "keys", content))
}

// madeAlready is the page for a form that comes a second time.
type madeAlready struct{ Where string }

// once does what a form asks for, if it comes for the first time: a reload, a second click or another tab makes no
// second key. do says where the result is to be found; nowhere, if there is none.
func (d *Dashboard) once(w http.ResponseWriter, r *http.Request, v *visitor, form url.Values, do func() (where string, err error)) error {
	if form.Get("once") == "" {
		return web.InvalidRequest("The form is not complete; load the page again")
	}
	token := store.DigestOf("once " + v.cookie + " " + form.Get("once"))
	first, where, err := d.store.ClaimIdempotencyKey(r.Context(), token)
	if err != nil {
		return err
	}
	if !first {
		return d.show(w, http.StatusConflict, "already", v.page(r, "Already made", v.section(r), madeAlready{where}))
	}
	where, err = do()
	d.store.CompleteIdempotencyKey(context.WithoutCancel(r.Context()), token, where)
	return err
}

// section is the entry of the navigation that a path belongs to.
func (v *visitor) section(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, "/operator") {
		return "operator"
	}
	return "keys"
}
