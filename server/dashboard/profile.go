package dashboard

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// profile is the page of the person's own account.
type profile struct {
	Name            string
	NameProblem     string
	PasswordProblem string
	Least           int
	Sessions        []sessionRow
}

type sessionRow struct {
	*store.Session
	Handle string
	Here   bool // the one that asks
	Seen   string
}

// Profile answers GET /settings/profile.
func (d *Dashboard) Profile(w http.ResponseWriter, r *http.Request) error {
	return d.signedIn(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		return d.showProfile(w, r, v, http.StatusOK, profile{Name: v.Person.Metadata.Name})
	})
}

func (d *Dashboard) showProfile(w http.ResponseWriter, r *http.Request, v *visitor, status int, p profile) error {
	p.Least = password.MinLength
	sessions, err := d.store.Sessions(r.Context(), v.Person)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		p.Sessions = append(p.Sessions, sessionRow{s, handle(s), s.Digest == v.Digest, ago(d.now(), s.SeenAt)})
	}
	return d.show(w, status, "profile", v.page(r, "Profile", "profile", p))
}

// handle names a session on the page. It is of no use to anybody else.
func handle(s *store.Session) string { return hex.EncodeToString(s.Digest[:8]) }

// SaveName answers POST /settings/profile.
func (d *Dashboard) SaveName(w http.ResponseWriter, r *http.Request) error {
	return d.signedIn(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		name := strings.TrimSpace(form.Get("name"))
		if utf8.RuneCountInString(name) > 100 || !web.Printable(name) {
			return d.showProfile(w, r, v, http.StatusBadRequest, profile{Name: name, NameProblem: "The name must be printable text of at most 100 characters."})
		}
		act := web.Act{Actor: v.actor(), Action: "user.updated", Target: v.actor(), Detail: map[string]string{"changed": "name"}}
		if err := web.Change(r, d.store, d.now(), act, func(ctx context.Context) error {
			_, err := d.store.UpdateUser(ctx, v.UserID, d.cause(v.UserID, "changed by the user"), func(m *store.UserMetadata) error { m.Name = name; return nil })
			return err
		}); err != nil {
			return err
		}
		return seeOther(w, "/settings/profile", "saved")
	})
}

// ChangePassword answers POST /settings/password. It signs out everywhere, and here in again.
func (d *Dashboard) ChangePassword(w http.ResponseWriter, r *http.Request) error {
	return d.signedIn(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		known, err := d.recognise(r, v.Person.Metadata.Email, form.Get("present"))
		if err != nil {
			return err
		}
		problem := "The present password is wrong."
		if known != nil {
			problem = checkPassword(form.Get("password"), form.Get("again"), v.Person)
		}
		if problem != "" {
			return d.showProfile(w, r, v, http.StatusBadRequest, profile{Name: v.Person.Metadata.Name, PasswordProblem: problem})
		}
		sealed, err := d.passwords.Hash(r.Context(), v.UserID, form.Get("password"))
		if err != nil {
			return err
		}
		act := web.Act{Actor: v.actor(), Action: "user.password_set", Target: v.actor(), Detail: map[string]string{"by": "profile"}}
		err = web.Change(r, d.store, d.now(), act, func(ctx context.Context) error {
			return d.store.SetPassword(ctx, v.Session, known.Password, sealed)
		})
		if errors.Is(err, store.ErrNotFound) { // another password was set, or the session ended, at this moment
			return d.toLogin(w, r)
		}
		if err != nil {
			return err
		}
		v.Person.Password = sealed
		if err := d.signIn(w, r, v.Person); err != nil {
			return err
		}
		return seeOther(w, "/settings/profile", "password")
	})
}

// RevokeSession answers POST /settings/sessions/end: one session of the person's, or all.
func (d *Dashboard) RevokeSession(w http.ResponseWriter, r *http.Request) error {
	return d.signedIn(w, r, func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		form, err := v.form(r)
		if err != nil {
			return err
		}
		if form.Get("session") == "all" {
			return d.endSessions(w, r, v)
		}
		sessions, err := d.store.Sessions(r.Context(), v.Person)
		if err != nil {
			return err
		}
		for _, s := range sessions {
			if handle(s) != form.Get("session") {
				continue
			}
			act := web.Act{Actor: v.actor(), Action: "session.ended", Target: v.actor()}
			if err := web.End(r, d.store, d.now(), act, func(ctx context.Context) error {
				return d.store.RevokeSession(ctx, v.UserID, s.Digest, d.cause(v.UserID, "signed out"))
			}); err != nil {
				return err
			}
			return seeOther(w, "/settings/profile", "session")
		}
		// One that is not there any more has ended, by a request perhaps that could not confirm it.
		if err := d.store.Confirm(r.Context()); err != nil {
			return err
		}
		return seeOther(w, "/settings/profile", "session")
	})
}

func (d *Dashboard) endSessions(w http.ResponseWriter, r *http.Request, v *visitor) error {
	act := web.Act{Actor: v.actor(), Action: "user.signed_out", Target: v.actor()}
	err := web.End(r, d.store, d.now(), act, func(ctx context.Context) error {
		return d.store.RevokeSessions(ctx, v.UserID, d.cause(v.UserID, "signed out everywhere"))
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	d.setCookie(w, sessionCookie, "")
	return seeOther(w, "/login", "everywhere")
}
