package clients

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Patch applies a JSON Merge Patch (RFC 7396) to a client. All of it is checked before anything is done. Then
// the end comes first and the beginning last: a client that is being disabled gets nothing new while it
// still works, and one that is being enabled works as it will be.
func (g *Registry) Patch(r *http.Request, id string, o web.Object, actor string) (*store.Client, error) {
	p, err := g.readPatch(id, o)
	if err != nil {
		return nil, err
	}
	c, err := g.Client(r.Context(), id)
	if p.disables() && mayBeThere(err) {
		if ended := g.disable(r, actor, p.id, c); ended != nil {
			return nil, noClient(ended)
		}
	}
	if err != nil {
		return nil, err
	}
	if c, err = g.update(r, actor, c, p); err != nil {
		return nil, noClient(err)
	}
	if p.enables() {
		if err := g.enable(r, actor, c); err != nil {
			return nil, noClient(err)
		}
	}
	if p.disables() {
		c.Enabled = false
	}
	// What was so already may be an end that was carried out before, and not confirmed.
	return c, g.Store.Confirm(r.Context())
}

// mayBeThere says whether there is something to disable. An unreadable client may well be enabled.
func mayBeThere(err error) bool {
	var answered *web.Error // not found
	return !errors.As(err, &answered)
}

// disable ends a client; c is nil if it cannot be read. What is disabled already is disabled and recorded again: it may
// have been by a try whose answer was lost, and which left no trace.
func (g *Registry) disable(r *http.Request, actor, id string, c *store.Client) error {
	act := web.Act{Actor: actor, Action: clientDisabled, Target: ClientTarget(id), Detail: repeated(c != nil && !c.Enabled)}
	return g.end(r, act, func(ctx context.Context) error {
		return g.Store.DisableClient(ctx, id, g.cause(actor))
	})
}

// repeated is what the trail tells of an end that finds that it holds already.
func repeated(already bool) map[string]string {
	if !already {
		return nil
	}
	return map[string]string{"outcome": "was so already"}
}

// enable begins what a client may do. That it is so already is nothing to record, but to be kept: what is known of a
// disabling that was not answered hangs on it.
func (g *Registry) enable(r *http.Request, actor string, c *store.Client) error {
	if c.Enabled {
		return g.Store.EnableClient(r.Context(), c.ID, g.cause(actor))
	}
	err := g.change(r, web.Act{Actor: actor, Action: clientEnabled, Target: ClientTarget(c.ID)}, func(ctx context.Context) error {
		return g.Store.EnableClient(ctx, c.ID, g.cause(actor))
	})
	c.Enabled = err == nil
	return err
}

// update changes the metadata. If that is as the patch would have it, nothing is written.
func (g *Registry) update(r *http.Request, actor string, c *store.Client, p *patch) (*store.Client, error) {
	in, after := g.rules(), c.Metadata
	changed, err := in.patch(&after, p.object)
	if err != nil || len(changed) == 0 {
		return c, err
	}
	detail := map[string]string{"changed": strings.Join(changed, " ")}
	if in.narrower(c.Metadata, after) {
		detail["tokens"] = "ended"
	}
	var updated *store.Client
	err = g.change(r, web.Act{Actor: actor, Action: clientUpdated, Target: ClientTarget(c.ID), Detail: detail}, func(ctx context.Context) (err error) {
		updated, err = g.Store.UpdateClient(ctx, c.ID, g.cause(actor), func(m *store.ClientMetadata) (newGeneration bool, err error) {
			before := *m // which may be newer than what was read above
			_, err = in.patch(m, p.object)
			return in.narrower(before, *m), err
		})
		return err
	})
	return updated, err
}

// patch is a merge patch that has been checked.
type patch struct {
	id       string
	object   web.Object
	disabled *bool // nil: not in it
}

func (p *patch) disables() bool { return p.disabled != nil && *p.disabled }
func (p *patch) enables() bool  { return p.disabled != nil && !*p.disabled }

func (g *Registry) readPatch(id string, o web.Object) (*patch, error) {
	if checkID(id) != nil {
		return nil, errNoClient
	}
	p := &patch{id: id, object: o}
	if err := p.checkFixed(); err != nil {
		return nil, err
	}
	var scratch store.ClientMetadata // what is wrong with a member does not hang on the others
	if _, err := g.rules().patch(&scratch, o); err != nil {
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

// checkFixed refuses what a patch cannot change.
func (p *patch) checkFixed() error {
	if raw, there := p.object["client_id"]; there {
		if id, err := web.Decode[string](raw, "a string"); err != nil || id != p.id {
			return wrongMember("client_id", errors.New("cannot be changed"))
		}
	}
	for _, name := range []string{"client_secret", "secrets"} {
		if _, there := p.object[name]; there {
			return wrongMember(name, errors.New("cannot be changed here; secrets are rotated and ended at /secrets"))
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
