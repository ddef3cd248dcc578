package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

func (a *Admin) createClient(w http.ResponseWriter, r *http.Request, actor string) error {
	c, plain, err := a.readRegistration(r)
	if err != nil {
		return err
	}
	// Looked at before the record is made; that it stays so is for the store to see.
	if _, err := a.store.Client(r.Context(), c.ID); err == nil {
		return taken()
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	detail := map[string]string{"secret": c.Secrets[0].ID}
	err = a.change(r, act{actor, clientCreated, clientTarget(c.ID), detail}, func(ctx context.Context) error {
		return a.store.CreateClient(ctx, c)
	})
	if errors.Is(err, store.ErrExists) {
		return taken()
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.config.Issuer+"/admin/clients/"+c.ID)
	return web.JSON(w, http.StatusCreated, registeredView{clientView: newClientView(c, nil, a.now()), Secret: plain})
}

func taken() error { return web.Conflict("client_id: is taken") }

func (a *Admin) readRegistration(r *http.Request) (c *store.Client, plain string, err error) {
	o, err := readObject(r)
	if err != nil {
		return nil, "", err
	}
	c = &store.Client{}
	if c.ID, err = newClientID(o); err != nil {
		return nil, "", err
	}
	if c.Metadata, err = a.rules().register(o); err != nil {
		return nil, "", err
	}
	if disabled, err := readDisabled(o); err != nil || disabled {
		return nil, "", wrongMember("disabled", errors.New("a client is registered enabled"))
	}
	c.Metadata.CreatedAt = a.now().UTC().Truncate(time.Second) // client_id_issued_at has no more
	secret, plain, err := a.newSecret(o)
	if err != nil {
		return nil, "", wrongMember("client_secret", err)
	}
	c.Secrets = []store.Secret{secret}
	return c, plain, nil
}

func (a *Admin) listClients(w http.ResponseWriter, r *http.Request, _ string) error {
	query, err := readQuery(r)
	if err != nil {
		return err
	}
	limit, err := query.limit()
	if err != nil {
		return err
	}
	q, err := query.text("q")
	if err != nil {
		return err
	}
	cursor, err := query.text("cursor")
	if err != nil {
		return err
	}
	listing := []string{"clients", q}
	after, err := a.cursors.open(cursor, listing...)
	if err != nil {
		return err
	}
	clients, next, err := a.store.Clients(r.Context(), q, after, limit)
	if err != nil {
		return err
	}
	items, err := a.clientViews(r.Context(), clients)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, page[clientView]{items, a.cursors.seal(next, listing...)})
}

func (a *Admin) clientViews(ctx context.Context, clients []*store.Client) ([]clientView, error) {
	ids := make([]string, len(clients))
	for i, c := range clients {
		ids[i] = c.ID
	}
	uses, err := a.store.SecretUsesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	views := make([]clientView, len(clients))
	for i, c := range clients {
		views[i] = newClientView(c, uses[i], a.now())
	}
	return views, nil
}

func (a *Admin) showClient(w http.ResponseWriter, r *http.Request, _ string) error {
	c, uses, err := a.find(r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, newClientView(c, uses, a.now()))
}

// find reads the client that the path names, and the last uses of its secrets.
func (a *Admin) find(r *http.Request) (*store.Client, map[string]time.Time, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, nil, err
	}
	c, err := a.store.Client(r.Context(), id)
	if err != nil {
		return nil, nil, noClient(err)
	}
	uses, err := a.store.SecretUses(r.Context(), id)
	return c, uses, err
}

// noClient says what was not found.
func noClient(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return web.NotFound("Client")
	}
	return err
}

func (a *Admin) deleteClient(w http.ResponseWriter, r *http.Request, actor string) error {
	return a.endOf(w, r, actor, clientDeleted, a.store.DeleteClient)
}

func (a *Admin) revokeTokens(w http.ResponseWriter, r *http.Request, actor string) error {
	return a.endOf(w, r, actor, clientTokensRevoked, a.store.EndClientTokens)
}

// endOf is an end of the whole client, or of all its tokens. It reads nothing first, so that a damaged
// record can be ended too.
func (a *Admin) endOf(w http.ResponseWriter, r *http.Request, actor, action string, end func(context.Context, string) error) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := a.end(r, act{actor, action, clientTarget(id), nil}, func(ctx context.Context) error {
		return end(ctx, id)
	}); err != nil {
		return noClient(err)
	}
	return web.NoContent(w)
}
