package dashboard

import (
	"context"
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

// signIn creates a session under a new random cookie. It revokes the session that the browser had, and the oldest of too
// many. verified is the user as read when the presented password was found to match.
func (d *Dashboard) signIn(w http.ResponseWriter, r *http.Request, verified *store.User) error {
	ctx, cookie := r.Context(), rand.Text()+rand.Text()
	what := audit.Record{Action: audit.SessionCreated, Target: audit.UserTarget(verified.ID)}
	err := d.audit.Change(ctx, audit.User(ctx, verified.ID), what, func(ctx context.Context) error {
		return d.store.CreateSession(ctx, &store.Session{
			Digest: d.place.session(cookie), UserID: verified.ID,
			Address: web.Address(r).String(), Agent: agent(r),
		}, verified)
	})
	if err != nil {
		return err
	}
	if err := errors.Join(d.revokePrevious(r), d.revokeSurplus(ctx, verified.ID)); err != nil {
		web.Note(ctx, "session_left", err.Error())
	}
	d.setCookie(w, sessionCookie, cookie)
	d.setCookie(w, visitCookie, "")
	return nil
}

// signInAfter signs in a user who has just set a password, and leads to a page. If the sign-in fails, the password is set
// all the same, and the user signs in with it.
func (d *Dashboard) signInAfter(w http.ResponseWriter, r *http.Request, verified *store.User, location, done string) error {
	if err := d.signIn(w, r, verified); err != nil {
		web.Note(r.Context(), "not_signed_in", err.Error())
		return seeOther(w, "/login", "password-set")
	}
	return seeOther(w, location, done)
}

// revokePrevious revokes the session that a browser comes with, if it has one.
func (d *Dashboard) revokePrevious(r *http.Request) error {
	cookie := d.cookie(r, sessionCookie)
	if cookie == "" {
		return nil
	}
	before, _, err := d.store.Session(r.Context(), d.place.session(cookie))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.revokeSession(r.Context(), before.UserID, before.Digest, "signed in again")
}

// revokeSurplus revokes a user's oldest sessions, if they have more than a user may have.
func (d *Dashboard) revokeSurplus(ctx context.Context, userID string) error {
	surplus, err := d.store.SurplusSessions(ctx, userID)
	for _, session := range surplus {
		err = errors.Join(err, d.revokeSession(ctx, userID, session, "too many sessions"))
	}
	return err
}

func (d *Dashboard) revokeSession(ctx context.Context, userID string, session store.Digest, reason string) error {
	by := audit.User(ctx, userID)
	return d.audit.Revoke(ctx, by, audit.Record{Action: audit.SessionRevoked, Target: audit.UserTarget(userID)}, func(ctx context.Context) error {
		return d.store.RevokeSession(ctx, userID, session, d.audit.Cause(by, reason))
	})
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
