package users

import (
	"context"
	"errors"
	"strings"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Patch applies a JSON Merge Patch (RFC 7396) to a user. All of it is checked before anything is done. Then what takes
// rights away comes first, and what gives them last.
func (g *Registry) Patch(ctx context.Context, id string, o web.Object, by audit.Actor) (*store.User, error) {
	p, err := readPatch(id, o)
	if err != nil {
		return nil, err
	}
	u, unreadable := g.Store.User(ctx, id)
	if errors.Is(unreadable, store.ErrNotFound) {
		return nil, errNoUser
	}
	if p.email != nil && unreadable == nil {
		if err := g.emailFree(ctx, *p.email, id); err != nil {
			return nil, err
		}
	}
	if err := g.restrict(ctx, id, u, p, by); err != nil {
		return nil, noUser(err)
	}
	if unreadable != nil {
		return nil, unreadable
	}
	if err := g.update(ctx, u, p, by); err != nil {
		return nil, noUser(emailTaken(err))
	}
	if err := g.admit(ctx, u, p, by); err != nil {
		return nil, noUser(err)
	}
	// What was so already may be a revocation that was applied before, and not confirmed.
	if err := g.Store.Confirm(ctx); err != nil {
		return nil, err
	}
	return g.User(ctx, id)
}

func readPatch(id string, o web.Object) (p spec, err error) {
	if !userIDs.MatchString(id) {
		return p, errNoUser
	}
	if raw, there := o["id"]; there {
		if same, err := web.Decode[string](raw, "a string"); err != nil || same != id {
			return p, wrongMember("id", errors.New("cannot be changed"))
		}
	}
	return readSpec(o)
}

// restrict disables and demotes, also a user who is so already. u is nil for a user who cannot be read, and who may
// well have what is taken away.
func (g *Registry) restrict(ctx context.Context, id string, u *store.User, p spec, by audit.Actor) error {
	if p.disables() {
		what := record(audit.UserDisabled, id, nil).Granted("disabled", "true")
		switch {
		case u != nil && u.Enabled:
			what = what.Changed("disabled", "false", "true")
		case u != nil:
			what = what.Again()
		}
		if err := g.Audit.Revoke(ctx, by, what, func(ctx context.Context) error { return g.Store.DisableUser(ctx, id, g.Audit.Cause(by, "")) }); err != nil {
			return err
		}
	}
	demote := func(ctx context.Context) error { return g.Store.DemoteUser(ctx, id, g.Audit.Cause(by, "")) }
	switch {
	case !p.demotes():
		return nil
	case u != nil && u.Role() != store.Operator: // most users: nothing to record, but an earlier attempt may not be confirmed
		return demote(ctx)
	}
	what := record(audit.UserDemoted, id, nil).Granted("role", store.Developer)
	if u != nil {
		what = what.Changed("role", store.Operator, store.Developer)
	}
	return g.Audit.Revoke(ctx, by, what, demote)
}

// update changes the metadata. If that is as the patch would have it, it is settled.
func (g *Registry) update(ctx context.Context, u *store.User, p spec, by audit.Actor) error {
	after := u.Metadata
	changed := p.apply(&after)
	if len(changed) == 0 {
		return g.settle(ctx, u, p, by)
	}
	what := record(audit.UserUpdated, u.ID, map[string]string{"changed": strings.Join(changed, " ")})
	for _, member := range changed {
		what = what.Changed(member, text(u.Metadata, member), text(after, member))
	}
	return g.Audit.Change(ctx, by, what, func(ctx context.Context) error {
		_, err := g.Store.UpdateUser(ctx, u.ID, g.Audit.Cause(by, ""), func(m *store.UserMetadata) error {
			p.apply(m)
			return nil
		})
		return err
	})
}

// text is a member of the metadata as the audit log has it.
func text(m store.UserMetadata, member string) string {
	switch member {
	case "email":
		return m.Email
	case "managed_by":
		return m.ManagedBy
	}
	return m.Name
}

// admit promotes and enables.
func (g *Registry) admit(ctx context.Context, u *store.User, p spec, by audit.Actor) error {
	if p.promotes() {
		if err := g.promote(ctx, u, by); err != nil {
			return err
		}
	}
	cause := g.Audit.Cause(by, "")
	switch {
	case !p.enables():
		return nil
	case u.Enabled: // nothing to record, but a disabling of unknown outcome is settled by it
		return conflict(g.Store.KeepUserEnabled(ctx, u.ID, cause), "disabled")
	}
	what := record(audit.UserEnabled, u.ID, nil).Changed("disabled", "true", "false")
	return g.Audit.Change(ctx, by, what, func(ctx context.Context) error { return g.Store.EnableUser(ctx, u.ID, cause) })
}

// promote promotes a user. For one who is an operator already there is nothing to record, but an earlier attempt may not be
// in the feed.
func (g *Registry) promote(ctx context.Context, u *store.User, by audit.Actor) error {
	cause := g.Audit.Cause(by, "")
	if u.Role() == store.Operator {
		return conflict(g.Store.KeepUserPromoted(ctx, u.ID, cause), "demoted")
	}
	what := record(audit.UserPromoted, u.ID, nil).Changed("role", store.Developer, store.Operator)
	return g.Audit.Change(ctx, by, what, func(ctx context.Context) error { return g.Store.PromoteUser(ctx, u.ID, cause) })
}

// conflict answers that the user was changed after it was read.
func conflict(err error, became string) error {
	if errors.Is(err, store.ErrConflict) {
		return web.Conflict("The user was %s at the same time; read them again before you retry", became)
	}
	return err
}
