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

// peopleList is a page of people, and the form that invites one more.
type peopleList struct {
	operatorPage
	People  []*store.User
	Query   string
	Next    string // URL
	First   bool
	Sent    url.Values
	Problem string
	Once    string
}

// People answers GET /operator/users.
func (d *Dashboard) People(w http.ResponseWriter, r *http.Request) error {
	return d.operator(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		return d.showPeople(w, r, v, http.StatusOK, nil, "")
	})
}

func (d *Dashboard) showPeople(w http.ResponseWriter, r *http.Request, v *visitor, status int, sent url.Values, problem string) error {
	query, after, err := d.search(r, "pages people")
	if err != nil {
		return err
	}
	people, next, err := d.store.Users(r.Context(), query, after, listLength)
	if err != nil {
		return err
	}
	p := peopleList{
		operatorPage{"users"},
		people, query, d.nextPage("/operator/users", "pages people", query, next), after == "",
		sent, problem, rand.Text(),
	}
	return d.show(w, status, "people", v.page(r, "People", "operator", p))
}

// AddPerson answers POST /operator/users, with the page that shows the link.
func (d *Dashboard) AddPerson(w http.ResponseWriter, r *http.Request) error {
	return d.operator(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		return d.once(w, r, v, form, func() (string, error) {
			o := web.ObjectOf(map[string]any{"email": form.Get("email"), "name": form.Get("name"), "role": form.Get("role")})
			person, link, err := d.users.CreateUser(r, o, v.actor())
			if refused, ok := mendable(err); ok {
				return "", d.showPeople(w, r, v, refused.Status, form, sentence(refused.Description))
			}
			if err != nil {
				return "", err
			}
			return personURL(person.ID), d.showLink(w, r, v, person, link)
		})
	})
}

func personURL(id string) string { return "/operator/users/" + id }

func (d *Dashboard) showLink(w http.ResponseWriter, r *http.Request, v *visitor, person *store.User, link users.Link) error {
	p := newSecret{
		operatorPage: operatorPage{"users"}, Title: "A link for " + person.Metadata.Email, Label: "Link", Secret: link.URL,
		Person: person, Expires: link.ExpiresAt, Back: personURL(person.ID),
	}
	return d.show(w, http.StatusOK, "secretmade", v.page(r, p.Title, "operator", p))
}

// personPage is the page of one person.
type personPage struct {
	operatorPage
	*store.User
	Keys    []keyRow
	Once    string
	Problem string
	Self    bool // it is whoever looks at it
}

// Person answers GET /operator/users/{id}.
func (d *Dashboard) Person(w http.ResponseWriter, r *http.Request) error {
	return d.withPerson(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, u *store.User) error {
		return d.showPerson(w, r, v, u, http.StatusOK, "")
	})
}

// withPerson is operator for the page of a person.
func (d *Dashboard) withPerson(w http.ResponseWriter, r *http.Request, h func(http.ResponseWriter, *http.Request, *visitor, *store.User) error) error {
	return d.operator(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		u, err := d.users.User(r.Context(), web.Path(r, "id"))
		if err != nil {
			return err
		}
		return h(w, r, v, u)
	})
}

func (d *Dashboard) showPerson(w http.ResponseWriter, r *http.Request, v *visitor, u *store.User, status int, problem string) error {
	keys, _, err := d.store.Keys(r.Context(), store.KeyFilter{UserID: u.ID, State: store.StateActive}, "", listLength)
	if err != nil {
		return err
	}
	p := personPage{operatorPage: operatorPage{"users"}, User: u, Once: rand.Text(), Problem: problem, Self: u.ID == v.UserID}
	for _, key := range keys {
		view, err := d.keys.View(r.Context(), key)
		if err != nil {
			return err
		}
		p.Keys = append(p.Keys, rowOf(view, d.now()))
	}
	return d.show(w, status, "person", v.page(r, u.Metadata.Email, "operator", p))
}

// PatchPerson is a button on the page of a person that changes one member.
func (d *Dashboard) PatchPerson(member, value, done string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return d.withPerson(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, u *store.User) error {
			if _, err := v.form(r); err != nil {
				return err
			}
			if u.ID == v.UserID { // they would be gone from here before they could take it back
				return d.showPerson(w, r, v, u, http.StatusConflict, "This is you. Ask another operator.")
			}
			if _, err := d.users.PatchUser(r, u.ID, web.Object{member: []byte(value)}, v.actor()); err != nil {
				return err
			}
			return seeOther(w, personURL(u.ID), done)
		})
	}
}

// InvitePerson answers POST /operator/users/{id}/invite, with the page that shows the link.
func (d *Dashboard) InvitePerson(w http.ResponseWriter, r *http.Request) error {
	return d.withPerson(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, u *store.User) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		return d.once(w, r, v, form, func() (string, error) {
			link, err := d.users.InviteUser(r, u.ID, v.actor())
			if err != nil {
				return "", err
			}
			return personURL(u.ID), d.showLink(w, r, v, u, link)
		})
	})
}

// DeletePerson answers POST /operator/users/{id}/delete.
func (d *Dashboard) DeletePerson(w http.ResponseWriter, r *http.Request) error {
	return d.withPerson(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor, u *store.User) error {
		form, err := v.form(r)
		switch {
		case err != nil:
			return err
		case u.ID == v.UserID:
			return d.showPerson(w, r, v, u, http.StatusConflict, "This is you. Ask another operator.")
		case strings.TrimSpace(form.Get("confirm")) != u.Metadata.Email:
			return d.showPerson(w, r, v, u, http.StatusBadRequest, "Type the person's email to delete them.")
		}
		if err := d.users.DeleteUser(r, u.ID, v.actor()); err != nil {
			return err
		}
		return seeOther(w, "/operator/users", "person-gone")
	})
}
