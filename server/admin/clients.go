package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// CreateClient answers POST /admin/clients, by the one answer that has the new secret in it.
func (a *Admin) CreateClient(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	registry, err := a.registry(r)
	if err != nil {
		return err
	}
	switch only, err := dryRun(r); {
	case err != nil:
		return err
	case only:
		return checked(w, registry.CheckRegister(r.Context(), o))
	}
	c, plain, err := registry.Register(r.Context(), o, by)
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.Config.AdminOrigin()+"/admin/clients/"+c.ID)
	view := a.clientView(c, store.ClientUses{})
	if len(c.Secrets) == 0 { // then no member tells of one (RFC 7591 §3.2.1)
		return showClient(w, http.StatusCreated, view)
	}
	w.Header().Set("ETag", view.ETag)
	return web.JSON(w, http.StatusCreated, adminapi.RegisteredClient{Client: view, Secret: plain})
}

// registry is that of clients. With check=false in the query, the URL of a key set is not fetched.
func (a *Admin) registry(r *http.Request) (*clients.Registry, error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return nil, err
	}
	switch text, err := query.Text("check"); {
	case err != nil:
		return nil, err
	case text == "false":
		return a.Clients.WithoutFetch(), nil
	case text == "" || text == "true":
		return a.Clients, nil
	}
	return nil, web.InvalidRequest("check: must be true or false")
}

// sameKeys is the condition if_keys in the query: the client has exactly the keys with these thumbprints. nil: there is none.
func sameKeys(r *http.Request) (clients.Condition, error) {
	query, err := web.ReadQuery(r)
	if err != nil || query["if_keys"] == nil {
		return nil, err
	}
	text, err := query.Text("if_keys")
	if err != nil {
		return nil, err
	}
	wanted := strings.FieldsFunc(text, func(c rune) bool { return c == ',' })
	slices.Sort(wanted)
	return clients.Unchanged(func(m *store.ClientMetadata) bool {
		var has []string
		for _, k := range clients.Keys(m) {
			has = append(has, k.Thumbprint)
		}
		slices.Sort(has)
		return m.JWKSURI == "" && slices.Equal(has, wanted)
	}), nil
}

// ListClients answers GET /admin/clients.
func (a *Admin) ListClients(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	wanted, err := a.readSearch(r, "clients")
	if err != nil {
		return err
	}
	found, next, err := a.Store.Clients(r.Context(), wanted.q, wanted.after, wanted.limit)
	if err != nil {
		return err
	}
	items, err := a.clientViews(r.Context(), found)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, adminapi.Page[adminapi.Client]{Items: items, NextCursor: a.cursors.Seal(next, wanted.listing...)})
}

func (a *Admin) clientViews(ctx context.Context, found []*store.Client) ([]adminapi.Client, error) {
	ids := make([]string, len(found))
	for i, c := range found {
		ids[i] = c.ID
	}
	uses, err := a.Store.ClientUsesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	views := make([]adminapi.Client, len(found))
	for i, c := range found {
		views[i] = a.clientView(c, uses[i])
	}
	return views, nil
}

// ShowClient answers GET /admin/clients/{id}.
func (a *Admin) ShowClient(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	c, uses, err := a.client(r)
	if err != nil {
		return err
	}
	return showClient(w, http.StatusOK, a.clientView(c, uses))
}

// client reads the client that the path names, and the last uses of its secrets and keys.
func (a *Admin) client(r *http.Request) (*store.Client, store.ClientUses, error) {
	c, err := a.Clients.Client(r.Context(), web.Path(r, "id"))
	if err != nil {
		return nil, store.ClientUses{}, err
	}
	uses, err := a.Store.ClientUses(r.Context(), c.ID)
	return c, uses, err
}

// PatchClient answers PATCH /admin/clients/{id}, a JSON Merge Patch (RFC 7396). It shows the client as the patch has left
// it, with the last uses that were read before: they must not fail a change that is made.
func (a *Admin) PatchClient(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	id := web.Path(r, "id")
	registry, err := a.registry(r)
	if err != nil {
		return err
	}
	condition, err := patchCondition(r)
	if err != nil {
		return err
	}
	switch only, err := dryRun(r); {
	case err != nil:
		return err
	case only:
		return checked(w, registry.CheckPatch(r.Context(), id, o, condition))
	}
	uses := a.usesBefore(r, id)
	c, err := registry.PatchIf(r.Context(), id, o, condition, by)
	if err != nil {
		return err
	}
	return showClient(w, http.StatusOK, a.clientView(c, uses))
}

// usesBefore are the last uses of a client's secrets and keys; none if they cannot be read. What cannot be an id is not looked up:
// it may be a secret.
func (a *Admin) usesBefore(r *http.Request, id string) (uses store.ClientUses) {
	if clients.CheckID(id) == nil {
		uses, _ = a.Store.ClientUses(r.Context(), id)
	}
	return uses
}

// DeleteClient answers DELETE /admin/clients/{id}. Without If-Match it works on a damaged record too.
func (a *Admin) DeleteClient(w http.ResponseWriter, r *http.Request, by audit.Actor) (err error) {
	id := web.Path(r, "id")
	if condition := sameVersion(web.ReadMatch(r)); condition != nil {
		err = a.Clients.DeleteIf(r.Context(), id, condition, by)
	} else {
		err = a.Clients.Delete(r.Context(), id, by)
	}
	if err != nil {
		return err
	}
	return web.NoContent(w)
}

// RevokeTokens answers POST /admin/clients/{id}/revoke-tokens.
func (a *Admin) RevokeTokens(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	if err := a.Clients.RevokeTokens(r.Context(), web.Path(r, "id"), by); err != nil {
		return err
	}
	return web.NoContent(w)
}

// RefreshKeys answers POST /admin/clients/{id}/refresh-keys.
func (a *Admin) RefreshKeys(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	if err := a.Clients.RefreshKeys(r.Context(), web.Path(r, "id"), by); err != nil {
		return err
	}
	return web.NoContent(w)
}
