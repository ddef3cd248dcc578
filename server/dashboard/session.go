package dashboard

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// session is a user who is signed in, in one request.
type session struct {
	*store.Session
	User   *store.User
	Actor  audit.Actor // the user: all that they may have they may give to their keys
	cookie string
	d      *Dashboard
}

// Handler answers a request of a user who is signed in, or returns an error, never both.
type Handler func(w http.ResponseWriter, r *http.Request, in *session) error

// SignedIn guards a page for users who are signed in. It sends others to sign in first.
func (d *Dashboard) SignedIn(h Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		cookie := d.cookie(r, sessionCookie)
		if cookie == "" {
			return d.toLogin(w, r)
		}
		found, user, err := d.store.Session(r.Context(), d.place.session(cookie))
		if errors.Is(err, store.ErrNotFound) {
			d.setCookie(w, sessionCookie, "")
			return d.toLogin(w, r)
		}
		if err != nil {
			return err
		}
		web.Note(r.Context(), "user", user.ID)
		w.Header().Add("Vary", "Cookie")
		in := &session{found, user, audit.User(r.Context(), user.ID), cookie, d}
		web.Keep(r.Context(), sessionKey{}, in)
		return h(w, r, in)
	}
}

// sessionKey is that of the session in the context of a request, for the page of an error.
type sessionKey struct{}

// OperatorOnly guards a page for operators. Others are told so, before anything is looked up: the answer is the same
// whether the thing exists that the path names.
func (d *Dashboard) OperatorOnly(h Handler) web.Handler {
	return d.SignedIn(func(w http.ResponseWriter, r *http.Request, in *session) error {
		if in.User.Role() != store.Operator {
			return d.rejectDeveloper(r, in.Actor)
		}
		return h(w, r, in)
	})
}

// rejectDeveloper answers a user who is no operator where only operators may enter.
func (d *Dashboard) rejectDeveloper(r *http.Request, user audit.Actor) error {
	// A flood of them pushes no other caller's rejections out of the log.
	if !d.store.CountRejection(r.Context(), user.Name) {
		d.audit.Reject(r.Context(), user, audit.DashboardRejected, audit.Reason("not an operator"))
	}
	return &web.Error{
		Status: http.StatusForbidden, Code: "access_denied",
		Description: "This page is for operators, and your account has the role developer. An operator can change your role",
	}
}

func (d *Dashboard) toLogin(w http.ResponseWriter, r *http.Request) error {
	web.SampleSuccess(r.Context())
	location := "/login"
	if r.Method == http.MethodGet && r.URL.Path != "/" {
		location += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	return seeOther(w, location, "")
}

// page begins a page for this user.
func (in *session) page(r *http.Request, title, section string, content any) page {
	return page{
		Title: title, Section: section, User: in.User, Form: in.d.forms.of(in.cookie), Notice: notice(r, title), Content: content,
	}
}

// section is the entry of the navigation that a path belongs to.
func (in *session) section(r *http.Request) string {
	for prefix, section := range map[string]string{"/operator": "operator", "/settings/profile": "profile", "/settings/sessions": "profile"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return section
		}
	}
	return "keys"
}

// form reads a form of this session.
func (in *session) form(r *http.Request, repeatable ...string) (url.Values, error) {
	return in.d.form(r, in.cookie, repeatable...)
}

// about is something that the user does to their own account.
func (in *session) about(action audit.Action, detail map[string]string) audit.Record {
	return audit.Record{Action: action, Target: audit.UserTarget(in.UserID), Detail: detail}
}

// signIn creates a session under a new random cookie, and revokes the one that the browser had.
func (d *Dashboard) signIn(w http.ResponseWriter, r *http.Request, user *store.User) error {
	cookie := rand.Text() + rand.Text()
	err := d.store.CreateSession(r.Context(), &store.Session{
		Digest: d.place.session(cookie), UserID: user.ID,
		Address: web.Address(r).String(), Agent: agent(r),
	}, user)
	if err != nil {
		return err
	}
	d.revokePrevious(r)
	d.setCookie(w, sessionCookie, cookie)
	d.setCookie(w, visitCookie, "")
	return nil
}

// revokePrevious revokes the session that a browser comes with, if it has one.
func (d *Dashboard) revokePrevious(r *http.Request) {
	cookie := d.cookie(r, sessionCookie)
	if cookie == "" {
		return
	}
	ctx := r.Context()
	before, _, err := d.store.Session(ctx, d.place.session(cookie))
	if err == nil {
		err = d.store.RevokeSession(ctx, before.UserID, before.Digest, d.audit.Cause(audit.User(ctx, before.UserID), "signed in again"))
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		web.Note(ctx, "session_left", err.Error())
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
