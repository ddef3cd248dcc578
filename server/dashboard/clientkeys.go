package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// clientKeys are the keys of a client, with their last uses.
func (d *Dashboard) clientKeys(r *http.Request, c *store.Client) ([]clients.PublicKey, error) {
	if !c.Metadata.HasKeys() {
		return nil, nil
	}
	uses, err := d.store.ClientUses(r.Context(), c.ID)
	if err != nil {
		return nil, err
	}
	return clients.PublicKeys(&c.Metadata, uses.Keys), nil
}

// byKey is whether a client may authenticate by the keys that it has.
func (d *Dashboard) byKey(m *store.ClientMetadata) bool {
	return m.HasKeys() && (m.AuthMethod == "" || !d.clients.Offers.BySecret(m.AuthMethod))
}

// keyFields are the fields of a client's keys, on the page that registers a client and on that of its keys.
type keyFields struct {
	Algorithms []choice
	Optional   bool // the client is new: without a key it gets a secret
}

func keyFieldsOf(sent url.Values, optional bool) keyFields {
	chosen := sent.Get(signingAlg)
	f := keyFields{[]choice{{"", "Any that fits the key", "", chosen == ""}}, optional}
	for _, alg := range jwks.Algorithms {
		f.Algorithms = append(f.Algorithms, choice{alg, alg, "", alg == chosen})
	}
	return f
}

// registry is the one that a form asks for: it fetches the key set at a new URL, or it does not.
func (d *Dashboard) registry(form url.Values) *clients.Registry {
	if form.Has("unfetched") {
		return d.clients.WithoutFetch()
	}
	return d.clients
}

const signingAlg = "token_endpoint_auth_signing_alg"

// addKeys adds the fields of a new client's keys to its registration.
func addKeys(o web.Object, form url.Values) error {
	if text := form.Get("jwks"); text != "" {
		set, err := jwks.ReadPublic([]byte(text))
		if err == nil {
			_, _, err = jwks.ParseRegistered(set)
		}
		if err != nil {
			form.Del("jwks") // which may be a private key: it is not shown again
			return web.InvalidRequest("jwks: %v", err)
		}
		o["jwks"] = set
	}
	for _, name := range []string{"jwks_uri", signingAlg} {
		if text := strings.TrimSpace(form.Get(name)); text != "" {
			if strings.Contains(text, "-----") || strings.Contains(text, "{") {
				form.Del(name) // a key in the wrong field, and maybe a private one
				return web.InvalidRequest("%s: must not be a key; paste a public key into its own field", name)
			}
			o[name], _ = json.Marshal(text)
		}
	}
	if o.Has("jwks") && o.Has("jwks_uri") {
		return web.InvalidRequest("jwks_uri: must be empty if a key is pasted")
	}
	return nil
}

func setOf(keys []json.RawMessage) json.RawMessage {
	set, _ := json.Marshal(map[string]any{"keys": keys}) // which is JSON already
	return set
}

// keysPage is the page on which the keys of a client are added and replaced.
type keysPage struct {
	operatorPage
	*store.Client
	keyFields
	Sent     url.Values
	Problems problems
	State    string // of the keys that the form was filled in from
}

func (p keysPage) Name() string { return nameOf(p.Client) }

// keyState tells one state of a client's keys from another.
func keyState(m *store.ClientMetadata) string {
	digest := sha256.Sum256([]byte(m.JWKSURI + "\x00" + m.SigningAlg + "\x00" + string(m.JWKS)))
	return hex.EncodeToString(digest[:16])
}

// ClientKeysPage answers GET /operator/clients/{id}/keys.
func (d *Dashboard) ClientKeysPage(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	return d.showKeys(w, r, in, c, http.StatusOK, storedKeyFields(c), nil)
}

func storedKeyFields(c *store.Client) url.Values {
	return url.Values{"jwks_uri": {c.Metadata.JWKSURI}, signingAlg: {c.Metadata.SigningAlg}}
}

func (d *Dashboard) showKeys(w http.ResponseWriter, r *http.Request, in *session, c *store.Client, status int, sent url.Values, wrong problems) error {
	p := keysPage{operatorPage{"clients"}, c, keyFieldsOf(sent, false), sent, wrong, keyState(&c.Metadata)}
	return d.show(w, status, "clientkeys", in.page(r, "Public keys of "+p.Name(), "operator", p))
}

// SaveClientKeys answers POST /operator/clients/{id}/keys.
func (d *Dashboard) SaveClientKeys(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	form, err := in.form(r)
	if err != nil {
		return err
	}
	if form.Get("state") != keyState(&c.Metadata) {
		return d.showKeys(w, r, in, c, http.StatusConflict, storedKeyFields(c), problems{"": "The keys were changed after this page was loaded, and nothing was saved. The form shows the present settings."})
	}
	o, err := keyPatch(c, form)
	if err == nil {
		_, err = d.registry(form).PatchIf(r.Context(), c.ID, o, sameKeys(c), in.Actor)
	}
	if answered, ok := fixable(err); ok {
		return d.showKeys(w, r, in, c, answered.Status, form, clientLabels.problems(answered.Description))
	}
	if err != nil {
		return err
	}
	return seeOther(w, clientURL(c.ID), "keys-saved")
}

// sameKeys is whether the keys of a client are still those that a page showed.
func sameKeys(c *store.Client) clients.Condition {
	state := keyState(&c.Metadata)
	return clients.Unchanged(func(m *store.ClientMetadata) bool { return keyState(m) == state })
}

// keyPatch is the form as the merge patch that the API takes: what is pasted is added to the registered keys, and a URL
// takes their place.
func keyPatch(c *store.Client, form url.Values) (web.Object, error) {
	added := web.Object{}
	if err := addKeys(added, form); err != nil {
		return nil, err
	}
	o := web.Object{"jwks_uri": added["jwks_uri"], signingAlg: added[signingAlg]}
	for name, value := range o {
		if value == nil {
			o[name] = json.RawMessage("null")
		}
	}
	switch {
	case added.Has("jwks"):
		o["jwks"] = setOf(slices.Concat(keysIn(c.Metadata.JWKS), keysIn(added["jwks"])))
	case added.Has("jwks_uri") && len(c.Metadata.JWKS) > 0:
		o["jwks"] = json.RawMessage("null")
	}
	return o, nil
}

// keysIn are the keys of a set that was checked.
func keysIn(set json.RawMessage) []json.RawMessage {
	var members struct {
		Keys []json.RawMessage `json:"keys"`
	}
	_ = json.Unmarshal(set, &members)
	return members.Keys
}

// RefreshClientKeys answers POST /operator/clients/{id}/refresh-keys.
func (d *Dashboard) RefreshClientKeys(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	if _, err := in.form(r); err != nil {
		return err
	}
	if err := d.clients.RefreshKeys(r.Context(), c.ID, in.Actor); err != nil {
		return err
	}
	return seeOther(w, clientURL(c.ID), "keys-refreshed")
}
