package dashboard

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// clientPage is the page of one client.
type clientPage struct {
	operatorPage
	Span
	*store.Client
	clientFields
	store.LastRequests
	Requests *chart
	Active   []secretRow
	BySecret bool // it may authenticate by a secret
	Keys     []clients.PublicKey
	ByKey    bool          // it may authenticate by its keys
	Lifetime time.Duration // of its tokens
	Once     string
	Overlaps []choice
	Rotation string // what is wrong with the form that creates a secret
	Notice   string // what became of a form that was not saved
}

// Name is what the client is called.
func (p clientPage) Name() string { return nameOf(p.Client) }

// nameOf is what a client is called: its name, or its id if it has none.
func nameOf(c *store.Client) string {
	if c.Metadata.Name == "" {
		return c.ID
	}
	return c.Metadata.Name
}

// secretRow is an active secret. It is safe to revoke once it was not used for a whole token lifetime: a caller who still
// had it would have come for a token.
type secretRow struct {
	store.Secret
	Used time.Time // zero: never
	Safe bool
}

// ClientPage answers GET /operator/clients/{id}.
func (d *Dashboard) ClientPage(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	return d.showClient(w, r, in, c, http.StatusOK, clientPage{clientFields: d.clientFields(fieldsOf(c), nil)})
}

// client reads the client that the path names.
func (d *Dashboard) client(r *http.Request) (*store.Client, error) {
	return d.clients.Client(r.Context(), web.Path(r, "id"))
}

// showClient fills in all of the page but what its forms have.
func (d *Dashboard) showClient(w http.ResponseWriter, r *http.Request, in *session, c *store.Client, status int, p clientPage) (err error) {
	p.operatorPage, p.Client, p.Once = operatorPage{"clients"}, c, rand.Text()
	p.Seen, p.ByKey = seenOf(fieldsOf(c)), d.byKey(&c.Metadata)
	p.BySecret, p.Lifetime = d.clients.Offers.BySecret(c.Metadata.AuthMethod), d.lifetime(c)
	for _, o := range overlaps {
		p.Overlaps = append(p.Overlaps, choice{o.value, o.label, "", o.value == "24h"})
	}
	if p.Span, err = spanOf(r, clientURL(c.ID)); err != nil {
		return err
	}
	if p.Active, err = d.activeSecrets(r, c); err != nil {
		return err
	}
	if p.Keys, err = d.clientKeys(r, c); err != nil {
		return err
	}
	if err := d.requests(r, &p); err != nil {
		return err
	}
	return d.show(w, status, "client", in.page(r, p.Name(), "operator", p))
}

// requests reads what became of the token requests of the client.
func (d *Dashboard) requests(r *http.Request, p *clientPage) error {
	last, err := d.store.LastRequestsOf(r.Context(), []string{p.ID})
	if err != nil {
		return err
	}
	read := d.store.ClientHour
	if p.Day {
		read = d.store.ClientDay
	}
	counted, err := read(r.Context(), p.ID)
	if err != nil {
		return err
	}
	p.LastRequests, p.Requests = last[0], requestsChart(counted, p.per())
	return nil
}

// lifetime is that of the client's tokens.
func (d *Dashboard) lifetime(c *store.Client) time.Duration {
	if ttl := c.Metadata.TokenTTL; ttl > 0 {
		return min(ttl, d.config.TokenTTLMax)
	}
	return d.config.TokenTTL
}

// activeSecrets are the active secrets of a client, the oldest first.
func (d *Dashboard) activeSecrets(r *http.Request, c *store.Client) (rows []secretRow, err error) {
	uses, err := d.store.ClientUses(r.Context(), c.ID)
	if err != nil {
		return nil, err
	}
	for _, s := range c.Secrets {
		if s.ActiveAt(d.now()) {
			rows = append(rows, secretRow{Secret: s, Used: uses.Secrets[s.ID]})
		}
	}
	for i := range rows {
		since := rows[i].CreatedAt // one that is new was not used yet, and is not safe for that
		if !rows[i].Used.IsZero() {
			since = rows[i].Used
		}
		rows[i].Safe = len(rows) > 1 && d.now().Sub(since) > d.lifetime(c)
	}
	return rows, nil
}

// ChangeClient answers POST /operator/clients/{id}.
func (d *Dashboard) ChangeClient(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	form, err := in.form(r, "grant")
	if err != nil {
		return err
	}
	if form.Get("seen") != seenOf(fieldsOf(c)) {
		return d.showChanged(w, r, in, c)
	}
	if form.Has(backField) {
		p := clientPage{clientFields: d.clientFields(form, nil), Notice: "Nothing is saved yet. The settings below have your changes."}
		return d.showClient(w, r, in, c, http.StatusOK, p)
	}
	if asked, err := d.asksToSave(w, r, in, c, form); asked || err != nil {
		return err
	}
	err = d.patch(r, in, c, form)
	if errors.Is(err, errChanged) {
		if c, err = d.client(r); err != nil {
			return err
		}
		return d.showChanged(w, r, in, c)
	}
	if answered, ok := fixable(err); ok {
		fields := d.clientFields(form, clientLabels.problems(answered.Description))
		return d.showClient(w, r, in, c, answered.Status, clientPage{clientFields: fields})
	}
	if err != nil {
		return err
	}
	return seeOther(w, clientURL(c.ID), "client-saved")
}

// errChanged: the client was changed after the form was loaded.
var errChanged = errors.New("the client was changed after the form was filled in")

// showChanged shows the present settings in answer to a form that was filled in from others.
func (d *Dashboard) showChanged(w http.ResponseWriter, r *http.Request, in *session, c *store.Client) error {
	p := clientPage{clientFields: d.clientFields(fieldsOf(c), problems{"": "The client was changed after this page was loaded, and nothing was saved. The form shows its present settings."})}
	return d.showClient(w, r, in, c, http.StatusConflict, p)
}

// patch changes the client, or returns errChanged.
func (d *Dashboard) patch(r *http.Request, in *session, c *store.Client, form url.Values) error {
	o, err := clientPatch(form)
	if err != nil {
		return err
	}
	unchanged := func(c *store.Client) error {
		if form.Get("seen") != seenOf(fieldsOf(c)) {
			return errChanged
		}
		return nil
	}
	_, err = d.clients.PatchIf(r.Context(), c.ID, o, unchanged, in.Actor)
	return err
}

// EnableClient answers POST /operator/clients/{id}/enable.
func (d *Dashboard) EnableClient(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	if _, err := in.form(r); err != nil {
		return err
	}
	if _, err := d.clients.Patch(r.Context(), c.ID, web.Object{"disabled": []byte("false")}, in.Actor); err != nil {
		return err
	}
	return seeOther(w, clientURL(c.ID), "client-enabled")
}

// RotateSecret answers POST /operator/clients/{id}/secrets, with the page that shows the new one.
func (d *Dashboard) RotateSecret(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	form, err := in.form(r)
	if err != nil {
		return err
	}
	if asked, err := d.asksToRotate(w, r, in, c, form); asked || err != nil {
		return err
	}
	return d.once(w, r, in, form, func() (string, error) {
		next, err := d.clients.RotateSecret(r.Context(), c.ID, web.ObjectOf(map[string]any{"overlap": form.Get("overlap")}), in.Actor)
		if answered, ok := fixable(err); ok {
			p := clientPage{clientFields: d.clientFields(fieldsOf(c), nil), Rotation: sentence(answered.Description)}
			return "", d.showClient(w, r, in, c, answered.Status, p)
		}
		if err != nil {
			return "", err
		}
		return clientURL(c.ID), d.showRotated(w, r, in, c, next)
	})
}

func (d *Dashboard) showRotated(w http.ResponseWriter, r *http.Request, in *session, c *store.Client, next *clients.Rotated) error {
	p := newSecret{
		operatorPage: operatorPage{"clients"}, Title: "The new client secret", shownOnce: shownOnce{"Client secret", next.Plain},
		Client: c, Here: d.config.Issuer, Back: clientURL(c.ID),
	}
	if next.Previous != nil {
		p.Expires = next.Previous.ExpiresAt
		p.Revoked = !p.Expires.IsZero() && !p.Expires.After(d.now())
	}
	return d.show(w, http.StatusOK, "secretmade", in.page(r, p.Title, "operator", p))
}
