package dashboard

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// clientList is a page of clients.
type clientList struct {
	operatorPage
	Clients []*store.Client
	Query   string
	Next    string // URL
	First   bool
}

// Clients answers GET /operator/clients.
func (d *Dashboard) Clients(w http.ResponseWriter, r *http.Request, in *session) error {
	query, after, err := d.search(r, "pages clients")
	if err != nil {
		return err
	}
	found, next, err := d.store.Clients(r.Context(), query, after, listLength)
	if err != nil {
		return err
	}
	p := clientList{operatorPage{"clients"}, found, query, d.nextPage("/operator/clients", "pages clients", query, next), after == ""}
	return d.show(w, http.StatusOK, "clients", in.page(r, "Clients", "operator", p))
}

const listLength = 50

// search reads what a list is searched for, and where its page begins.
func (d *Dashboard) search(r *http.Request, listing string) (q, after string, err error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return "", "", err
	}
	if q, err = query.Text("q"); err != nil {
		return "", "", err
	}
	cursor, err := query.Text("cursor")
	if err != nil {
		return "", "", err
	}
	after, err = d.cursors.Open(cursor, listing, q)
	return q, after, err
}

// nextPage is the URL of the page behind a position.
func (d *Dashboard) nextPage(path, listing, q, position string) string {
	if position == "" {
		return ""
	}
	return path + "?" + url.Values{"q": {q}, "cursor": {d.cursors.Seal(position, listing, q)}}.Encode()
}

// clientForm is the page on which a client is registered.
type clientForm struct {
	operatorPage
	Sent    url.Values
	Problem string
	Once    string
}

// NewClientPage answers GET /operator/clients/new.
func (d *Dashboard) NewClientPage(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.showClientForm(w, r, in, http.StatusOK, url.Values{"grant": {"yes"}}, "")
}

func (d *Dashboard) showClientForm(w http.ResponseWriter, r *http.Request, in *session, status int, sent url.Values, problem string) error {
	f := clientForm{operatorPage{"clients"}, sent, problem, rand.Text()}
	return d.show(w, status, "clientnew", in.page(r, "Register a client", "operator", f))
}

// newSecret is the page that shows a secret or a link, this once.
type newSecret struct {
	operatorPage
	Title, Label, Secret string
	Client               *store.Client // whose it is; nil for a link
	User                 *store.User
	Expires              time.Time // of the link, or of the secret before
	Here                 string
	Back                 string
}

// RegisterClient answers POST /operator/clients, with the page that shows the secret.
func (d *Dashboard) RegisterClient(w http.ResponseWriter, r *http.Request, in *session) error {
	form, err := in.form(r)
	if err != nil {
		return err
	}
	return d.once(w, r, in, form, func() (string, error) {
		client, plain, err := d.clients.Register(r.Context(), clientObject(form), in.Actor)
		if answered, ok := fixable(err); ok {
			return "", d.showClientForm(w, r, in, answered.Status, form, sentence(answered.Description))
		}
		if err != nil {
			return "", err
		}
		if len(client.Secrets) == 0 { // its client authentication method uses none
			return clientURL(client.ID), seeOther(w, clientURL(client.ID), "client-saved")
		}
		p := newSecret{
			operatorPage: operatorPage{"clients"}, Title: "The client is registered", Label: "Client secret", Secret: plain,
			Client: client, Here: d.config.Issuer, Back: clientURL(client.ID),
		}
		return p.Back, d.show(w, http.StatusOK, "secretmade", in.page(r, p.Title, "operator", p))
	})
}

// fixable is an error that the user can fix in the form.
func fixable(err error) (*web.Error, bool) {
	var answered *web.Error
	ok := errors.As(err, &answered) && (answered.Status == http.StatusBadRequest || answered.Status == http.StatusConflict)
	return answered, ok
}

func clientURL(id string) string { return "/operator/clients/" + url.PathEscape(id) }

// clientPage is the page of one client.
type clientPage struct {
	operatorPage
	*store.Client
	Live     []secretRow
	BySecret bool          // it authenticates by a secret
	Lifetime time.Duration // of its tokens
	Once     string
	Overlaps []choice
	Problem  string
	Rate     string
	TTL      string
}

// secretRow is an active secret. It is safe to revoke once it was not used for a whole token lifetime: a caller who still
// had it would have come for a token.
type secretRow struct {
	store.Secret
	Used string
	Safe bool
}

// ClientPage answers GET /operator/clients/{id}.
func (d *Dashboard) ClientPage(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	return d.showClient(w, r, in, c, http.StatusOK, "")
}

// client reads the client that the path names.
func (d *Dashboard) client(r *http.Request) (*store.Client, error) {
	return d.clients.Client(r.Context(), web.Path(r, "id"))
}

func (d *Dashboard) showClient(w http.ResponseWriter, r *http.Request, in *session, c *store.Client, status int, problem string) error {
	uses, err := d.store.SecretUses(r.Context(), c.ID)
	if err != nil {
		return err
	}
	p := clientPage{operatorPage: operatorPage{"clients"}, Client: c, Lifetime: d.config.TokenTTL, Once: rand.Text(), Problem: problem}
	p.BySecret = d.clients.Offers.BySecret(c.Metadata.AuthMethod)
	if ttl := c.Metadata.TokenTTL; ttl > 0 {
		p.Lifetime, p.TTL = min(ttl, d.config.TokenTTLMax), ttl.String()
	}
	if c.Metadata.RateLimit != (store.Rate{}) {
		p.Rate = c.Metadata.RateLimit.String()
	}
	for _, o := range overlaps {
		p.Overlaps = append(p.Overlaps, choice{o.value, o.label, "", o.value == "24h"})
	}
	for _, s := range c.Secrets {
		if s.ActiveAt(d.now()) {
			p.Live = append(p.Live, d.secretRow(s, uses[s.ID], p.Lifetime, len(c.Secrets) > 1))
		}
	}
	title := c.Metadata.Name
	if title == "" {
		title = c.ID
	}
	return d.show(w, status, "client", in.page(r, title, "operator", p))
}

func (d *Dashboard) secretRow(s store.Secret, used time.Time, lifetime time.Duration, another bool) secretRow {
	row := secretRow{Secret: s, Used: "never"}
	since := s.CreatedAt // one that is new was not used yet, and is not safe for that
	if !used.IsZero() {
		row.Used, since = ago(d.now(), used), used
	}
	row.Safe = another && d.now().Sub(since) > lifetime
	return row
}

// changeClient does what a button on the page of a client asks for.
func (d *Dashboard) changeClient(w http.ResponseWriter, r *http.Request, in *session, done string, change func(c *store.Client, form url.Values) error) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	form, err := in.form(r)
	if err != nil {
		return err
	}
	err = change(c, form)
	if answered, ok := fixable(err); ok {
		return d.showClient(w, r, in, c, answered.Status, sentence(answered.Description))
	}
	if err != nil {
		return err
	}
	return seeOther(w, clientURL(c.ID), done)
}

// ChangeClient answers POST /operator/clients/{id}.
func (d *Dashboard) ChangeClient(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.changeClient(w, r, in, "client-saved", func(c *store.Client, form url.Values) error {
		_, err := d.clients.Patch(r.Context(), c.ID, clientPatch(form), in.Actor)
		return err
	})
}

// DisableClient answers POST /operator/clients/{id}/disable.
func (d *Dashboard) DisableClient(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.switchClient(w, r, in, "disabled", "true")
}

// EnableClient answers POST /operator/clients/{id}/enable.
func (d *Dashboard) EnableClient(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.switchClient(w, r, in, "enabled", "false")
}

func (d *Dashboard) switchClient(w http.ResponseWriter, r *http.Request, in *session, done, disabled string) error {
	return d.changeClient(w, r, in, done, func(c *store.Client, _ url.Values) error {
		_, err := d.clients.Patch(r.Context(), c.ID, web.Object{"disabled": []byte(disabled)}, in.Actor)
		return err
	})
}

// RevokeTokens answers POST /operator/clients/{id}/revoke-tokens.
func (d *Dashboard) RevokeTokens(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.changeClient(w, r, in, "tokens-ended", func(c *store.Client, _ url.Values) error {
		return d.clients.RevokeTokens(r.Context(), c.ID, in.Actor)
	})
}

// RevokeSecret answers POST /operator/clients/{id}/secrets/{secret_id}/end.
func (d *Dashboard) RevokeSecret(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.changeClient(w, r, in, "secret-ended", func(c *store.Client, _ url.Values) error {
		return d.clients.RevokeSecret(r.Context(), c.ID, web.Path(r, "secret_id"), in.Actor)
	})
}

// DeleteClient answers POST /operator/clients/{id}/delete.
func (d *Dashboard) DeleteClient(w http.ResponseWriter, r *http.Request, in *session) error {
	c, err := d.client(r)
	if err != nil {
		return err
	}
	form, err := in.form(r)
	if err != nil {
		return err
	}
	if strings.TrimSpace(form.Get("confirm")) != c.ID {
		return d.showClient(w, r, in, c, http.StatusBadRequest, "Type the client's id to delete it.")
	}
	if err := d.clients.Delete(r.Context(), c.ID, in.Actor); err != nil {
		return err
	}
	return seeOther(w, "/operator/clients", "client-gone")
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
	return d.once(w, r, in, form, func() (string, error) {
		next, err := d.clients.RotateSecret(r.Context(), c.ID, web.ObjectOf(map[string]any{"overlap": form.Get("overlap")}), in.Actor)
		if answered, ok := fixable(err); ok {
			return "", d.showClient(w, r, in, c, answered.Status, sentence(answered.Description))
		}
		if err != nil {
			return "", err
		}
		return clientURL(c.ID), d.showRotated(w, r, in, c, next)
	})
}

func (d *Dashboard) showRotated(w http.ResponseWriter, r *http.Request, in *session, c *store.Client, next *clients.Rotated) error {
	p := newSecret{
		operatorPage: operatorPage{"clients"}, Title: "The new secret", Label: "Client secret", Secret: next.Plain,
		Client: c, Here: d.config.Issuer, Back: clientURL(c.ID),
	}
	if next.Previous != nil {
		p.Expires = next.Previous.ExpiresAt
	}
	return d.show(w, http.StatusOK, "secretmade", in.page(r, p.Title, "operator", p))
}
