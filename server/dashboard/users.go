package dashboard

import (
	"crypto/rand"
	"net/http"
	"net/url"

	"github.com/mintkeep/mintkeep/server/users"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// userList is a page of users, and the form that invites one more.
type userList struct {
	operatorPage
	Users    []*store.User
	Query    string
	Next     string // URL
	First    bool
	Sent     url.Values
	Problems problems
	Once     string
}

// Users answers GET /operator/users.
func (d *Dashboard) Users(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.showUsers(w, r, in, http.StatusOK, nil, nil)
}

func (d *Dashboard) showUsers(w http.ResponseWriter, r *http.Request, in *session, status int, sent url.Values, wrong problems) error {
	query, after, err := d.search(r, "pages users")
	if err != nil {
		return err
	}
	found, next, err := d.store.Users(r.Context(), query, after, listLength)
	if err != nil {
		return err
	}
	p := userList{
		operatorPage{"users"},
		found, query, d.nextPage("/operator/users", "pages users", query, next), after == "",
		sent, wrong, rand.Text(),
	}
	return d.show(w, status, "users", in.page(r, "Users", "operator", p))
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
			return "", d.showUsers(w, r, in, answered.Status, form, userLabels.problems(answered.Description))
		}
		if err != nil {
			return "", err
		}
		return userURL(user.ID), d.showLink(w, r, in, user, link)
	})
}

// userLabels are the fields of the form by the members of a user.
var userLabels = labels{"email": {"email", "Email"}, "name": {"name", "Name"}, "role": {"role", "Role"}}

func userURL(id string) string { return "/operator/users/" + id }

func (d *Dashboard) showLink(w http.ResponseWriter, r *http.Request, in *session, user *store.User, link users.Link) error {
	p := newSecret{
		operatorPage: operatorPage{"users"}, Title: "Password link for " + user.Metadata.Email, shownOnce: shownOnce{"Password link", link.URL},
		User: user, Expires: link.ExpiresAt, Back: userURL(user.ID),
	}
	return d.show(w, http.StatusOK, "secretmade", in.page(r, p.Title, "operator", p))
}

// userKeys is how many keys the page of a user lists; all are in the list of keys.
const userKeys = 10

// userPage is the page of one user.
type userPage struct {
	operatorPage
	*store.User
	Keys     []keyRow // the first active ones
	Once     string
	Problems problems
	Self     bool // it is the operator who looks at it
}

// UserPage answers GET /operator/users/{id}.
func (d *Dashboard) UserPage(w http.ResponseWriter, r *http.Request, in *session) error {
	u, err := d.user(r)
	if err != nil {
		return err
	}
	return d.showUser(w, r, in, u, http.StatusOK, nil)
}

// user reads the user that the path names.
func (d *Dashboard) user(r *http.Request) (*store.User, error) {
	return d.users.User(r.Context(), web.Path(r, "id"))
}

func (d *Dashboard) showUser(w http.ResponseWriter, r *http.Request, in *session, u *store.User, status int, wrong problems) error {
	found, _, err := d.store.Keys(r.Context(), store.KeyFilter{UserID: u.ID, State: store.StateLive}, "", userKeys)
	if err != nil {
		return err
	}
	p := userPage{operatorPage: operatorPage{"users"}, User: u, Once: rand.Text(), Problems: wrong, Self: u.ID == in.UserID}
	for _, key := range found {
		view, err := d.keys.View(r.Context(), key)
		if err != nil {
			return err
		}
		p.Keys = append(p.Keys, rowOf(view))
	}
	return d.show(w, status, "user", in.page(r, u.Metadata.Email, "operator", p))
}

// EnableUser answers POST /operator/users/{id}/enable.
func (d *Dashboard) EnableUser(w http.ResponseWriter, r *http.Request, in *session) error {
	u, err := d.user(r)
	if err != nil {
		return err
	}
	if _, err := in.form(r); err != nil {
		return err
	}
	return d.patchUser(w, r, in, u, "disabled", "false", "user-enabled")
}

// DisableUser answers GET and POST /operator/users/{id}/disable: the question, and what is confirmed.
func (d *Dashboard) DisableUser(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.changeUser(w, r, in, disableQuestion, func(u *store.User) error {
		return d.patchUser(w, r, in, u, "disabled", "true", "user-disabled")
	})
}

// PromoteUser answers GET and POST /operator/users/{id}/promote, likewise.
func (d *Dashboard) PromoteUser(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.changeUser(w, r, in, promoteQuestion, func(u *store.User) error {
		return d.patchUser(w, r, in, u, "role", `"operator"`, "role-changed")
	})
}

// DemoteUser answers GET and POST /operator/users/{id}/demote, likewise.
func (d *Dashboard) DemoteUser(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.changeUser(w, r, in, demoteQuestion, func(u *store.User) error {
		return d.patchUser(w, r, in, u, "role", `"developer"`, "role-changed")
	})
}

// DeleteUser answers GET and POST /operator/users/{id}/delete, likewise.
func (d *Dashboard) DeleteUser(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.changeUser(w, r, in, deleteQuestion, func(u *store.User) error {
		if err := d.users.Delete(r.Context(), u.ID, in.Actor); err != nil {
			return err
		}
		return seeOther(w, "/operator/users", "user-deleted")
	})
}

// changeUser asks before a change of another user, and makes it when it is confirmed. Operators who disable, demote or
// delete themselves could not undo it.
func (d *Dashboard) changeUser(w http.ResponseWriter, r *http.Request, in *session, ask func(*store.User, userUse) confirmation, change func(*store.User) error) error {
	u, err := d.user(r)
	if err != nil {
		return err
	}
	if u.ID == in.UserID {
		return d.showUser(w, r, in, u, http.StatusConflict, problems{"": "This is your own account. Ask another operator."})
	}
	use, err := d.userUse(r, u)
	if err != nil {
		return err
	}
	c := ask(u, use)
	c.Cancel = userURL(u.ID)
	form, err := d.confirmed(w, r, in, c)
	if form == nil {
		return err
	}
	return change(u)
}

// patchUser changes one member of a user.
func (d *Dashboard) patchUser(w http.ResponseWriter, r *http.Request, in *session, u *store.User, member, value, done string) error {
	if _, err := d.users.Patch(r.Context(), u.ID, web.Object{member: []byte(value)}, in.Actor); err != nil {
		return err
	}
	return seeOther(w, userURL(u.ID), done)
}

// InviteUser answers POST /operator/users/{id}/invite, with the page that shows the link. Of a user who has a password the
// operator chooses whether the password and the sessions are revoked now: nothing is chosen beforehand.
func (d *Dashboard) InviteUser(w http.ResponseWriter, r *http.Request, in *session) error {
	u, err := d.user(r)
	if err != nil {
		return err
	}
	form, err := in.form(r)
	if err != nil {
		return err
	}
	reset := form.Get("reset")
	if len(u.Password) > 0 && reset != "yes" && reset != "no" {
		return d.showUser(w, r, in, u, http.StatusBadRequest, problems{"reset": "Choose what happens to the current password."})
	}
	return d.once(w, r, in, form, func() (string, error) {
		link, err := d.users.Invite(r.Context(), u.ID, reset != "yes", in.Actor)
		if err != nil {
			return "", err
		}
		return userURL(u.ID), d.showLink(w, r, in, u, link)
	})
}
