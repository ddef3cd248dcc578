package admin

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/users"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// CreateUser answers POST /admin/users, with the link by which the user sets a password.
func (a *Admin) CreateUser(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	u, link, err := a.Users.Create(r.Context(), o, by)
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.Config.AdminOrigin()+"/admin/users/"+u.ID)
	return web.JSON(w, http.StatusCreated, adminapi.CreatedUser{User: a.userView(u), Invite: adminapi.Invite(link)})
}

// ListUsers answers GET /admin/users.
func (a *Admin) ListUsers(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	wanted, err := a.readSearch(r, "users")
	if err != nil {
		return err
	}
	found, next, err := a.Store.Users(r.Context(), wanted.q, wanted.after, wanted.limit)
	if err != nil {
		return err
	}
	items := make([]adminapi.User, len(found))
	for i, u := range found {
		items[i] = a.userView(u)
	}
	return web.JSON(w, http.StatusOK, adminapi.Page[adminapi.User]{Items: items, NextCursor: a.cursors.Seal(next, wanted.listing...)})
}

// ShowUser answers GET /admin/users/{id}.
func (a *Admin) ShowUser(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	u, err := a.user(r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, a.userView(u))
}

// user reads the user that the path names.
func (a *Admin) user(r *http.Request) (*store.User, error) {
	return a.Users.User(r.Context(), web.Path(r, "id"))
}

// PatchUser answers PATCH /admin/users/{id}, a JSON Merge Patch (RFC 7396).
func (a *Admin) PatchUser(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	u, err := a.Users.Patch(r.Context(), web.Path(r, "id"), o, by)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, a.userView(u))
}

// DeleteUser answers DELETE /admin/users/{id}.
func (a *Admin) DeleteUser(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	if err := a.Users.Delete(r.Context(), web.Path(r, "id"), by); err != nil {
		return err
	}
	return web.NoContent(w)
}

// InviteUser answers POST /admin/users/{id}/invite.
func (a *Admin) InviteUser(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	keepPassword, err := users.ReadInvite(o)
	if err != nil {
		return err
	}
	link, err := a.Users.Invite(r.Context(), web.Path(r, "id"), keepPassword, by)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, adminapi.Invite(link))
}
