package clients

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Condition is what must hold of a client for a change to be made, or the error of the request. It is checked when the
// client is read, and again in the transaction.
type Condition func(*store.Client) error

// Unchanged is a conflict unless the metadata is still as the request knew it.
func Unchanged(same func(*store.ClientMetadata) bool) Condition {
	return func(c *store.Client) error {
		if !same(&c.Metadata) {
			return web.Conflict("The client was changed meanwhile; read it again and retry")
		}
		return nil
	}
}

// Version names what a replacement replaces of a client: its metadata, and whether it is enabled. Each change of these makes
// another one, and so does a later client of the same id. Secrets and last uses are not in it: they change by themselves.
func Version(c *store.Client) string {
	record, err := json.Marshal(c.Metadata)
	if err != nil {
		panic(err) // it was read from JSON
	}
	state := byte('-')
	if c.Enabled {
		state = '+'
	}
	sum := sha256.Sum256(append(append(record, state), c.Life...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Replace replaces the registration of a client (RFC 7592 §2.2): a member that o does not have gets its default. The secrets
// stay as they are: they have an API of their own.
func (g *Registry) Replace(ctx context.Context, id string, o web.Object, condition Condition, by audit.Actor) (*store.Client, error) {
	return g.PatchIf(ctx, id, whole(o), condition, by)
}

// CheckReplace says why a replacement would be rejected. Nothing is changed.
func (g *Registry) CheckReplace(ctx context.Context, id string, o web.Object, condition Condition) error {
	return g.CheckPatch(ctx, id, whole(o), condition)
}

// CheckPatch says why a patch would be rejected. Nothing is changed.
func (g *Registry) CheckPatch(ctx context.Context, id string, o web.Object, condition Condition) error {
	p, err := g.readPatch(id, o)
	if err != nil {
		return err
	}
	p.condition = condition
	c, err := g.Client(ctx, id)
	if err != nil {
		return err
	}
	p.wasEnabled = c.Enabled
	return g.check(ctx, c, p)
}

// whole is a replacement as the merge patch that names every member.
func whole(o web.Object) web.Object {
	all := web.Object{"disabled": o["disabled"]}
	for _, member := range Members {
		all[member.Name] = o[member.Name]
	}
	for _, name := range []string{"client_id", secretMember, digestMember} { // which cannot be changed
		if o.Names(name) {
			all[name] = o[name]
		}
	}
	return all
}

// DeleteIf deletes a client under a condition, which is checked before: a change in between is deleted with the client.
func (g *Registry) DeleteIf(ctx context.Context, id string, condition Condition, by audit.Actor) error {
	c, err := g.Client(ctx, id)
	switch {
	case errors.Is(err, errNoClient): // an earlier deletion may not be confirmed
		return g.Delete(ctx, id, by)
	case err != nil:
		return err
	}
	if err := condition(c); err != nil {
		return err
	}
	return g.Delete(ctx, id, by)
}
