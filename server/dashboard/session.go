package dashboard

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// visitor is a person who is signed in, in one request.
type visitor struct {
	*store.Session
	Person *store.User
	cookie string
	d      *Dashboard
}

// handler is that of a page for people who are signed in.
type handler func(w http.ResponseWriter, r *http.Request, v *visitor) error

// signedIn makes a page of h for whoever is signed in; who is not is sent there first.
func (d *Dashboard) signedIn(w http.ResponseWriter, r *http.Request, h handler) error {
	cookie := d.cookie(r, sessionCookie)
	if cookie == "" {
		return d.toLogin(w, r)
	}
	session, person, err := d.store.Session(r.Context(), store.DigestOf(cookie))
	if errors.Is(err, store.ErrNotFound) {
		d.setCookie(w, sessionCookie, "")
		return d.toLogin(w, r)
	}
	if err != nil {
		return err
	}
	web.Note(r.Context(), "user", person.ID)
	w.Header().Add("Vary", "Cookie")
	return h(w, r, &visitor{session, person, cookie, d})
}

// operator is signedIn for operators; for others there is no such page.
func (d *Dashboard) operator(w http.ResponseWriter, r *http.Request, h handler) error {
	return d.signedIn(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		if v.Person.Role() != store.Operator {
			web.AuditRefusal(r, d.store, v.actor(), "dashboard.refused")
			return web.NotFound("Page")
		}
		return h(w, r, v)
	})
}

func (d *Dashboard) toLogin(w http.ResponseWriter, r *http.Request) error {
	location := "/login"
	if r.Method == http.MethodGet && r.URL.Path != "/" {
		location += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	return seeOther(w, location, "")
}

// actor is the person's name in the audit trail.
func (v *visitor) actor() string { return "user:" + v.Person.ID }

// maker is the person as a maker of keys: nothing but what they may have limits them.
func (v *visitor) maker() keys.Maker { return keys.Maker{Actor: v.actor()} }

// page begins a page for this person.
func (v *visitor) page(r *http.Request, title, section string, content any) page {
	return page{
		Title: title, Section: section, Person: v.Person, Form: v.d.forms.of(v.cookie), Notice: notice(r), Content: content,
	}
}

// form reads a form of this session.
func (v *visitor) form(r *http.Request, repeatable ...string) (url.Values, error) {
	return v.d.form(r, v.cookie, repeatable...)
}

// signIn begins a session under a cookie that nobody had before. The one that the browser had ends.
func (d *Dashboard) signIn(w http.ResponseWriter, r *http.Request, person *store.User) error {
	cookie := rand.Text() + rand.Text()
	err := d.store.CreateSession(r.Context(), &store.Session{
		Digest: store.DigestOf(cookie), UserID: person.ID,
		Address: web.Address(r).String(), Agent: agent(r),
	}, person.Password)
	if err != nil {
		return err
	}
	d.leave(r)
	d.setCookie(w, sessionCookie, cookie)
	d.setCookie(w, visitCookie, "")
	return nil
}

// cause is what a user does to their own account.
func (d *Dashboard) cause(userID, reason string) store.Cause {
	return store.Cause{At: web.Time(d.now()), Actor: store.UserActor(userID), Reason: reason}
}

// leave ends the session that a browser comes with, if it has one.
func (d *Dashboard) leave(r *http.Request) {
	cookie := d.cookie(r, sessionCookie)
	if cookie == "" {
		return
	}
	before, _, err := d.store.Session(r.Context(), store.DigestOf(cookie))
	if err == nil {
		err = d.store.RevokeSession(r.Context(), before.UserID, before.Digest, d.cause(before.UserID, "signed in again"))
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		web.Note(r.Context(), "session_left", err.Error())
	}
}

// agent is what the browser calls itself, cut to a line.
func agent(r *http.Request) string {
	const longest = 200
	name := strings.ToValidUTF8(r.UserAgent(), "")
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "")
	}
	if !web.Printable(name) {
		return ""
	}
	return name
}

// ownPage is where somebody wanted to go, if it is one of our pages that they may be sent to; else the
// settings. Anything else could be another site's address.
func ownPage(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.ContainsAny(next, "\\\r\n\t") {
		return "/settings"
	}
	for _, place := range []string{"/settings", "/operator", "/docs"} {
		if u.Path == place || strings.HasPrefix(u.Path, place+"/") && !strings.Contains(u.Path, "..") {
			return u.RequestURI()
		}
	}
	return "/settings"
}
