package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/store"
)

// asksToSave says whether the settings of a client must be confirmed before they are saved, and then shows the page that
// asks. What is wrong with the form is left to the saving, which says so at the field.
func (d *Dashboard) asksToSave(w http.ResponseWriter, r *http.Request, in *session, c *store.Client, form url.Values) (bool, error) {
	if form.Has(confirmedField) {
		return false, nil
	}
	effects, revokes := d.effectsOf(c, form)
	if len(effects) == 0 {
		return false, nil
	}
	question := confirmation{
		Title: "Save these settings of the client “" + nameOf(c) + "”?", Button: "Save", Effects: effects,
		Cancel: clientURL(c.ID), Back: true,
	}
	if revokes {
		question.Button = "Save and revoke all tokens"
	}
	if err := d.tellLastToken(r, c, &question); err != nil {
		return false, err
	}
	return true, d.askFirst(w, r, in, question, form)
}

// effectsOf are what a form stops, and whether it revokes the tokens of the client. One that is wrong stops nothing.
func (d *Dashboard) effectsOf(c *store.Client, form url.Values) (effects []string, revokes bool) {
	o, err := clientPatch(form)
	if err != nil {
		return nil, false
	}
	removed, after, err := d.clients.Removes(c, o)
	if err != nil {
		return nil, false
	}
	return d.saveEffects(removed, c.Metadata, after), removed.Any()
}

// saveEffects are what a change of the settings stops; none: nothing.
func (d *Dashboard) saveEffects(removed clients.Removed, before, after store.ClientMetadata) (effects []string) {
	for _, lost := range []struct {
		what, more string
		names      []string
	}{
		{"The scope ", "The scopes ", removed.Scopes},
		{"The grant ", "The grants ", removed.Grants},
		{"The audience ", "The audiences ", removed.Audience},
	} {
		switch len(lost.names) {
		case 0:
		case 1:
			effects = append(effects, lost.what+lost.names[0]+" is removed.")
		default:
			effects = append(effects, lost.more+enumerated(lost.names)+" are removed.")
		}
	}
	if removed.Any() {
		then := " The client fails until it requests a new token, which it can do at once."
		if len(after.GrantTypes) == 0 {
			then = " The client cannot request new ones."
		}
		effects = append(effects, "All tokens of the client are revoked at once, not only those that use what is removed."+then)
	}
	if method := after.AuthMethod; method != before.AuthMethod && (method != "" || !d.clients.Offers.BySecret(before.AuthMethod)) {
		if method == "" {
			method = "one that uses the client secret"
		}
		effects = append(effects, "The client authentication method becomes "+method+". Requests that use another one are rejected from now on.")
	}
	return effects
}

// enumerated are names as a sentence lists them: a, b and c.
func enumerated(names []string) string {
	last := len(names) - 1
	return strings.Join(slices.Clip(names[:last]), ", ") + " and " + names[last]
}

// tellLastToken adds to a question when the client last requested a token: as a warning, if that was within a day.
func (d *Dashboard) tellLastToken(r *http.Request, c *store.Client, question *confirmation) error {
	last, err := d.store.LastRequestsOf(r.Context(), []string{c.ID})
	if err != nil {
		return err
	}
	if used := "The client requested its last token " + ago(d.now(), last[0].Token) + "."; d.recent(last[0].Token) {
		question.Warning = used
	} else if !last[0].Token.IsZero() {
		question.Effects = append(question.Effects, used)
	}
	return nil
}

// asksToRotate says whether the rotation of a secret must be confirmed, and then shows the page that asks: without an
// overlap, the current secret stops working at once.
func (d *Dashboard) asksToRotate(w http.ResponseWriter, r *http.Request, in *session, c *store.Client, form url.Values) (bool, error) {
	if form.Has(confirmedField) || !stopsNow(form) {
		return false, nil
	}
	active, err := d.activeSecrets(r, c)
	if err != nil || len(active) != 1 { // none stops, or the rotation is rejected
		return false, err
	}
	current := active[0]
	question := confirmation{
		Title:  "Replace the secret" + tail(current.Secret) + " of the client “" + nameOf(c) + "” at once?",
		Button: "Rotate secret", Cancel: clientURL(c.ID),
		Effects: []string{
			"The current secret is revoked now. The client cannot authenticate until it has the new one.",
			"Tokens that were issued already stay valid until they expire.",
			"To give the client time, cancel and choose a later expiry of the current secret.",
		},
	}
	if d.recent(current.Used) {
		question.Warning = "The current secret was used " + ago(d.now(), current.Used) + "."
	} else {
		question.Effects = append(question.Effects, d.lastUse("The current secret", current.Used))
	}
	return true, d.askFirst(w, r, in, question, form)
}
