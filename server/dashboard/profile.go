package dashboard

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// profile is the page of the user's own account.
type profile struct {
	Name     string
	Problems problems
	Least    int
	Sessions []sessionRow
}

type sessionRow struct {
	*store.Session
	Handle string
	Here   bool // the one that asks
}

// Browser is the browser of the session in a few words.
func (s sessionRow) Browser() string { return browserOf(s.Agent) }

// Profile answers GET /settings/profile.
func (d *Dashboard) Profile(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.showProfile(w, r, in, http.StatusOK, profile{Name: in.User.Metadata.Name})
}

func (d *Dashboard) showProfile(w http.ResponseWriter, r *http.Request, in *session, status int, p profile) error {
	p.Least = password.MinLength
	sessions, err := d.store.Sessions(r.Context(), in.User)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		p.Sessions = append(p.Sessions, sessionRow{s, handle(s), s.Digest == in.Digest})
	}
	return d.show(w, status, "profile", in.page(r, "Profile", "profile", p))
}

// handle names a session on the page. It is of no other use.
func handle(s *store.Session) string { return hex.EncodeToString(s.Digest[:8]) }

// SaveName answers POST /settings/profile.
func (d *Dashboard) SaveName(w http.ResponseWriter, r *http.Request, in *session) error {
	form, err := in.form(r)
	if err != nil {
		return err
	}
	name := strings.TrimSpace(form.Get("name"))
	if utf8.RuneCountInString(name) > 100 || !web.Printable(name) {
		return d.showProfile(w, r, in, http.StatusBadRequest, profile{Name: name, Problems: problems{"name": "Name must be printable text of at most 100 characters."}})
	}
	what := in.about(audit.UserUpdated, map[string]string{"changed": "name"}).Changed("name", in.User.Metadata.Name, name)
	if err := d.audit.Change(r.Context(), in.Actor, what, func(ctx context.Context) error {
		cause := d.audit.Cause(in.Actor, "changed by the user")
		_, err := d.store.UpdateUser(ctx, in.UserID, cause, func(m *store.UserMetadata) error { m.Name = name; return nil })
		return err
	}); err != nil {
		return err
	}
	return seeOther(w, "/settings/profile", "saved")
}

// ChangePassword answers POST /settings/password. It signs out everywhere, and here in again.
func (d *Dashboard) ChangePassword(w http.ResponseWriter, r *http.Request, in *session) error {
	form, err := in.form(r)
	if err != nil {
		return err
	}
	known, err := d.recognise(r, in.User.Metadata.Email, form.Get("present"))
	if err != nil {
		return err
	}
	wrong := problems{"present": "The current password is wrong."}
	if known != nil {
		wrong = checkPassword("New password", form.Get("password"), form.Get("again"), in.User)
	}
	if wrong != nil {
		return d.showProfile(w, r, in, http.StatusBadRequest, profile{Name: in.User.Metadata.Name, Problems: wrong})
	}
	sealed, err := d.passwords.Hash(r.Context(), in.UserID, form.Get("password"))
	if err != nil {
		return err
	}
	what := in.about(audit.UserPasswordSet, map[string]string{"by": "profile"})
	err = d.audit.Change(r.Context(), in.Actor, what, func(ctx context.Context) error {
		return d.store.SetPassword(ctx, in.Session, known, sealed)
	})
	if errors.Is(err, store.ErrNotFound) { // another password was set, or the session revoked, at this moment
		return d.toLogin(w, r)
	}
	if err != nil {
		return err
	}
	return d.signInAfter(w, r, &store.User{ID: in.UserID, Password: sealed}, "/settings/profile", "password")
}

// RevokeSession answers POST /settings/sessions/end: one session of the user's.
func (d *Dashboard) RevokeSession(w http.ResponseWriter, r *http.Request, in *session) error {
	form, err := in.form(r)
	if err != nil {
		return err
	}
	sessions, err := d.store.Sessions(r.Context(), in.User)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if handle(s) != form.Get("session") {
			continue
		}
		if err := d.revokeSession(r.Context(), in.UserID, s.Digest, "signed out"); err != nil {
			return err
		}
		return seeOther(w, "/settings/profile", "session")
	}
	// One that is not found is revoked, perhaps by a request that could not confirm it.
	if err := d.store.Confirm(r.Context()); err != nil {
		return err
	}
	return seeOther(w, "/settings/profile", "session")
}

// RevokeSessions answers GET and POST /settings/sessions/revoke-all: the question, and the revocation of all sessions.
func (d *Dashboard) RevokeSessions(w http.ResponseWriter, r *http.Request, in *session) error {
	sessions, err := d.store.Sessions(r.Context(), in.User)
	if err != nil {
		return err
	}
	form, err := d.confirmed(w, r, in, confirmation{
		Title: "Sign out everywhere?", Button: "Sign out everywhere", Cancel: "/settings/profile",
		Effects: []string{signedOut(len(sessions)) + " Your API keys stay active."},
	})
	if form == nil {
		return err
	}
	err = d.audit.Revoke(r.Context(), in.Actor, in.about(audit.UserSignedOut, nil), func(ctx context.Context) error {
		return d.store.RevokeSessions(ctx, in.UserID, d.audit.Cause(in.Actor, "signed out everywhere"))
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	d.setCookie(w, sessionCookie, "")
	return seeOther(w, "/login", "everywhere")
}

// signedOut says how many sessions end, the one that asks included.
func signedOut(sessions int) string {
	if sessions == 1 {
		return "This browser is signed out."
	}
	return fmt.Sprintf("%d sessions are signed out, including this one.", sessions)
}
