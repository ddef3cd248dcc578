package dashboard

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintkeep/mintkeep/server/users"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// userList is a page of users, and the form that invites one more.
type userList struct {
	operatorPage
	Users   []*store.User
	Query   string
	Next    string // URL
	First   bool
	Sent    url.Values
	Problem string
	Once    string
}

// Users answers GET /operator/users.
func (d *Dashboard) Users(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.showUsers(w, r, in, http.StatusOK, nil, "")
}

func (d *Dashboard) showUsers(w http.ResponseWriter, r *http.Request, in *session, status int, sent url.Values, problem string) error {
	query, after, err := d.search(r, "pages people")
	if err != nil {
		return err
	}
	found, next, err := d.store.Users(r.Context(), query, after, listLength)
	if err != nil {
		return err
	}
	p := userList{
		operatorPage{"users"},
		found, query, d.nextPage("/operator/users", "pages people", query, next), after == "",
		sent, problem, rand.Text(),
	}
	return d.show(w, status, "users", in.page(r, "People", "operator", p))
}

// CreateUser answers POST /operator/users, with the page that shows the link.
func (d *Dashboard) CreateUser(w http.ResponseWriter, r *http.Request, in *session) error {
	form, err := in.form(r)
	if err != nil {
		return err
	}
	return d.once(w, r, in, form, func() (string, error) {
		o := web.ObjectOf(map[string]any{"email": form.Get("email"), "name": form.Get("name"), "role": form.Get("role")})
		user, link, err := d.users.Create(r.Context(), o, in.Actor)
		if answered, ok := fixable(err); ok {
			return "", d.showUsers(w, r, in, answered.Status, form, sentence(answered.Description))
		}
		if err != nil {
			return "", err
		}
		return userURL(user.ID), d.showLink(w, r, in, user, link)
	})
}

func userURL(id string) string { return "/operator/users/" + id }

func (d *Dashboard) showLink(w http.ResponseWriter, r *http.Request, in *session, user *store.User, link users.Link) error {
	p := newSecret{
		operatorPage: operatorPage{"users"}, Title: "A link for " + user.Metadata.Email, Label: "Link", Secret: link.URL,
		User: user, Expires: link.ExpiresAt, Back: userURL(user.ID),
	}
	return d.show(w, http.StatusOK, "secretmade", in.page(r, p.Title, "operator", p))
}

// userPage is the page of one user.
type userPage struct {
	operatorPage
	*store.User
	Keys    []keyRow
	Once    string
	Problem string
	Self    bool // it is the operator who looks at it
}

// UserPage answers GET /operator/users/{id}.
func (d *Dashboard) UserPage(w http.ResponseWriter, r *http.Request, in *session) error {
	u, err := d.user(r)
	if err != nil {
		return err
	}
	return d.showUser(w, r, in, u, http.StatusOK, "")
}

// user reads the user that the path names.
func (d *Dashboard) user(r *http.Request) (*store.User, error) {
	return d.users.User(r.Context(), web.Path(r, "id"))
}

func (d *Dashboard) showUser(w http.ResponseWriter, r *http.Request, in *session, u *store.User, status int, problem string) error {
	found, _, err := d.store.Keys(r.Context(), store.KeyFilter{UserID: u.ID, State: store.StateActive}, "", listLength)
	if err != nil {
		return err
	}
	p := userPage{operatorPage: operatorPage{"users"}, User: u, Once: rand.Text(), Problem: problem, Self: u.ID == in.UserID}
	for _, key := range found {
		view, err := d.keys.View(r.Context(), key)
		if err != nil {
			return err
		}
		p.Keys = append(p.Keys, rowOf(view, d.now()))
	}
	return d.show(w, status, "user", in.page(r, u.Metadata.Email, "operator", p))
}

// DisableUser answers POST /operator/users/{id}/disable.
func (d *Dashboard) DisableUser(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.patchUser(w, r, in, "disabled", "true", "disabled")
}

// EnableUser answers POST /operator/users/{id}/enable.
func (d *Dashboard) EnableUser(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.patchUser(w, r, in, "disabled", "false", "enabled")
}

// PromoteUser answers POST /operator/users/{id}/promote.
func (d *Dashboard) PromoteUser(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.patchUser(w, r, in, "role", `"operator"`, "role-changed")
}

// DemoteUser answers POST /operator/users/{id}/demote.
func (d *Dashboard) DemoteUser(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.patchUser(w, r, in, "role", `"developer"`, "role-changed")
}

// patchUser changes one member of a user.
func (d *Dashboard) patchUser(w http.ResponseWriter, r *http.Request, in *session, member, value, done string) error {
	u, err := d.user(r)
	if err != nil {
		return err
	}
	if _, err := in.form(r); err != nil {
		return err
	}
	if u.ID == in.UserID { // who disables or demotes themselves cannot take it back
		return d.showUser(w, r, in, u, http.StatusConflict, "This is you. Ask another operator.")
	}
	if _, err := d.users.Patch(r.Context(), u.ID, web.Object{member: []byte(value)}, in.Actor); err != nil {
		return err
	}
	return seeOther(w, userURL(u.ID), done)
}

// InviteUser answers POST /operator/users/{id}/invite, with the page that shows the link. The box "reset" is ticked to
// revoke the password.
func (d *Dashboard) InviteUser(w http.ResponseWriter, r *http.Request, in *session) error {
	u, err := d.user(r)
	if err != nil {
		return err
	}
	form, err := in.form(r)
	if err != nil {
		return err
	}
	return d.once(w, r, in, form, func() (string, error) {
		link, err := d.users.Invite(r.Context(), u.ID, form.Get("reset") == "", in.Actor)
		if err != nil {
			return "", err
		}
		return userURL(u.ID), d.showLink(w, r, in, u, link)
	})
}

// DeleteUser answers POST /operator/users/{id}/delete.
func (d *Dashboard) DeleteUser(w http.ResponseWriter, r *http.Request, in *session) error {
	u, err := d.user(r)
	if err != nil {
		return err
	}
	form, err := in.form(r)
	switch {
	case err != nil:
		return err
	case u.ID == in.UserID:
		return d.showUser(w, r, in, u, http.StatusConflict, "This is you. Ask another operator.")
	case strings.TrimSpace(form.Get("confirm")) != u.Metadata.Email:
		return d.showUser(w, r, in, u, http.StatusBadRequest, "Type the person's email to delete them.")
	}
	if err := d.users.Delete(r.Context(), u.ID, in.Actor); err != nil {
		return err
	}
	return seeOther(w, "/operator/users", "person-gone")
}
