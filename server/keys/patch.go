package keys

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Patch applies a JSON Merge Patch (RFC 7396) to a key that is active or disabled, and returns the key as it is then. All of it is
// checked before anything is done. Then the key is disabled first or enabled last, as a client is. Its scope and its expiry can
// only become narrower: a key never gets more than it was created with.
func (g *Registry) Patch(ctx context.Context, key *store.APIKey, o web.Object, by audit.Actor) (*store.APIKey, error) {
	p, err := readPatch(key.ID, o, g.Now())
	if err != nil {
		return nil, err
	}
	if !key.Revocable() {
		return nil, errEnded
	}
	after := *key
	if _, err := p.apply(&after); err != nil {
		return nil, err
	}
	if err := checkEnabler(key, p, by); err != nil {
		return nil, err
	}
	if p.object.Names("rate_limit") {
		if err := checkRate(p.rateLimit, by); err != nil {
			return nil, err
		}
	}
	if p.disables() {
		if err := g.disable(ctx, key, by); err != nil {
			return nil, ended(err)
		}
	}
	if p.hasMembers() {
		if key, err = g.update(ctx, key, p, by); err != nil {
			return nil, ended(err)
		}
	}
	if p.enables() {
		if err := checkEnabler(key, p, by); err != nil { // it may be as it was not before the update
			return nil, err
		}
		if err := g.enable(ctx, key, by); err != nil {
			return nil, ended(err)
		}
	}
	return key, nil
}

var errEnded = web.Conflict("The key is no longer active; create a new one")

// ended answers that a key was revoked meanwhile, or has expired.
func ended(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errEnded
	case errors.Is(err, store.ErrNotRestorable):
		return web.Conflict("The key cannot be enabled again; create a new one")
	case errors.Is(err, store.ErrConflict):
		return errDisabled
	}
	return err
}

var errDisabled = web.Conflict("The key was disabled at the same time; read it again before you retry")

// checkEnabler rejects that a key enables one with more scopes than it has itself: a thief may have both. A key never enables
// itself: a request of its own may be under way while it is disabled.
func checkEnabler(key *store.APIKey, p *patch, by audit.Actor) error {
	switch {
	case !p.enables() || key.Disabled == nil || by.Key == nil:
	case by.Key.ID == key.ID:
		return errDisabled
	case len(scope.Beyond(key.Scope, by.Scope)) > 0:
		return &BeyondError{Scope: key.Scope, To: "enable"}
	}
	return nil
}

// disable disables a key. One that is disabled already is disabled and recorded again: an attempt whose answer was lost may have
// left no record.
func (g *Registry) disable(ctx context.Context, key *store.APIKey, by audit.Actor) error {
	what := record(audit.KeyDisabled, key.ID, key.UserID).Granted("disabled", "true")
	if key.Disabled != nil {
		what = what.Again()
	} else {
		what = what.Changed("disabled", "false", "true")
	}
	return g.Audit.Revoke(ctx, by, what, func(ctx context.Context) error {
		return g.Store.DisableKey(ctx, key, g.Audit.Cause(by, ""))
	})
}

// enable enables a key. One that is enabled already is written again and not recorded: a disabling of unknown outcome is settled
// by it. But one that was disabled since it was read stays so.
func (g *Registry) enable(ctx context.Context, key *store.APIKey, by audit.Actor) error {
	enable := func(ctx context.Context) error { return g.Store.EnableKey(ctx, key, g.Audit.Cause(by, "")) }
	if key.Disabled == nil {
		return enable(ctx)
	}
	what := record(audit.KeyEnabled, key.ID, key.UserID).Changed("disabled", "true", "false")
	return g.Audit.Change(ctx, by, what, enable)
}

// update changes what the patch names. If the key is as the patch would have it, it is written again and nothing is recorded: an
// earlier change without an answer is settled by it.
func (g *Registry) update(ctx context.Context, key *store.APIKey, p *patch, by audit.Actor) (*store.APIKey, error) {
	after := *key
	changed, err := p.apply(&after)
	if err != nil {
		return nil, err
	}
	var updated *store.APIKey
	update := func(ctx context.Context) (err error) {
		updated, err = g.Store.UpdateKey(ctx, key, g.Audit.Cause(by, ""), func(k *store.APIKey) error {
			if by.Key != nil && by.Key.ID == k.ID && p.object.Names("rate_limit") && above(p.rateLimit, k.RateLimit) {
				return wrong("rate_limit", errors.New("must not be above "+k.RateLimit.String()+", that of the calling key")) // since it authenticated
			}
			also, err := p.apply(k)
			if err == nil && len(changed) == 0 && len(also) > 0 {
				err = errOvertaken
			}
			return err
		})
		return err
	}
	if len(changed) > 0 {
		err = g.Audit.Change(ctx, by, updating(key, &after, changed), update)
		return updated, err
	}
	if err := update(ctx); !errors.Is(err, errOvertaken) {
		return updated, err
	}
	if key, err = g.Key(ctx, key.ID); err != nil {
		return nil, err
	}
	return g.update(ctx, key, p, by)
}

// errOvertaken: the key is not any more as it was read.
var errOvertaken = errors.New("the key was changed meanwhile")

// updating is the record of a change: from what to what. Of metadata it has the names, not the values.
func updating(before, after *store.APIKey, changed []string) audit.Record {
	what := record(audit.KeyUpdated, before.ID, before.UserID).Granted("changed", strings.Join(changed, " "))
	for _, m := range patchMembers {
		if slices.Contains(changed, m.name) {
			what = what.Changed(m.name, m.text(before), m.text(after))
		}
	}
	return what
}

// patchMembers are what UpdateKey changes, as the audit log has it, in the order in which they are documented.
var patchMembers = []struct {
	name string
	text func(*store.APIKey) string
}{
	{"name", func(k *store.APIKey) string { return k.Name }},
	{"description", func(k *store.APIKey) string { return k.Description }},
	{"scope", func(k *store.APIKey) string { return k.Scope }},
	{"expires_at", func(k *store.APIKey) string { return audit.Moment(k.ExpiresAt) }},
	{"metadata", func(k *store.APIKey) string { return metadataText(k.Metadata) }},
	{"rate_limit", func(k *store.APIKey) string { return k.RateLimit.String() }},
}

// patch is a merge patch whose members are right by themselves.
type patch struct {
	object            web.Object
	name, description string
	scope             string
	expiresAt         time.Time // zero: never
	rateLimit         store.Rate
	disabled          *bool // nil: not in it
}

func (p *patch) disables() bool { return p.disabled != nil && *p.disabled }
func (p *patch) enables() bool  { return p.disabled != nil && !*p.disabled }

func (p *patch) hasMembers() bool {
	for _, m := range patchMembers {
		if p.object.Names(m.name) {
			return true
		}
	}
	return false
}

func readPatch(id string, o web.Object, now time.Time) (*patch, error) {
	p := &patch{object: o}
	if err := checkMisnamed(o); err != nil {
		return nil, err
	}
	if raw, there := o["id"]; there {
		if same, err := web.Decode[string](raw, "a string"); err != nil || same != id {
			return nil, wrong("id", errors.New("cannot be changed"))
		}
	}
	var err error
	if o.Names("name") {
		if p.name, err = readName(o["name"]); err != nil {
			return nil, wrong("name", err)
		}
	}
	if p.description, err = readDescription(o["description"]); err != nil {
		return nil, wrong("description", err)
	}
	if p.scope, err = readScope(o["scope"]); err != nil {
		return nil, err
	}
	if o.Names("scope") && p.scope == "" {
		return nil, wrongScope("must name the scopes that the key keeps; disable or revoke the key to take all away")
	}
	if p.expiresAt, err = readExpiry(o["expires_at"], now); err != nil {
		return nil, wrong("expires_at", err)
	}
	if _, err := mergeMetadata(nil, o["metadata"]); err != nil {
		return nil, wrong("metadata", err)
	}
	if p.rateLimit, err = readRateLimit(o["rate_limit"]); err != nil {
		return nil, wrong("rate_limit", err)
	}
	if o.Names("disabled") {
		disabled, err := readDisabled(o["disabled"])
		if err != nil {
			return nil, wrong("disabled", err)
		}
		p.disabled = &disabled
	}
	return p, nil
}

// apply makes of a key what the patch says, and returns the members that changed. What would be wider is a 400 that says so.
func (p *patch) apply(k *store.APIKey) (changed []string, err error) {
	before := *k
	if p.object.Names("name") {
		k.Name = p.name
	}
	if p.object.Names("description") {
		k.Description = p.description
	}
	if p.object.Names("scope") {
		if k.Scope, err = narrower(k.Scope, p.scope); err != nil {
			return nil, err
		}
	}
	if p.object.Names("expires_at") {
		if !k.ExpiresAt.IsZero() && (p.expiresAt.IsZero() || p.expiresAt.After(k.ExpiresAt)) {
			return nil, wrong("expires_at", errors.New("cannot be later than "+audit.Moment(k.ExpiresAt)+", when the key expires; create a new key instead"))
		}
		k.ExpiresAt = p.expiresAt
	}
	if p.object.Names("metadata") {
		if k.Metadata, err = mergeMetadata(k.Metadata, p.object["metadata"]); err != nil {
			return nil, wrong("metadata", err)
		}
	}
	if p.object.Names("rate_limit") {
		k.RateLimit = p.rateLimit
	}
	return differing(&before, k), nil
}

// narrower is the scope that a key keeps of one, or says that it does not have all of it.
func narrower(has, wanted string) (string, error) {
	if beyond := scope.Beyond(wanted, has); len(beyond) > 0 {
		return "", wrongScope("cannot be widened: the key lacks " + strings.Join(beyond, " ") + "; create a new key with that scope instead")
	}
	if len(scope.Beyond(has, wanted)) == 0 { // the same in another order
		return has, nil
	}
	return dedupe(wanted), nil
}

// differing are the members in which two descriptions of a key differ.
func differing(a, b *store.APIKey) (members []string) {
	for _, m := range patchMembers {
		if m.text(a) != m.text(b) || m.name == "metadata" && !maps.Equal(a.Metadata, b.Metadata) {
			members = append(members, m.name)
		}
	}
	return members
}
