package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// keyEdit is the page that changes a key. Its scopes are those that the key has, and may lose.
type keyEdit struct {
	apiKeyFields
	Key  *store.APIKey
	Seen string // the state of the key that the form was filled in from
}

// EditKey answers GET and POST /settings/keys/{id}/edit: the form, and the change. A change that takes something away from
// the key is asked about first.
func (d *Dashboard) EditKey(w http.ResponseWriter, r *http.Request, in *session) error {
	key, err := d.ownKey(r, in)
	if err != nil {
		return err
	}
	if r.Method != http.MethodPost {
		if !key.Revocable() {
			return seeOther(w, ownKeys.Base+key.ID, "inactive")
		}
		return d.showKeyEdit(w, r, in, key, http.StatusOK, nil, nil)
	}
	form, err := in.form(r, "scope")
	if err != nil {
		return err
	}
	changes, err := keyChanges(key, form)
	repeated := err == nil && len(changes) == 0 // the key is as the form wants it
	if key.Revocable() && form.Get("seen") != seenOfKey(key) && !repeated {
		wrong := problems{"": "The key was changed after this page was loaded, and nothing was saved. The form shows its present settings."}
		return d.showKeyEdit(w, r, in, key, http.StatusConflict, nil, wrong)
	}
	if form.Has(backField) {
		return d.showKeyEdit(w, r, in, key, http.StatusOK, form, nil)
	}
	effects := d.narrowings(key, changes)
	if err == nil && len(effects) > 0 && !form.Has(confirmedField) {
		return d.askToNarrow(w, r, in, key, form, effects)
	}
	if repeated { // perhaps after a change that was applied and answered 503: the record is written again, and confirmed
		changes["name"] = key.Name
	}
	if err == nil {
		_, err = d.keys.Patch(r.Context(), key, web.ObjectOf(changes), in.Actor)
	}
	var answered *web.Error
	switch {
	case errors.As(err, &answered) && slices.Contains(shownAgain, answered.Status):
		return d.showKeyEdit(w, r, in, key, answered.Status, form, customLabels.problems(answered.Description))
	case err != nil:
		return err
	case len(effects) > 0:
		return seeOther(w, ownKeys.Base+key.ID, d.stopped("key-narrowed"))
	}
	return seeOther(w, ownKeys.Base+key.ID, "key-saved")
}

// showKeyEdit shows the form as it was sent; nil: as the key is.
func (d *Dashboard) showKeyEdit(w http.ResponseWriter, r *http.Request, in *session, key *store.APIKey, status int, sent url.Values, wrong problems) error {
	if sent == nil {
		sent = fieldsOfKey(key)
	}
	content := keyEdit{apiKeyFields{Sent: sent, Problems: wrong}, key, seenOfKey(key)}
	for token := range strings.FieldsSeq(key.Scope) {
		content.Scopes = append(content.Scopes, choice{token, token, d.keys.Description(token), slices.Contains(sent["scope"], token)})
	}
	return d.show(w, status, "keyedit", in.page(r, "Edit "+key.Name, "keys", content))
}

// fieldsOfKey is a key as its form has it.
func fieldsOfKey(key *store.APIKey) url.Values {
	return url.Values{"name": {key.Name}, "description": {key.Description}, "rate_limit": {key.RateLimit.String()}, "scope": strings.Fields(key.Scope)}
}

// seenOfKey is what seenOf makes of a key. Its form shows the expiry beside the field for a new one.
func seenOfKey(key *store.APIKey) string {
	shown := fieldsOfKey(key)
	shown.Set("expires_at", audit.Moment(key.ExpiresAt))
	return seenOf(shown)
}

// keyChanges are the members of the patch that a form asks for: what it says otherwise than the key.
func keyChanges(key *store.APIKey, form url.Values) (map[string]any, error) {
	changes := map[string]any{}
	for member, now := range map[string]string{"name": key.Name, "description": key.Description, "rate_limit": key.RateLimit.String()} {
		switch typed := strings.TrimSpace(form.Get(member)); {
		case typed == now:
		case typed == "" && member == "name":
			return nil, web.InvalidRequest("name: must not be empty")
		case typed == "":
			changes[member] = nil
		default:
			changes[member] = typed
		}
	}
	if kept := strings.Join(form["scope"], " "); len(scope.Beyond(key.Scope, kept)) > 0 || len(scope.Beyond(kept, key.Scope)) > 0 {
		if kept == "" {
			return nil, web.InvalidRequest("scope: must not be empty; disable or revoke the key to take all away")
		}
		changes["scope"] = kept
	}
	if typed := form.Get("expires_at"); typed != "" {
		at, err := readLocal(typed)
		if err != nil {
			return nil, err
		}
		if !at.Equal(key.ExpiresAt) {
			changes["expires_at"] = at.Format(time.RFC3339)
		}
	}
	return changes, nil
}

// narrowings are what changes take away from a key. One that is wrong takes nothing away: it is rejected.
func (d *Dashboard) narrowings(key *store.APIKey, changes map[string]any) (effects []string) {
	if kept, changed := changes["scope"].(string); changed {
		switch lost := scope.Beyond(key.Scope, kept); len(lost) {
		case 0:
		case 1:
			effects = append(effects, "The scope "+lost[0]+" is removed at once. Requests that need it are rejected from then on.")
		default:
			effects = append(effects, "The scopes "+enumerated(lost)+" are removed at once. Requests that need them are rejected from then on.")
		}
	}
	if text, changed := changes["expires_at"].(string); changed {
		at, err := time.Parse(time.RFC3339, text)
		if err == nil && at.After(d.now()) && (key.ExpiresAt.IsZero() || at.Before(key.ExpiresAt)) {
			was := "never"
			if !key.ExpiresAt.IsZero() {
				was = moment(key.ExpiresAt)
			}
			effects = append(effects, "The key expires at "+moment(at)+", "+ago(d.now(), at)+"; until now: "+was+".")
		}
	}
	if len(effects) > 0 {
		effects = append(effects, "What is taken away cannot be given back: create a new key for that.")
	}
	return effects
}

func (d *Dashboard) askToNarrow(w http.ResponseWriter, r *http.Request, in *session, key *store.APIKey, form url.Values, effects []string) error {
	view, err := d.keys.View(r.Context(), key)
	if err != nil {
		return err
	}
	c := confirmation{
		Title: "Take rights from the API key “" + key.Name + "”?", Button: "Save", Effects: effects,
		Cancel: ownKeys.Base + key.ID + "/edit", Back: true,
	}
	d.tellLastUse(view, &c)
	return d.askFirst(w, r, in, c, form)
}
