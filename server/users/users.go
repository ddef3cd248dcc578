package users

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/invite"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Link is where a user sets a password, to be shown this once.
type Link struct {
	URL       string
	ExpiresAt time.Time
}

// Create creates a user, with a link to set a password by.
func (g *Registry) Create(ctx context.Context, o web.Object, by audit.Actor) (*store.User, Link, error) {
	u, err := g.readNew(o)
	if err != nil {
		return nil, Link{}, err
	}
	// Checked before the record is written. The store checks again.
	if err := g.emailFree(ctx, u.Metadata.Email, u.ID); err != nil {
		return nil, Link{}, err
	}
	var link Link
	u.Invite, link = g.newInvite(u.ID)
	what := record(audit.UserCreated, u.ID, nil).Granted("email", u.Metadata.Email).Granted("name", u.Metadata.Name).Granted("role", u.Role()).
		Granted("managed_by", u.Metadata.ManagedBy)
	err = g.Audit.Change(ctx, by, what, func(ctx context.Context) error { return g.Store.CreateUser(ctx, u) })
	return u, link, emailTaken(err)
}

func (g *Registry) readNew(o web.Object) (*store.User, error) {
	p, err := readSpec(o)
	switch {
	case err != nil:
		return nil, err
	case p.email == nil:
		return nil, wrongMember("email", errors.New("is missing"))
	case p.disables():
		return nil, wrongMember("disabled", errors.New("must be false: a new user is enabled"))
	}
	u := &store.User{ID: store.NewUserID(), Metadata: store.UserMetadata{CreatedAt: g.instant()}}
	p.apply(&u.Metadata)
	if p.promotes() {
		u.Operator = store.NewGeneration()
	}
	return u, nil
}

func (g *Registry) newInvite(userID string) (*store.Invite, Link) {
	code, digest := invite.New(userID)
	expires := g.instant().Add(invite.Lifetime)
	return &store.Invite{Digest: digest, ExpiresAt: expires}, Link{invite.URL(g.Config.Issuer, code), expires}
}

// emailFree says whether an email may be this user's.
func (g *Registry) emailFree(ctx context.Context, email, id string) error {
	u, err := g.Store.UserByEmail(ctx, email)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && u.ID == id:
		return nil
	case err == nil:
		err = store.ErrExists
	}
	return emailTaken(err)
}

func emailTaken(err error) error {
	if errors.Is(err, store.ErrExists) {
		return web.Conflict("email: is taken")
	}
	return err
}

var userIDs = regexp.MustCompile(`^usr_[a-z2-7]{26}$`)

// User reads a user. No user has an id of another shape.
func (g *Registry) User(ctx context.Context, id string) (*store.User, error) {
	if !userIDs.MatchString(id) {
		return nil, errNoUser
	}
	u, err := g.Store.User(ctx, id)
	return u, noUser(err)
}

var errNoUser = web.NotFound("User")

// noUser says what was not found.
func noUser(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNoUser
	}
	return err
}

// Delete deletes a user and their keys. It reads nothing first, so that it works on a damaged record too.
func (g *Registry) Delete(ctx context.Context, id string, by audit.Actor) error {
	if !userIDs.MatchString(id) {
		return errNoUser
	}
	return noUser(g.Audit.Revoke(ctx, by, record(audit.UserDeleted, id, nil), func(ctx context.Context) error {
		return g.Store.DeleteUser(ctx, id, g.Audit.Cause(by, "the user was deleted"))
	}))
}

// Invite makes a new link, which revokes the one before. For a user who has a password it is a reset: the password and the
// sessions are revoked first, so that an intruder who has them cannot use them until the link is used, nor set a password
// that revokes the link. keepPassword leaves them valid until then.
func (g *Registry) Invite(ctx context.Context, id string, keepPassword bool, by audit.Actor) (Link, error) {
	u, err := g.User(ctx, id)
	if err != nil {
		return Link{}, err
	}
	if !keepPassword {
		if err := g.reset(ctx, u, by); err != nil {
			return Link{}, noUser(err)
		}
	}
	next, link := g.newInvite(u.ID)
	err = g.Audit.Change(ctx, by, record(audit.UserInvited, u.ID, nil), func(ctx context.Context) error {
		return g.Store.InviteUser(ctx, u.ID, *next, g.Audit.Cause(by, ""))
	})
	return link, noUser(err)
}

// reset revokes the password of a user. Of one who has none there is nothing to record, but an earlier attempt may not be
// confirmed.
func (g *Registry) reset(ctx context.Context, u *store.User, by audit.Actor) error {
	revoke := func(ctx context.Context) error { return g.Store.RevokePassword(ctx, u.ID, g.Audit.Cause(by, "reset")) }
	if len(u.Password) == 0 {
		return revoke(ctx)
	}
	return g.Audit.Revoke(ctx, by, record(audit.UserPasswordRevoked, u.ID, nil), revoke)
}

// ReadInvite reads keep_password; absent, or null, it is false.
func ReadInvite(o web.Object) (keepPassword bool, err error) {
	if !o.Has("keep_password") {
		return false, nil
	}
	if keepPassword, err = web.Decode[bool](o["keep_password"], "true or false"); err != nil {
		return false, wrongMember("keep_password", err)
	}
	return keepPassword, nil
}
