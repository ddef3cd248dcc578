package dashboard

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// RemoveClientKey answers GET and POST /operator/clients/{id}/keys/{thumbprint}/remove: the question, and the removal.
func (d *Dashboard) RemoveClientKey(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	rows, err := d.clientKeys(r, c)
	if err != nil {
		return err
	}
	thumbprint := web.Path(r, "thumbprint")
	question, err := d.keyQuestion(c, rows, thumbprint)
	if err != nil {
		return err
	}
	form, err := d.confirmed(w, r, in, question)
	if form == nil {
		return err
	}
	_, err = d.clients.PatchIf(r.Context(), c.ID, web.Object{"jwks": withoutKey(&c.Metadata, thumbprint)}, sameKeys(c), in.Actor)
	if answered, ok := fixable(err); ok {
		question.Warning = sentence(answered.Description)
		return d.showConfirmation(w, r, in, question, answered.Status)
	}
	if err != nil {
		return err
	}
	return seeOther(w, clientURL(c.ID), "key-removed")
}

// withoutKey is the registered set without one key; null if that was the last.
func withoutKey(m *store.ClientMetadata, thumbprint string) json.RawMessage {
	raw := keysIn(m.JWKS)
	i := slices.IndexFunc(clients.Keys(m), func(k jwks.Key) bool { return k.Thumbprint == thumbprint })
	if i < 0 || len(raw) < 2 {
		return json.RawMessage("null")
	}
	return setOf(slices.Delete(raw, i, i+1))
}

// keyQuestion asks whether to remove a key. The client's id must be typed if it has nothing else to authenticate with.
func (d *Dashboard) keyQuestion(c *store.Client, rows []clients.PublicKey, thumbprint string) (confirmation, error) {
	i := slices.IndexFunc(rows, func(k clients.PublicKey) bool { return k.Thumbprint == thumbprint })
	if i < 0 || len(c.Metadata.JWKS) == 0 {
		return confirmation{}, web.NotFound("Key")
	}
	this := rows[i]
	q := confirmation{
		Title:  "Remove the key “" + this.Name() + "” of the client “" + nameOf(c) + "”?",
		Button: "Remove key", Cancel: clientURL(c.ID),
	}
	var warnings []string
	if d.recent(this.Used) {
		warnings = append(warnings, "Used "+ago(d.now(), this.Used)+".")
	} else {
		q.Effects = append(q.Effects, d.lastUse("The key", this.Used))
	}
	after := *c
	if len(rows) == 1 {
		after.Metadata.JWKS = nil
	}
	switch {
	case !d.byKey(&c.Metadata):
		q.Effects = append(q.Effects, "The key is not in use: the client authenticates by "+c.Metadata.AuthMethod+".")
	case len(rows) > 1 && unusedBut(rows, i):
		warnings = append(warnings, "No other key was ever used: the client may not have one yet.")
	case after.Locked(d.now()):
		warnings = append(warnings, "The client has no other key and no secret in use: it cannot authenticate any more.")
		q.Type, q.Kind = c.ID, "client ID"
	}
	q.Warning = strings.Join(warnings, " ")
	q.Effects = append(q.Effects, "Requests that are signed with the key are rejected at once. "+tokensStay)
	return q, nil
}

// tokensStay is what becomes of a client's tokens when it loses a key.
const tokensStay = "Tokens that were issued already stay valid until they expire; “Revoke all tokens” revokes them."

// unusedBut is whether all rows but one are of keys that were never used.
func unusedBut(rows []clients.PublicKey, this int) bool {
	for i, k := range rows {
		if i != this && !k.Used.IsZero() {
			return false
		}
	}
	return true
}
