package dashboard

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// DisableClient answers GET and POST /operator/clients/{id}/disable: the question, and what is confirmed.
func (d *Dashboard) DisableClient(w http.ResponseWriter, r *http.Request, in *session) error {
	question := func(c *store.Client) confirmation {
		return confirmation{
			Title: "Disable the client “" + nameOf(c) + "”?", Button: "Disable client",
			Effects: []string{
				"Its tokens are revoked, and its requests are rejected.",
				"Its secrets stay. When the client is enabled again, it can request new tokens.",
			},
		}
	}
	return d.confirmClient(w, r, in, question, func(c *store.Client) error {
		if _, err := d.clients.Patch(r.Context(), c.ID, web.Object{"disabled": []byte("true")}, in.Actor); err != nil {
			return err
		}
		return seeOther(w, clientURL(c.ID), "client-disabled")
	})
}

// RevokeTokens answers GET and POST /operator/clients/{id}/revoke-tokens, likewise.
func (d *Dashboard) RevokeTokens(w http.ResponseWriter, r *http.Request, in *session) error {
	question := func(c *store.Client) confirmation {
		return confirmation{
			Title: "Revoke all tokens of the client “" + nameOf(c) + "”?", Button: "Revoke all tokens",
			Effects: []string{
				"Every token that was issued to it until now is rejected at introspection. A service that verifies JWTs offline accepts them until they expire.",
				"The client fails until it requests a new token, which it can do at once.",
			},
		}
	}
	return d.confirmClient(w, r, in, question, func(c *store.Client) error {
		if err := d.clients.RevokeTokens(r.Context(), c.ID, in.Actor); err != nil {
			return err
		}
		return seeOther(w, clientURL(c.ID), "tokens-revoked")
	})
}

// DeleteClient answers GET and POST /operator/clients/{id}/delete, likewise.
func (d *Dashboard) DeleteClient(w http.ResponseWriter, r *http.Request, in *session) error {
	question := func(c *store.Client) confirmation {
		return confirmation{
			Title: "Delete the client “" + nameOf(c) + "”?", Button: "Delete client", Type: c.ID, Kind: "client ID",
			Effects: []string{"The client is deleted. Its secrets and its tokens are revoked.", "This cannot be undone."},
		}
	}
	return d.confirmClient(w, r, in, question, func(c *store.Client) error {
		if err := d.clients.Delete(r.Context(), c.ID, in.Actor); err != nil {
			return err
		}
		return seeOther(w, "/operator/clients", "client-deleted")
	})
}

// confirmClient asks before a change that stops what the client does, and makes it when it is confirmed.
func (d *Dashboard) confirmClient(w http.ResponseWriter, r *http.Request, in *session, ask func(*store.Client) confirmation, change func(*store.Client) error) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	question := ask(c)
	question.Cancel = clientURL(c.ID)
	if err := d.tellLastToken(r, c, &question); err != nil {
		return err
	}
	form, err := d.confirmed(w, r, in, question)
	if form == nil {
		return err
	}
	return change(c)
}

// recent is whether something was used within a day, so that stopping it is likely to break something.
func (d *Dashboard) recent(at time.Time) bool { return d.now().Sub(at) < 24*time.Hour }

// RevokeSecret answers GET and POST /operator/clients/{id}/secrets/{secret_id}/revoke: the question, and the revocation.
func (d *Dashboard) RevokeSecret(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	active, err := d.activeSecrets(r, c)
	if err != nil {
		return err
	}
	question, err := d.secretQuestion(c, active, web.Path(r, "secret_id"))
	if err != nil {
		return err
	}
	form, err := d.confirmed(w, r, in, question)
	if form == nil {
		return err
	}
	if err := d.clients.RevokeSecret(r.Context(), c.ID, web.Path(r, "secret_id"), in.Actor); err != nil {
		return err
	}
	return seeOther(w, clientURL(c.ID), "secret-revoked")
}

// secretQuestion asks whether to revoke a secret. The client's id must be typed if no other secret is active.
func (d *Dashboard) secretQuestion(c *store.Client, active []secretRow, id string) (confirmation, error) {
	var this, other *secretRow
	for i := range active {
		if active[i].ID == id {
			this = &active[i]
		} else {
			other = &active[i]
		}
	}
	if this == nil {
		return confirmation{}, web.NotFound("Secret")
	}
	q := confirmation{
		Title:  "Revoke the secret" + tail(this.Secret) + " of the client “" + nameOf(c) + "”?",
		Button: "Revoke secret", Cancel: clientURL(c.ID),
	}
	var warnings []string
	if d.recent(this.Used) {
		warnings = append(warnings, "Used "+ago(d.now(), this.Used)+".")
	} else {
		q.Effects = append(q.Effects, d.lastUse("The secret", this.Used))
	}
	switch {
	case !d.clients.Offers.BySecret(c.Metadata.AuthMethod):
		q.Effects = append(q.Effects, "The secret is not in use: the client authenticates by "+c.Metadata.AuthMethod+".")
	case other == nil && d.byKey(&c.Metadata):
		q.Effects = append(q.Effects, "The client can authenticate with its key.")
	case other == nil:
		warnings = append(warnings, "No other secret is active: the client cannot authenticate until it has a new one.")
		q.Type, q.Kind = c.ID, "client ID"
	case other.Used.IsZero():
		warnings = append(warnings, "The other secret"+tail(other.Secret)+" was never used: the client may not have it yet.")
	default:
		q.Effects = append(q.Effects, d.lastUse("The other secret"+tail(other.Secret)+" stays active. It", other.Used))
	}
	q.Warning = strings.Join(warnings, " ")
	q.Effects = append(q.Effects, "Requests with the revoked secret are rejected at once. Tokens that were issued already stay valid until they expire.")
	return q, nil
}

func (d *Dashboard) lastUse(what string, at time.Time) string {
	if at.IsZero() {
		return what + " was never used."
	}
	return what + " was last used " + ago(d.now(), at) + "."
}

// tail tells secrets apart by their last characters.
func tail(s store.Secret) string {
	if s.LastFour == "" {
		return " that was imported"
	}
	return " …" + s.LastFour
}

// RotateSigningKeys answers GET and POST /operator/signing-keys/rotate: the question, and the rotation.
func (d *Dashboard) RotateSigningKeys(w http.ResponseWriter, r *http.Request, in *session) error {
	question := confirmation{
		Title: "Rotate the signing keys?", Button: "Rotate signing keys", Cancel: "/operator",
		Effects: []string{
			"The next key signs from now on, and a new next key is created and published.",
			fmt.Sprintf("The current key stays published until the last token that it signed has expired, at most %s. Nothing stops working.", lasting(d.config.TokenTTLMax)),
			"If a key is compromised, run mintkeep signing-key rotate --compromised instead: this rotation keeps its tokens valid.",
		},
	}
	if keys := d.signingKeys(); !keys.From.IsZero() {
		question.Warning = "Not possible yet: services must have had 10 minutes to fetch the next key before it signs. Try again " + keys.In + ", at " + moment(keys.From) + "."
	}
	form, err := d.confirmed(w, r, in, question)
	if form == nil {
		return err
	}
	err = d.rotator.Rotate(r.Context(), signing.NoKeys, in.Actor)
	if answered, ok := fixable(err); ok {
		question.Warning = sentence(answered.Description)
		return d.showConfirmation(w, r, in, question, answered.Status)
	}
	if err != nil {
		return err
	}
	return seeOther(w, "/operator", "keys-rotated")
}
