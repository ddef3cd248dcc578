package clients

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Patch applies a JSON Merge Patch (RFC 7396) to a client. All of it is checked before anything is done. Then the client
// is disabled first or enabled last: one that is being disabled gets nothing new while it still works, and one that is
// being enabled works as it will be.
func (g *Registry) Patch(ctx context.Context, id string, o web.Object, by audit.Actor) (*store.Client, error) {
	return g.PatchIf(ctx, id, o, nil, by)
}

// PatchIf is Patch under a condition, which is checked again in the transaction. nil: there is none.
func (g *Registry) PatchIf(ctx context.Context, id string, o web.Object, condition Condition, by audit.Actor) (*store.Client, error) {
	p, err := g.readPatch(id, o)
	if err != nil {
		return nil, err
	}
	p.condition = condition
	c, err := g.Client(ctx, id)
	if err == nil {
		p.wasEnabled = c.Enabled
		if err := g.check(ctx, c, p); err != nil {
			return nil, err
		}
	}
	if p.disables() && mayExist(err) && (err == nil || condition == nil) { // what cannot be read meets no condition
		if err := g.disable(ctx, p.id, c, by); err != nil {
			return nil, noClient(err)
		}
	}
	if err != nil {
		return nil, err
	}
	if c, err = g.update(ctx, c, p, by); err != nil {
		return nil, noClient(err)
	}
	if p.enables() && (p.condition == nil || !p.wasEnabled) { // else it may have been disabled since the condition held
		if err := g.enable(ctx, c, by); err != nil {
			return nil, noClient(err)
		}
	}
	if p.disables() {
		c.Enabled = false
	}
	// What was so already may be a revocation that was applied before, and not confirmed.
	return c, g.Store.Confirm(ctx, p.before()...)
}

// check checks what the patch makes of the client, and fetches its key set if that is another one.
func (g *Registry) check(ctx context.Context, c *store.Client, p *patch) error {
	after := c.Metadata
	if err := p.checkCondition(c); err != nil {
		return err
	}
	if _, err := g.rules().patch(&after, p.object); err != nil {
		return err
	}
	if err := g.checkSecret(c, &after); err != nil {
		return err
	}
	return g.checkKeySet(ctx, c.Metadata.JWKSURI, after.JWKSURI)
}

// mayExist says whether there is something to disable. An unreadable client may well be enabled.
func mayExist(err error) bool {
	var answered *web.Error // not found
	return !errors.As(err, &answered)
}

// disable disables a client; c is nil if it cannot be read. One that is disabled already is disabled and recorded again:
// an attempt whose answer was lost may have left no record.
func (g *Registry) disable(ctx context.Context, id string, c *store.Client, by audit.Actor) error {
	what := record(audit.ClientDisabled, id, nil).Granted("disabled", "true")
	switch {
	case c != nil && c.Enabled:
		what = what.Changed("disabled", "false", "true")
	case c != nil:
		what = what.Again()
	}
	return g.Audit.Revoke(ctx, by, what, func(ctx context.Context) error {
		return g.Store.DisableClient(ctx, id, g.Audit.Cause(by, ""))
	})
}

// enable enables a client. One that is enabled already is written again and not recorded: a disabling of unknown outcome
// is settled by it. But one that was disabled since it was read stays so.
func (g *Registry) enable(ctx context.Context, c *store.Client, by audit.Actor) error {
	cause := g.Audit.Cause(by, "")
	if c.Enabled {
		err := g.Store.KeepClientEnabled(ctx, c.ID, cause)
		if errors.Is(err, store.ErrConflict) {
			return web.Conflict("The client was disabled at the same time; read it again before you retry")
		}
		return err
	}
	what := record(audit.ClientEnabled, c.ID, nil).Changed("disabled", "true", "false")
	err := g.Audit.Change(ctx, by, what, func(ctx context.Context) error { return g.Store.EnableClient(ctx, c.ID, cause) })
	c.Enabled = err == nil
	return err
}

// update changes the metadata. If that is as the patch would have it, it is settled.
func (g *Registry) update(ctx context.Context, c *store.Client, p *patch, by audit.Actor) (*store.Client, error) {
	in, after := g.rules(), c.Metadata
	changed, err := in.patch(&after, p.object)
	if err != nil || len(changed) == 0 {
		return g.settle(ctx, c, p, by, err)
	}
	p.changed = changed
	what := record(audit.ClientUpdated, c.ID, map[string]string{"changed": strings.Join(changed, " ")})
	for _, member := range Members {
		if slices.Contains(changed, member.Name) {
			what = what.Changed(member.Name, member.text(&c.Metadata), member.text(&after))
		}
	}
	if in.narrower(c.Metadata, after) {
		what = what.Granted("tokens", "revoked")
	}
	var updated *store.Client
	err = g.Audit.Change(ctx, by, what, func(ctx context.Context) (err error) {
		updated, err = g.Store.UpdateClientIf(ctx, c.ID, g.Audit.Cause(by, ""), func(c *store.Client) (newGeneration bool, err error) {
			before := c.Metadata // which may be newer than what was read above
			if err := p.checkCondition(c); err != nil {
				return false, err
			}
			_, err = in.patch(&c.Metadata, p.object)
			p.narrowed = in.narrower(before, c.Metadata)
			return p.narrowed, err
		})
		return err
	})
	if err == nil && (slices.Contains(changed, jwksMember) || slices.Contains(changed, jwksURIMember)) {
		g.Store.KeepClientKeys(ctx, c.ID, thumbprints(&updated.Metadata))
	}
	return updated, err
}

// patch is a merge patch that has been checked.
type patch struct {
	id       string
	object   web.Object
	disabled *bool // nil: not in it

	condition  Condition // see PatchIf
	wasEnabled bool      // when the client was read

	changed  []string // members that it has changed
	narrowed bool     // it has taken away something that tokens of the client may have
}

// before are the revocations that an earlier attempt at the patch may have made, and that may not be in the feed.
func (p *patch) before() (revoked []store.Revocation) {
	if !p.narrowed && slices.ContainsFunc(narrowing, p.object.Names) {
		revoked = append(revoked, store.Revocation{Kind: store.ClientRevoked, ClientID: p.id})
	}
	for _, member := range authenticating {
		if p.object.Names(member) && !slices.Contains(p.changed, member) {
			return append(revoked, store.Revocation{Kind: store.ClientKeyRevoked, ClientID: p.id})
		}
	}
	return revoked
}

// The members by which a client may lose what its tokens have, and those that say how it authenticates.
var (
	narrowing      = []string{"scope", "grant_types", "audience"}
	authenticating = []string{jwksMember, jwksURIMember, methodMember, signingAlgMember}
)

func (p *patch) checkCondition(c *store.Client) error {
	if p.condition == nil {
		return nil
	}
	known := *c
	if p.disables() { // by now, this patch itself may have disabled it
		known.Enabled = p.wasEnabled
	}
	return p.condition(&known)
}

func (p *patch) disables() bool { return p.disabled != nil && *p.disabled }
func (p *patch) enables() bool  { return p.disabled != nil && !*p.disabled }

func (g *Registry) readPatch(id string, o web.Object) (*patch, error) {
	if CheckID(id) != nil {
		return nil, errNoClient
	}
	p := &patch{id: id, object: o}
	if err := p.checkFixed(); err != nil {
		return nil, err
	}
	var scratch store.ClientMetadata // what is wrong with a member by itself does not depend on the others
	if _, err := g.rules().set(&scratch, o); err != nil {
		return nil, err
	}
	if _, there := o["disabled"]; there {
		disabled, err := readDisabled(o)
		if err != nil {
			return nil, err
		}
		p.disabled = &disabled
	}
	return p, nil
}

// checkFixed rejects what a patch cannot change.
func (p *patch) checkFixed() error {
	if raw, there := p.object["client_id"]; there {
		if id, err := web.Decode[string](raw, "a string"); err != nil || id != p.id {
			return wrongMember("client_id", errors.New("cannot be changed"))
		}
	}
	for _, name := range []string{secretMember, digestMember, "secrets"} {
		if _, there := p.object[name]; there {
			return wrongMember(name, errors.New("cannot be changed here; rotate or revoke secrets at /admin/clients/{id}/secrets"))
		}
	}
	return nil
}

// readDisabled is false where the member is null or absent: the default.
func readDisabled(o web.Object) (bool, error) {
	if !o.Has("disabled") {
		return false, nil
	}
	disabled, err := web.Decode[bool](o["disabled"], "true or false")
	if err != nil {
		return false, wrongMember("disabled", err)
	}
	return disabled, nil
}
