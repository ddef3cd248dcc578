package dashboard

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// clientList is a page of clients.
type clientList struct {
	operatorPage
	Clients []clientRow
	Query   string
	Next    string // URL
	First   bool
}

// clientRow is a client in the list.
type clientRow struct {
	*store.Client
	LastToken time.Time
}

// Clients answers GET /operator/clients.
func (d *Dashboard) Clients(w http.ResponseWriter, r *http.Request, in *session) error {
	query, after, err := d.search(r, "pages clients")
	if err != nil {
		return err
	}
	found, next, err := d.store.EveryClient(r.Context(), query, after, listLength)
	if err != nil {
		return err
	}
	ids := make([]string, len(found))
	for i, c := range found {
		ids[i] = c.ID
	}
	last, err := d.store.LastRequestsOf(r.Context(), ids)
	if err != nil {
		return err
	}
	p := clientList{operatorPage{"clients"}, nil, query, d.nextPage("/operator/clients", "pages clients", query, next), after == ""}
	for i, c := range found {
		p.Clients = append(p.Clients, clientRow{c, last[i].Token})
	}
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

// clientNew is the page on which a client is registered.
type clientNew struct {
	operatorPage
	clientFields
	keyFields
	Once string
}

// NewClientPage answers GET /operator/register-client.
func (d *Dashboard) NewClientPage(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.showClientForm(w, r, in, http.StatusOK, url.Values{"grant": d.clients.Offers.GrantTypes[:1]}, nil)
}

func (d *Dashboard) showClientForm(w http.ResponseWriter, r *http.Request, in *session, status int, sent url.Values, wrong problems) error {
	f := clientNew{operatorPage{"clients"}, d.clientFields(sent, wrong), keyFieldsOf(sent, true), rand.Text()}
	return d.show(w, status, "clientnew", in.page(r, "Register a client", "operator", f))
}

// newSecret is the page that shows a secret or a link, this once.
type newSecret struct {
	operatorPage
	shownOnce
	Title   string
	Client  *store.Client // whose it is; nil for a link
	User    *store.User
	Expires time.Time // of the link, or of the previous secret
	Revoked bool      // the previous secret is
	Here    string
	Back    string
}

// RegisterClient answers POST /operator/clients, with the page that shows the secret.
func (d *Dashboard) RegisterClient(w http.ResponseWriter, r *http.Request, in *session) error {
	form, err := in.form(r, "grant")
	if err != nil {
		return err
	}
	return d.once(w, r, in, form, func() (string, error) {
		client, plain, err := d.register(r, in, form)
		if answered, ok := fixable(err); ok {
			return "", d.showClientForm(w, r, in, answered.Status, form, clientLabels.problems(answered.Description))
		}
		if err != nil {
			return "", err
		}
		if len(client.Secrets) == 0 { // it has a key instead, or its client authentication method uses none
			return clientURL(client.ID), seeOther(w, clientURL(client.ID), "client-registered")
		}
		p := newSecret{
			operatorPage: operatorPage{"clients"}, Title: "The client is registered", shownOnce: shownOnce{"Client secret", plain},
			Client: client, Here: d.config.Issuer, Back: clientURL(client.ID),
		}
		return p.Back, d.show(w, http.StatusOK, "secretmade", in.page(r, p.Title, "operator", p))
	})
}

func (d *Dashboard) register(r *http.Request, in *session, form url.Values) (c *store.Client, plain string, err error) {
	keys := web.Object{}
	wrongKeys := addKeys(keys, form) // first, whatever else is wrong: a private key must not come back with the page
	o, err := clientObject(form)
	if err == nil {
		err = wrongKeys
	}
	if err != nil {
		return nil, "", err
	}
	maps.Copy(o, keys)
	return d.registry(form).Register(r.Context(), o, in.Actor)
}

// fixable is an error that the user can fix in the form.
func fixable(err error) (*web.Error, bool) {
	var answered *web.Error
	ok := errors.As(err, &answered) && (answered.Status == http.StatusBadRequest || answered.Status == http.StatusConflict)
	return answered, ok
}

func clientURL(id string) string { return "/operator/clients/" + url.PathEscape(id) }
