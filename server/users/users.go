package users

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/mintkeep/mintkeep/server/invite"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Link is where a person sets a password, to be shown this once.
type Link struct {
	URL       string
	ExpiresAt time.Time
}

// CreateUser adds a person, with a link to set a password by.
func (g *Registry) CreateUser(r *http.Request, o web.Object, actor string) (*store.User, Link, error) {
	u, err := g.readNewUser(o)
	if err != nil {
		return nil, Link{}, err
	}
	// Looked at before the record is made; that it stays so is for the store to see.
	if err := g.emailFree(r.Context(), u.Metadata.Email, u.ID); err != nil {
		return nil, Link{}, err
	}
	var link Link
	u.Invite, link = g.newInvite(u.ID)
	detail := map[string]string{"email": u.Metadata.Email, "role": u.Role()}
	err = g.change(r, web.Act{Actor: actor, Action: userCreated, Target: UserTarget(u.ID), Detail: detail}, func(ctx context.Context) error {
		return g.Store.CreateUser(ctx, u)
	})
	return u, link, emailTaken(err)
}

func (g *Registry) readNewUser(o web.Object) (*store.User, error) {
	p, err := readPerson(o)
	switch {
	case err != nil:
		return nil, err
	case p.email == nil:
		return nil, wrongOfPerson("email", errors.New("is missing"))
	case p.disables():
		return nil, wrongOfPerson("disabled", errors.New("a person is added enabled"))
	}
	u := &store.User{ID: store.NewUserID(), Metadata: store.UserMetadata{CreatedAt: g.instant()}}
	p.change(&u.Metadata)
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

// emailFree says whether an email may be this person's.
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

// User reads a person. What is not shaped like an id is nobody's.
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

// DeleteUser ends a person and their keys for good. It reads nothing first, so that a damaged record can be ended
// too.
func (g *Registry) DeleteUser(r *http.Request, id, actor string) error {
	if !userIDs.MatchString(id) {
		return errNoUser
	}
	end := store.Cause{At: g.instant(), Actor: store.Actor{Name: actor}, Reason: "the person was deleted"}
	return noUser(g.end(r, web.Act{Actor: actor, Action: userDeleted, Target: UserTarget(id)}, func(ctx context.Context) error {
		return g.Store.DeleteUser(ctx, id, end)
	}))
}

// InviteUser makes a new link, which ends the one before. It is the reset of a password as well: the old one
// serves until the link is used.
func (g *Registry) InviteUser(r *http.Request, id, actor string) (Link, error) {
	u, err := g.User(r.Context(), id)
	if err != nil {
		return Link{}, err
	}
	made, link := g.newInvite(u.ID)
	err = g.change(r, web.Act{Actor: actor, Action: userInvited, Target: UserTarget(u.ID)}, func(ctx context.Context) error {
		return g.Store.InviteUser(ctx, u.ID, *made, g.cause(actor))
	})
	return link, noUser(err)
}
