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

// keyForm is the page on which a key is created.
type keyForm struct {
	apiKeyFields
	Expiries []choice
	At       string // the date and the time, if the user types them
	SameName *store.APIKey
	Once     string
}

// apiKeyFields are the fields of a key, on the page that creates one and on that which changes it.
type apiKeyFields struct {
	Sent     url.Values
	Problems problems
	Scopes   []choice
}

// Own is whether a scope is one of Mintkeep's own.
func (c choice) Own() bool { return slices.Contains(scope.Own, c.Value) }

// choice is one of a group of boxes or buttons.
type choice struct {
	Value, Label, Hint string
	Chosen             bool
}

const (
	defaultExpiry = "90"
	customExpiry  = "custom"
)

// keyForm as it was filled in; nil: as it is at first, with the least scope.
func (d *Dashboard) keyForm(in *session, sent url.Values, wrong problems) keyForm {
	f := keyForm{apiKeyFields: apiKeyFields{Sent: sent, Problems: wrong}, Once: rand.Text(), At: sent.Get("expires_at")}
	scopes, expiry := sent["scope"], sent.Get("expiry")
	if sent == nil {
		scopes, expiry = leastScope(d.config.KeyScopes.Names()), defaultExpiry
	}
	for token := range strings.FieldsSeq(d.keys.Allowed(in.User)) {
		f.Scopes = append(f.Scopes, choice{token, token, d.keys.Description(token), slices.Contains(scopes, token)})
	}
	now := d.now()
	for _, days := range []string{"7", "30", defaultExpiry, "365"} {
		f.Expiries = append(f.Expiries, choice{days, days + " days", "expires " + moment(now.Add(lifetimes[days])), expiry == days})
	}
	f.Expiries = append(f.Expiries,
		choice{customExpiry, "At a date and time", "", expiry == customExpiry},
		choice{"never", "Never", "not recommended: a leaked key stays valid until it is revoked", expiry == "never"})
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
	"7": 7 * 24 * time.Hour, "30": 30 * 24 * time.Hour, defaultExpiry: 90 * 24 * time.Hour, "365": 365 * 24 * time.Hour, "never": 0,
}

const newKeyTitle = "Create New API Key"

// NewKeyPage answers GET /settings/keys/new.
func (d *Dashboard) NewKeyPage(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.show(w, http.StatusOK, "keynew", in.page(r, newKeyTitle, "keys", d.keyForm(in, nil, nil)))
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
		same, err := d.keyNamed(r.Context(), in.UserID, spec.Name)
		if err != nil {
			return "", err
		}
		if same != nil && strings.TrimSpace(form.Get(sameNameField)) != spec.Name {
			content := d.keyForm(in, form, nil)
			content.SameName = same
			return "", d.show(w, http.StatusOK, "keynew", in.page(r, newKeyTitle, "keys", content))
		}
		created, err := d.keys.CreateOwn(r.Context(), in.User, spec, in.Actor)
		if err != nil {
			return "", d.again(w, r, in, form, err)
		}
		return "/settings/keys/" + created.ID, d.showKey(w, r, in, created, nil)
	})
}

// sameNameField has the name that another key has, once the user was warned of it.
const sameNameField = "same_name"

// keyNamed is an active key of the user that has this name, but for capitals; nil if there is none.
func (d *Dashboard) keyNamed(ctx context.Context, userID, name string) (*store.APIKey, error) {
	found, _, err := d.store.Keys(ctx, store.KeyFilter{UserID: userID, Query: name, State: store.StateLive}, "", 200)
	if err != nil {
		return nil, err
	}
	for _, key := range found {
		if strings.EqualFold(key.Name, name) {
			return key, nil
		}
	}
	return nil, nil
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
	content := d.keyForm(in, form, keyLabels.problems(answered.Description))
	if form.Get("expiry") == customExpiry {
		content.Problems = customLabels.problems(answered.Description)
	}
	return d.show(w, answered.Status, "keynew", in.page(r, newKeyTitle, "keys", content))
}

// keyLabels are the fields of the form by the members of a new key, and customLabels if its expiry is a date of the user's.
var (
	keyLabels    = labelsWith("expiry", "Expiration")
	customLabels = labelsWith("expires_at", "Date and time")
)

func labelsWith(expiry, label string) labels {
	return labels{
		"name": {"name", "Name"}, "description": {"description", "Description"}, "scope": {"scope", "Scopes"},
		"rate_limit": {"rate_limit", "Rate limit"}, "expires_at": {expiry, label},
	}
}

// readNewKey reads the form by the rules of the API.
func (d *Dashboard) readNewKey(form url.Values) (keys.NewKey, error) {
	members := map[string]any{
		"name": form.Get("name"), "description": form.Get("description"), "scope": strings.Join(form["scope"], " "), "rate_limit": strings.TrimSpace(form.Get("rate_limit")),
	}
	if len(form["scope"]) == 0 {
		return keys.NewKey{}, web.InvalidRequest("scope: must not be empty; select at least one")
	}
	at, err := d.readExpiry(form)
	if err != nil {
		return keys.NewKey{}, err
	}
	if !at.IsZero() {
		members["expires_at"] = at.UTC().Format(time.RFC3339)
	}
	return keys.ReadNewKey(web.ObjectOf(members), d.now())
}

// readExpiry reads when the key expires; zero: never.
func (d *Dashboard) readExpiry(form url.Values) (time.Time, error) {
	typed := form.Get("expires_at")
	if form.Get("expiry") == customExpiry {
		return readLocal(typed)
	}
	lifetime, known := lifetimes[form.Get("expiry")]
	switch {
	case !known:
		return time.Time{}, web.InvalidRequest("expires_at: must be selected")
	case typed != "": // one of the two is not what the user wants
		return time.Time{}, web.InvalidRequest("expires_at: is selected twice; select the date and time, or clear it")
	case lifetime == 0:
		return time.Time{}, nil
	}
	return d.now().Add(lifetime), nil
}

// localFormat is what a field of the type datetime-local sends. Ours are in UTC, as all times of the pages.
const localFormat = "2006-01-02T15:04"

func readLocal(typed string) (time.Time, error) {
	for _, format := range []string{localFormat, localFormat + ":05"} {
		if at, err := time.Parse(format, strings.Replace(strings.TrimSpace(typed), " ", "T", 1)); err == nil {
			return at, nil
		}
	}
	return time.Time{}, web.InvalidRequest("expires_at: must be a date and a time in UTC, such as 2027-01-31 12:00")
}

// sentence makes one of "name: must not be empty".
func sentence(description string) string {
	description = strings.Replace(description, ": ", " ", 1)
	if description == "" {
		return description
	}
	return strings.ToUpper(description[:1]) + description[1:] + "."
}
