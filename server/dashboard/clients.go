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
func (d *Dashboard) Clients(w http.ResponseWriter, r *http.Request) error {
	return d.operator(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		query, after, err := d.search(r, "pages clients")
		if err != nil {
			return err
		}
		clients, next, err := d.store.Clients(r.Context(), query, after, listLength)
		if err != nil {
			return err
		}
		p := clientList{operatorPage{"clients"}, clients, query, d.nextPage("/operator/clients", "pages clients", query, next), after == ""}
		return d.show(w, http.StatusOK, "clients", v.page(r, "Clients", "operator", p))
	})
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
func (d *Dashboard) NewClientPage(w http.ResponseWriter, r *http.Request) error {
	return d.operator(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		return d.showClientForm(w, r, v, http.StatusOK, url.Values{"grant": {"yes"}}, "")
	})
}

func (d *Dashboard) showClientForm(w http.ResponseWriter, r *http.Request, v *visitor, status int, sent url.Values, problem string) error {
	f := clientForm{operatorPage{"clients"}, sent, problem, rand.Text()}
	return d.show(w, status, "clientnew", v.page(r, "Register a client", "operator", f))
}

// newSecret is the page that shows a secret or a link, this once.
type newSecret struct {
	operatorPage
	Title, Label, Secret string
	Client               *store.Client // whose it is; nil for a link
	Person               *store.User
	Expires              time.Time // of the link, or of the secret before
	Here                 string
	Back                 string
}

// RegisterClient answers POST /operator/clients, with the page that shows the secret.
func (d *Dashboard) RegisterClient(w http.ResponseWriter, r *http.Request) error {
	return d.operator(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		return d.once(w, r, v, form, func() (string, error) {
			client, plain, err := d.clients.Register(r, clientObject(form), v.actor())
			if refused, ok := mendable(err); ok {
				return "", d.showClientForm(w, r, v, refused.Status, form, sentence(refused.Description))
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
			return p.Back, d.show(w, http.StatusOK, "secretmade", v.page(r, p.Title, "operator", p))
		})
	})
}

// mendable is an error that the person can mend in the form.
func mendable(err error) (*web.Error, bool) {
	var refused *web.Error
	ok := errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusConflict)
	return refused, ok
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

// secretRow is a live secret. It is safe to end once it was not used for a whole token lifetime: whoever still
// had it would have come for a token.
type secretRow struct {
	store.Secret
	Used string
	Safe bool
}

// Client answers GET /operator/clients/{id}.
func (d *Dashboard) Client(w http.ResponseWriter, r *http.Request) error {
	return d.withClient(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, c *store.Client) error {
		return d.showClient(w, r, v, c, http.StatusOK, "")
	})
}

// withClient is operator for the page of a client.
func (d *Dashboard) withClient(w http.ResponseWriter, r *http.Request, h func(http.ResponseWriter, *http.Request, *visitor, *store.Client) error) error {
	return d.operator(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		c, err := d.clients.Client(r.Context(), web.Path(r, "id"))
		if err != nil {
			return err
		}
		return h(w, r, v, c)
	})
}

func (d *Dashboard) showClient(w http.ResponseWriter, r *http.Request, v *visitor, c *store.Client, status int, problem string) error {
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
	return d.show(w, status, "client", v.page(r, title, "operator", p))
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

// act is what a button on the page of a client does.
func (d *Dashboard) clientAct(w http.ResponseWriter, r *http.Request, done string, do func(r *http.Request, form url.Values, c *store.Client, actor string) error) error {
	return d.withClient(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, c *store.Client) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		err = do(r, form, c, v.actor())
		if refused, ok := mendable(err); ok {
			return d.showClient(w, r, v, c, refused.Status, sentence(refused.Description))
		}
		if err != nil {
			return err
		}
		return seeOther(w, clientURL(c.ID), done)
	})
}

// ChangeClient answers POST /operator/clients/{id}.
func (d *Dashboard) ChangeClient(w http.ResponseWriter, r *http.Request) error {
	return d.clientAct(w, r, "client-saved", func(r *http.Request, form url.Values, c *store.Client, actor string) error {
		_, err := d.clients.Patch(r, c.ID, clientPatch(form), actor)
		return err
	})
}

// SwitchClient answers POST /operator/clients/{id}/disable and /enable.
func (d *Dashboard) SwitchClient(enable bool) web.Handler {
	done, disabled := "disabled", "true"
	if enable {
		done, disabled = "enabled", "false"
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		return d.clientAct(w, r, done, func(r *http.Request, _ url.Values, c *store.Client, actor string) error {
			_, err := d.clients.Patch(r, c.ID, web.Object{"disabled": []byte(disabled)}, actor)
			return err
		})
	}
}

// RevokeTokens answers POST /operator/clients/{id}/revoke-tokens.
func (d *Dashboard) RevokeTokens(w http.ResponseWriter, r *http.Request) error {
	return d.clientAct(w, r, "tokens-ended", func(r *http.Request, _ url.Values, c *store.Client, actor string) error {
		return d.clients.RevokeTokens(r, c.ID, actor)
	})
}

// RevokeSecret answers POST /operator/clients/{id}/secrets/{secret_id}/end.
func (d *Dashboard) RevokeSecret(w http.ResponseWriter, r *http.Request) error {
	return d.clientAct(w, r, "secret-ended", func(r *http.Request, _ url.Values, c *store.Client, actor string) error {
		return d.clients.RevokeSecret(r, c.ID, web.Path(r, "secret_id"), actor)
	})
}

// DeleteClient answers POST /operator/clients/{id}/delete.
func (d *Dashboard) DeleteClient(w http.ResponseWriter, r *http.Request) error {
	return d.withClient(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, c *store.Client) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		if strings.TrimSpace(form.Get("confirm")) != c.ID {
			return d.showClient(w, r, v, c, http.StatusBadRequest, "Type the client's id to delete it.")
		}
		if err := d.clients.DeleteClient(r, c.ID, v.actor()); err != nil {
			return err
		}
		return seeOther(w, "/operator/clients", "client-gone")
	})
}

// RotateSecret answers POST /operator/clients/{id}/secrets, with the page that shows the new one.
func (d *Dashboard) RotateSecret(w http.ResponseWriter, r *http.Request) error {
	return d.withClient(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, c *store.Client) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		return d.once(w, r, v, form, func() (string, error) {
			made, err := d.clients.RotateSecret(r, c.ID, web.ObjectOf(map[string]any{"overlap": form.Get("overlap")}), v.actor())
			if refused, ok := mendable(err); ok {
				return "", d.showClient(w, r, v, c, refused.Status, sentence(refused.Description))
			}
			if err != nil {
				return "", err
			}
			return clientURL(c.ID), d.showRotated(w, r, v, c, made)
		})
	})
}

func (d *Dashboard) showRotated(w http.ResponseWriter, r *http.Request, v *visitor, c *store.Client, made *clients.Rotated) error {
	p := newSecret{
		operatorPage: operatorPage{"clients"}, Title: "The new secret", Label: "Client secret", Secret: made.Plain,
		Client: c, Here: d.config.Issuer, Back: clientURL(c.ID),
	}
	if made.Previous != nil {
		p.Expires = made.Previous.ExpiresAt
	}
	return d.show(w, http.StatusOK, "secretmade", v.page(r, p.Title, "operator", p))
}
