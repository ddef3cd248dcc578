package users

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// PatchUser applies a JSON Merge Patch (RFC 7396) to a person, in the order of Patch: all of it is checked before
// anything is done, then come the ends, and the beginnings last.
func (g *Registry) PatchUser(r *http.Request, id string, o web.Object, actor string) (*store.User, error) {
	p, err := readUserPatch(id, o)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	u, unreadable := g.Store.User(ctx, id)
	if errors.Is(unreadable, store.ErrNotFound) {
		return nil, errNoUser
	}
	if p.email != nil && unreadable == nil {
		if err := g.emailFree(ctx, *p.email, id); err != nil {
			return nil, err
		}
	}
	if err := g.suspend(r, actor, id, u, p); err != nil {
		return nil, noUser(err)
	}
	if unreadable != nil {
		return nil, unreadable
	}
	if err := g.updateUser(r, actor, u, p); err != nil {
		return nil, noUser(emailTaken(err))
	}
	if err := g.admit(r, actor, u, p); err != nil {
		return nil, noUser(err)
	}
	// What was so already may be an end that was carried out before, and not confirmed.
	if err := g.Store.Confirm(ctx); err != nil {
		return nil, err
	}
	return g.User(ctx, id)
}

func readUserPatch(id string, o web.Object) (p person, err error) {
	if !userIDs.MatchString(id) {
		return p, errNoUser
	}
	if raw, there := o["id"]; there {
		if same, err := web.Decode[string](raw, "a string"); err != nil || same != id {
			return p, wrongOfPerson("id", errors.New("cannot be changed"))
		}
	}
	return readPerson(o)
}

// suspend makes the ends of a patch: it disables, and it demotes, also who is so already. Somebody who cannot be read,
// u being nil, may well have what is taken away.
func (g *Registry) suspend(r *http.Request, actor, id string, u *store.User, p person) error {
	if p.disables() {
		act := web.Act{Actor: actor, Action: userDisabled, Target: UserTarget(id), Detail: repeated(u != nil && !u.Enabled)}
		if err := g.end(r, act, func(ctx context.Context) error { return g.Store.DisableUser(ctx, id, g.cause(actor)) }); err != nil {
			return err
		}
	}
	switch {
	case !p.demotes():
		return nil
	case u != nil && u.Role() != store.Operator: // most people: nothing to tell, and an earlier try may not be confirmed
		return g.Store.DemoteUser(r.Context(), id, g.cause(actor))
	}
	return g.end(r, web.Act{Actor: actor, Action: userDemoted, Target: UserTarget(id)}, func(ctx context.Context) error {
		return g.Store.DemoteUser(ctx, id, g.cause(actor))
	})
}

// updateUser changes what is known of a person. If that is as the patch would have it, nothing is written.
func (g *Registry) updateUser(r *http.Request, actor string, u *store.User, p person) error {
	after := u.Metadata
	changed := p.change(&after)
	if len(changed) == 0 {
		return nil
	}
	detail := map[string]string{"changed": strings.Join(changed, " ")}
	return g.change(r, web.Act{Actor: actor, Action: userUpdated, Target: UserTarget(u.ID), Detail: detail}, func(ctx context.Context) error {
		_, err := g.Store.UpdateUser(ctx, u.ID, g.cause(actor), func(m *store.UserMetadata) error {
			p.change(m)
			return nil
		})
		return err
	})
}

// admit makes the beginnings of a patch: it promotes, and it enables.
func (g *Registry) admit(r *http.Request, actor string, u *store.User, p person) error {
	if p.promotes() && u.Role() != store.Operator {
		if err := g.change(r, web.Act{Actor: actor, Action: userPromoted, Target: UserTarget(u.ID)}, func(ctx context.Context) error {
			return g.Store.PromoteUser(ctx, u.ID, g.cause(actor))
		}); err != nil {
			return err
		}
	}
	switch {
	case !p.enables():
		return nil
	case u.Enabled: // nothing to record, but see enable
		return g.Store.EnableUser(r.Context(), u.ID, g.cause(actor))
	}
	return g.change(r, web.Act{Actor: actor, Action: userEnabled, Target: UserTarget(u.ID)}, func(ctx context.Context) error {
		return g.Store.EnableUser(ctx, u.ID, g.cause(actor))
	})
}
