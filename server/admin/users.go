package admin

import (
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const usersPath = "/admin/users/"

// inviteView is a link to send, shown this once.
type inviteView struct {
	URL       string    `json:"invite_url"`
	ExpiresAt time.Time `json:"invite_expires_at"`
}

// createdView is a person who has just been added, and their link.
type createdView struct {
	userView
	inviteView
}

func (a *Admin) createUser(w http.ResponseWriter, r *http.Request, actor string) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	u, link, err := a.users.CreateUser(r, o, actor)
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.config.Issuer+usersPath+u.ID)
	return web.JSON(w, http.StatusCreated, createdView{newUserView(u), inviteView(link)})
}

func (a *Admin) listUsers(w http.ResponseWriter, r *http.Request, _ string) error {
	wanted, err := a.readSearch(r, "users")
	if err != nil {
		return err
	}
	users, next, err := a.store.Users(r.Context(), wanted.q, wanted.after, wanted.limit)
	if err != nil {
		return err
	}
	items := make([]userView, len(users))
	for i, u := range users {
		items[i] = newUserView(u)
	}
	return web.JSON(w, http.StatusOK, web.Page[userView]{Items: items, NextCursor: a.cursors.Seal(next, wanted.listing...)})
}

func (a *Admin) showUser(w http.ResponseWriter, r *http.Request, _ string) error {
	u, err := a.findUser(r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, newUserView(u))
}

// findUser reads the person that the path names.
func (a *Admin) findUser(r *http.Request) (*store.User, error) {
	return a.users.User(r.Context(), web.Path(r, "id"))
}

func (a *Admin) patchUser(w http.ResponseWriter, r *http.Request, actor string) error {
	o, err := web.ReadObject(r)
	if err != nil {
		return err
	}
	u, err := a.users.PatchUser(r, web.Path(r, "id"), o, actor)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, newUserView(u))
}

func (a *Admin) deleteUser(w http.ResponseWriter, r *http.Request, actor string) error {
	if err := a.users.DeleteUser(r, web.Path(r, "id"), actor); err != nil {
		return err
	}
	return web.NoContent(w)
}

func (a *Admin) inviteUser(w http.ResponseWriter, r *http.Request, actor string) error {
	link, err := a.users.InviteUser(r, web.Path(r, "id"), actor)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, inviteView(link))
}

// userView is a person as operators see them.
type userView struct {
	ID          string    `json:"id"`
	Email       string    `json:"email"`
	Name        string    `json:"name"`
	Role        string    `json:"role"`
	Disabled    bool      `json:"disabled"`
	CreatedAt   time.Time `json:"created_at"`
	PasswordSet bool      `json:"password_set"`
}

func newUserView(u *store.User) userView {
	return userView{
		ID: u.ID, Email: u.Metadata.Email, Name: u.Metadata.Name, Role: u.Role(), Disabled: !u.Enabled,
		CreatedAt: web.Time(u.Metadata.CreatedAt), PasswordSet: len(u.Password) > 0,
	}
}
