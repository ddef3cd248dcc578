package admin

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// ReplaceClient answers PUT /admin/clients/{id}, which replaces the whole registration and so needs If-Match: it would undo
// what the caller does not know.
func (a *Admin) ReplaceClient(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	match := web.ReadMatch(r)
	if !match.Given() {
		return web.PreconditionRequired()
	}
	registry, err := a.registry(r)
	if err != nil {
		return err
	}
	id, condition := web.Path(r, "id"), sameVersion(match)
	switch only, err := dryRun(r); {
	case err != nil:
		return err
	case only:
		return checked(w, registry.CheckReplace(r.Context(), id, o, condition))
	}
	uses := a.usesBefore(r, id)
	c, err := registry.Replace(r.Context(), id, o, condition, by)
	if err != nil {
		return err
	}
	return showClient(w, http.StatusOK, a.clientView(c, uses))
}

// dryRun is whether the request is only to be checked.
func dryRun(r *http.Request) (bool, error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return false, err
	}
	return query.Flag("dry_run")
}

// checked answers a request that is only to be checked.
func checked(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	return web.NoContent(w)
}

// sameVersion is the condition If-Match. nil: there is none.
func sameVersion(match web.Match) clients.Condition {
	if !match.Given() {
		return nil
	}
	return func(c *store.Client) error { return match.Check(clients.Version(c)) }
}

// patchCondition is what a patch depends on: If-Match, if_keys in the query, or both. nil: nothing.
func patchCondition(r *http.Request) (clients.Condition, error) {
	version := sameVersion(web.ReadMatch(r))
	keys, err := sameKeys(r)
	if err != nil || keys == nil {
		return version, err
	}
	return func(c *store.Client) error {
		if version != nil {
			if err := version(c); err != nil {
				return err
			}
		}
		return keys(c)
	}, nil
}

// showClient writes a client, with its version in the header.
func showClient(w http.ResponseWriter, status int, view adminapi.Client) error {
	w.Header().Set("ETag", view.ETag)
	return web.JSON(w, status, view)
}
