package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// patchClient applies a JSON Merge Patch (RFC 7396). All of it is checked before anything is done. Then
// the end comes first and the beginning last: a client that is being disabled gets nothing new while it
// still works, and one that is being enabled works as it will be.
func (a *Admin) patchClient(w http.ResponseWriter, r *http.Request, actor string) error {
	p, err := a.readPatch(r)
	if err != nil {
		return err
	}
	c, uses, err := a.find(r)
	if p.disables() && mayHold(c, err) {
		if ended := a.disable(r, actor, p.id); ended != nil {
			return noClient(ended)
		}
	}
	if err != nil {
		return err
	}
	if c, err = a.update(r, actor, c, p); err != nil {
		return noClient(err)
	}
	if p.enables() && !c.Enabled {
		if err := a.enable(r, actor, c); err != nil {
			return noClient(err)
		}
	}
	if p.disables() {
		c.Enabled = false
	}
	return a.showPatched(w, c, uses)
}

func (a *Admin) showPatched(w http.ResponseWriter, c *store.Client, uses map[string]time.Time) error {
	return web.JSON(w, http.StatusOK, newClientView(c, uses, a.now()))
}

// mayHold says whether there is something to disable. An unreadable client may well be enabled.
func mayHold(c *store.Client, err error) bool {
	var answered *web.Error // not found
	if err != nil && c == nil {
		return !errors.As(err, &answered)
	}
	return c.Enabled
}

func (a *Admin) disable(r *http.Request, actor, id string) error {
	return a.end(r, act{actor, clientDisabled, clientTarget(id), nil}, func(ctx context.Context) error {
		return a.store.DisableClient(ctx, id)
	})
}

func (a *Admin) enable(r *http.Request, actor string, c *store.Client) error {
	err := a.change(r, act{actor, clientEnabled, clientTarget(c.ID), nil}, func(ctx context.Context) error {
		return a.store.EnableClient(ctx, c.ID)
	})
	c.Enabled = err == nil
	return err
}

// update changes the metadata. If that is as the patch would have it, nothing is written.
func (a *Admin) update(r *http.Request, actor string, c *store.Client, p *patch) (*store.Client, error) {
	in, after := a.rules(), c.Metadata
	changed, err := in.patch(&after, p.object)
	if err != nil || len(changed) == 0 {
		return c, err
	}
	detail := map[string]string{"changed": strings.Join(changed, " ")}
	if in.narrower(c.Metadata, after) {
		detail["tokens"] = "ended"
	}
	var updated *store.Client
	err = a.change(r, act{actor, clientUpdated, clientTarget(c.ID), detail}, func(ctx context.Context) (err error) {
		updated, err = a.store.UpdateClient(ctx, c.ID, func(m *store.ClientMetadata) (newGeneration bool, err error) {
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
	object   object
	disabled *bool // nil: not in it
}

func (p *patch) disables() bool { return p.disabled != nil && *p.disabled }
func (p *patch) enables() bool  { return p.disabled != nil && !*p.disabled }

func (a *Admin) readPatch(r *http.Request) (*patch, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	o, err := readObject(r)
	if err != nil {
		return nil, err
	}
	p := &patch{id: id, object: o}
	if err := p.checkFixed(); err != nil {
		return nil, err
	}
	var scratch store.ClientMetadata // what is wrong with a member does not hang on the others
	if _, err := a.rules().patch(&scratch, o); err != nil {
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
		if id, err := decode[string](raw, "a string"); err != nil || id != p.id {
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
func readDisabled(o object) (bool, error) {
	if !o.has("disabled") {
		return false, nil
	}
	disabled, err := decode[bool](o["disabled"], "true or false")
	if err != nil {
		return false, wrongMember("disabled", err)
	}
	return disabled, nil
}
