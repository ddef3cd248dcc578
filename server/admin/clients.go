package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

func (a *Admin) createClient(w http.ResponseWriter, r *http.Request, actor string) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	c, plain, err := a.clients.Register(r, o, actor)
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.config.Issuer+"/admin/clients/"+c.ID)
	return web.JSON(w, http.StatusCreated, registeredView{clientView: newClientView(c, nil, a.now()), Secret: plain})
}

func (a *Admin) listClients(w http.ResponseWriter, r *http.Request, _ string) error {
	wanted, err := a.readSearch(r, "clients")
	if err != nil {
		return err
	}
	clients, next, err := a.store.Clients(r.Context(), wanted.q, wanted.after, wanted.limit)
	if err != nil {
		return err
	}
	items, err := a.clientViews(r.Context(), clients)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, web.Page[clientView]{Items: items, NextCursor: a.cursors.Seal(next, wanted.listing...)})
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
	c, err := a.clients.Client(r.Context(), web.Path(r, "id"))
	if err != nil {
		return nil, nil, err
	}
	uses, err := a.store.SecretUses(r.Context(), c.ID)
	return c, uses, err
}

// patchClient shows the client as the patch has left it, with the last uses that were read before: it has no
// need to fail for them once the change is made.
func (a *Admin) patchClient(w http.ResponseWriter, r *http.Request, actor string) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	id := web.Path(r, "id")
	uses, _ := a.store.SecretUses(r.Context(), id)
	c, err := a.clients.Patch(r, id, o, actor)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, newClientView(c, uses, a.now()))
}

func (a *Admin) deleteClient(w http.ResponseWriter, r *http.Request, actor string) error {
	if err := a.clients.DeleteClient(r, web.Path(r, "id"), actor); err != nil {
		return err
	}
	return web.NoContent(w)
}

func (a *Admin) revokeTokens(w http.ResponseWriter, r *http.Request, actor string) error {
	if err := a.clients.RevokeTokens(r, web.Path(r, "id"), actor); err != nil {
		return err
	}
	return web.NoContent(w)
}
