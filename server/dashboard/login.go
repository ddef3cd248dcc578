package dashboard

import (
	"context"
	"errors"
	"net/http"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/invite"
	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// login is the page to sign in at.
type login struct {
	Email, Next, Problem string
	NoUser               bool   // this installation has no user yet
	Here                 string // the origin of /admin
}

// Root answers GET /.
func (d *Dashboard) Root(w http.ResponseWriter, _ *http.Request, _ *session) error {
	return seeOther(w, d.place.Home, "")
}

// LoginPage answers GET /login.
func (d *Dashboard) LoginPage(w http.ResponseWriter, r *http.Request) error {
	web.SampleSuccess(r.Context())
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	next, _ := query.Text("next")
	l := login{Next: next, Here: d.config.AdminOrigin()}
	l.NoUser = d.noUser(r.Context())
	return d.showLogin(w, r, http.StatusOK, l)
}

// noUser says whether the installation has no user yet. Once it has one, this is not asked again. While Redis does not
// answer it is false, and the page is shown all the same.
func (d *Dashboard) noUser(ctx context.Context) bool {
	if d.hasUsers.Load() {
		return false
	}
	totals, err := d.store.Totals(ctx)
	d.hasUsers.Store(err == nil && totals.Users > 0)
	return err == nil && totals.Users == 0
}

func (d *Dashboard) showLogin(w http.ResponseWriter, r *http.Request, status int, l login) error {
	return d.show(w, status, "login", page{Title: "Sign in", Form: d.forms.of(d.visit(w, r)), Notice: notice(r, ""), Content: l})
}

// Login answers POST /login.
func (d *Dashboard) Login(w http.ResponseWriter, r *http.Request) error {
	form, err := d.form(r, d.cookie(r, visitCookie))
	if err != nil {
		return err
	}
	l := login{Email: form.Get("email"), Next: form.Get("next")}
	user, err := d.recognise(r, l.Email, form.Get("password"))
	var answered *web.Error
	if errors.As(err, &answered) && answered.Status != http.StatusTooManyRequests || err == nil && user == nil {
		return d.wrong(w, r, l)
	}
	if err != nil {
		return err
	}
	if d.place.only && user.Role() != store.Operator {
		return d.rejectDeveloper(r, audit.User(r.Context(), user.ID))
	}
	err = d.signIn(w, r, user)
	if errors.Is(err, store.ErrNotFound) { // disabled, or given another password, at this moment
		return d.wrong(w, r, l)
	}
	if err != nil {
		return err
	}
	return seeOther(w, d.place.page(l.Next), "")
}

// wrong shows the form again, in the same words whatever was wrong.
func (d *Dashboard) wrong(w http.ResponseWriter, r *http.Request, l login) error {
	l.Problem = "The email or the password is wrong."
	return d.showLogin(w, r, http.StatusUnauthorized, l)
}

// recognise finds the user with this email and password, or nil. A guess is counted before it is hashed; what turns out to
// be none is taken back.
func (d *Dashboard) recognise(r *http.Request, email, plain string) (*store.User, error) {
	over, retryAfter, uncount := d.store.CountAttempt(r.Context(), store.SignInFailures, store.FoldEmail(email), web.Address(r))
	if over {
		return nil, web.TooManyRequests(retryAfter)
	}
	user, err := d.verify(r, email, plain)
	if user != nil || err != nil {
		ctx, cancel := web.CleanUp(r.Context())
		defer cancel()
		uncount(ctx)
	}
	return user, err
}

// verify compares the password. An unknown email, a disabled user, no password set, a wrong one: all take the same work,
// and the answer is nil.
func (d *Dashboard) verify(r *http.Request, email, plain string) (*store.User, error) {
	ctx := r.Context()
	user, err := d.store.UserByEmail(ctx, email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	id, sealed := store.NewUserID(), []byte(nil)
	if user != nil {
		id, sealed = user.ID, user.Password
	} else if _, err := d.store.User(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) { // as many round trips
		return nil, err
	}
	if len(plain) > password.MaxLength*4 {
		plain = "" // no password is so long; the work is the same
	}
	ok, rehash, err := d.passwords.Verify(ctx, id, sealed, plain)
	if err != nil {
		return nil, err
	}
	if !ok || !user.Enabled {
		by := audit.Unauthenticated(ctx, "")
		if user != nil {
			by = audit.User(ctx, user.ID)
		}
		d.audit.Reject(ctx, by, audit.SessionRejected, audit.Reason(rejection(user, ok)))
		return nil, nil
	}
	if rehash {
		d.rehash(r, user, plain)
	}
	return user, nil
}

// rejection is why a sign-in was rejected. The audit log has it, and the caller does not learn it.
func rejection(user *store.User, rightPassword bool) string {
	switch {
	case user == nil:
		return "unknown"
	case rightPassword:
		return "disabled"
	case len(user.Password) == 0:
		return "no password"
	}
	return "wrong password"
}

// rehash stores the password as passwords are stored today. The next sign-in does it if this one cannot.
func (d *Dashboard) rehash(r *http.Request, user *store.User, plain string) {
	sealed, err := d.passwords.Hash(r.Context(), user.ID, plain)
	if err == nil {
		err = d.store.RehashPassword(r.Context(), user.ID, user.Password, sealed)
	}
	if err != nil {
		web.Note(r.Context(), "rehash", err.Error())
		return
	}
	user.Password = sealed
}

// Logout answers POST /logout.
func (d *Dashboard) Logout(w http.ResponseWriter, r *http.Request, in *session) error {
	if _, err := in.form(r); err != nil {
		return err
	}
	if err := d.revokeSession(r.Context(), in.UserID, in.Digest, "signed out"); err != nil {
		return err
	}
	d.setCookie(w, sessionCookie, "")
	return seeOther(w, "/login", "signed-out")
}

// invitation is the page on which an invited user sets a password.
type invitation struct {
	Code, Email string
	Problems    problems
	Least       int
}

var errInvite = &web.Error{
	Status: http.StatusNotFound, Code: "not_found",
	Description: "This link was used, has expired or was replaced by a newer link. If you have set a password, sign in with it. Otherwise ask an operator for a new link.",
}

// InvitePage answers GET /invite/{code}.
func (d *Dashboard) InvitePage(w http.ResponseWriter, r *http.Request) error {
	user, err := d.invited(r)
	if err != nil {
		return err
	}
	return d.showInvite(w, r, http.StatusOK, invitation{Email: user.Metadata.Email})
}

func (d *Dashboard) showInvite(w http.ResponseWriter, r *http.Request, status int, i invitation) error {
	i.Code, i.Least = web.Path(r, "code"), password.MinLength
	return d.show(w, status, "invite", page{Title: "Set your password", Form: d.forms.of(d.visit(w, r)), Content: i})
}

// invited reads the user of the link, if it is the one that is valid now.
func (d *Dashboard) invited(r *http.Request) (*store.User, error) {
	id, code, ok := invite.Parse(web.Path(r, "code"))
	if !ok {
		return nil, errInvite
	}
	user, err := d.store.User(r.Context(), id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if user == nil || !user.Enabled || user.Invite == nil || !user.Invite.Digest.Equal(code) || !d.now().Before(user.Invite.ExpiresAt) {
		if over, retryAfter := d.store.CountFailure(r.Context(), store.BearerFailures, "", web.Address(r)); over {
			return nil, web.TooManyRequests(retryAfter)
		}
		return nil, errInvite
	}
	return user, nil
}

// Redeem answers POST /invite/{code}: it sets the password, and signs in.
func (d *Dashboard) Redeem(w http.ResponseWriter, r *http.Request) error {
	form, err := d.form(r, d.cookie(r, visitCookie))
	if err != nil {
		return err
	}
	plain := form.Get("password")
	user, err := d.invited(r)
	if errors.Is(err, errInvite) {
		return d.redeemAgain(w, r, plain)
	}
	if err != nil {
		return err
	}
	if wrong := checkPassword("Password", plain, form.Get("again"), user); wrong != nil {
		return d.showInvite(w, r, http.StatusBadRequest, invitation{Email: user.Metadata.Email, Problems: wrong})
	}
	sealed, err := d.passwords.Hash(r.Context(), user.ID, plain)
	if err != nil {
		return err
	}
	what := audit.Record{Action: audit.UserPasswordSet, Target: audit.UserTarget(user.ID), Detail: map[string]string{"by": "invite"}}
	err = d.audit.Change(r.Context(), audit.User(r.Context(), user.ID), what, func(ctx context.Context) error {
		return d.store.RedeemInvite(ctx, user.ID, user.Invite.Digest, sealed)
	})
	if errors.Is(err, store.ErrNotFound) {
		return errInvite
	}
	if err != nil {
		return err
	}
	return d.signInAfter(w, r, &store.User{ID: user.ID, Password: sealed}, "/settings", "")
}

// redeemAgain answers a form whose link is not valid any more. Its own first attempt may have spent the link, and have been
// answered 503: then the user has this password. That it lasts is confirmed before the answer says so.
func (d *Dashboard) redeemAgain(w http.ResponseWriter, r *http.Request, plain string) error {
	id, _, ok := invite.Parse(web.Path(r, "code"))
	if !ok {
		return errInvite
	}
	named, err := d.store.User(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return errInvite
	}
	if err != nil {
		return err
	}
	user, err := d.recognise(r, named.Metadata.Email, plain)
	if err != nil {
		return err
	}
	if user == nil || user.ID != id {
		return errInvite
	}
	if err := d.store.Confirm(r.Context()); err != nil {
		return err
	}
	return d.signInAfter(w, r, user, "/settings", "")
}

// checkPassword says what is wrong with a new password, under its label on the page.
func checkPassword(label, plain, again string, user *store.User) problems {
	if err := password.Check(plain, user.Metadata.Email, user.Metadata.Name); err != nil {
		return problems{"password": label + " " + err.Error() + "."}
	}
	if plain != again {
		return problems{"again": "The passwords differ."}
	}
	return nil
}
