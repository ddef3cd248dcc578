package clients

import (
	"context"
	"errors"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Register registers a client (RFC 7591 §3.1). plain is its secret, to be shown this once; it is empty if the
// operator brought one, the client's authentication method uses none, or the client has a key instead.
func (g *Registry) Register(ctx context.Context, o web.Object, by audit.Actor) (c *store.Client, plain string, err error) {
	if c, plain, err = g.prepare(ctx, o); err != nil {
		return nil, "", err
	}
	what := granted(record(audit.ClientCreated, c.ID, nil), c)
	err = g.Audit.Change(ctx, by, what, func(ctx context.Context) error { return g.Store.CreateClient(ctx, c) })
	if errors.Is(err, store.ErrExists) {
		return nil, "", taken()
	}
	return c, plain, err
}

// CheckRegister says why a registration would be rejected. Nothing is changed.
func (g *Registry) CheckRegister(ctx context.Context, o web.Object) error {
	_, _, err := g.prepare(ctx, o)
	return err
}

// prepare is all of a registration that comes before its record is written.
func (g *Registry) prepare(ctx context.Context, o web.Object) (c *store.Client, plain string, err error) {
	if c, plain, err = g.readRegistration(o); err != nil {
		return nil, "", err
	}
	// The store checks again.
	if _, err := g.Store.Client(ctx, c.ID); err == nil {
		return nil, "", taken()
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, "", err
	}
	return c, plain, g.checkKeySet(ctx, "", c.Metadata.JWKSURI)
}

// granted is the record with what a new client is given.
func granted(what audit.Record, c *store.Client) audit.Record {
	for _, secret := range c.Secrets { // one, or none
		what = what.Granted("secret", secret.ID)
	}
	for _, member := range Members {
		what = what.Granted(member.Name, member.text(&c.Metadata))
	}
	return what
}

func taken() error { return web.Conflict("client_id: is taken") }

func (g *Registry) readRegistration(o web.Object) (c *store.Client, plain string, err error) {
	c = &store.Client{}
	if c.ID, err = newClientID(o); err != nil {
		return nil, "", err
	}
	if c.Metadata, err = g.rules().register(o); err != nil {
		return nil, "", err
	}
	if disabled, err := readDisabled(o); err != nil || disabled {
		return nil, "", wrongMember("disabled", errors.New("must be false: a new client is enabled"))
	}
	c.Metadata.CreatedAt = g.Now().UTC().Truncate(time.Second) // client_id_issued_at has no more
	switch method := c.Metadata.AuthMethod; {
	case bringsSecret(o) && !g.Offers.BySecret(method):
		return nil, "", wrongMember(broughtBy(o), errors.New("is not used with this "+methodMember))
	case bringsSecret(o):
	case !g.Offers.BySecret(method), method == "" && c.Metadata.HasKeys(): // no secret without need
		return c, "", nil
	}
	secret, plain, err := g.newSecret(o, c.ID)
	if err != nil {
		return nil, "", wrongMember(broughtBy(o), err)
	}
	c.Secrets = []store.Secret{secret}
	return c, plain, nil
}

// Client reads a client. No client has an id that cannot be registered.
func (g *Registry) Client(ctx context.Context, id string) (*store.Client, error) {
	if CheckID(id) != nil {
		return nil, errNoClient
	}
	c, err := g.Store.Client(ctx, id)
	return c, noClient(err)
}

var errNoClient = web.NotFound("Client")

// noClient says what was not found.
func noClient(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNoClient
	}
	return err
}

// Delete deletes a client, its secrets and its tokens.
func (g *Registry) Delete(ctx context.Context, id string, by audit.Actor) error {
	return g.revoke(ctx, id, by, audit.ClientDeleted, g.Store.DeleteClient)
}

// RevokeTokens revokes every token that was issued to a client until now.
func (g *Registry) RevokeTokens(ctx context.Context, id string, by audit.Actor) error {
	return g.revoke(ctx, id, by, audit.ClientTokensRevoked, g.Store.RevokeClientTokens)
}

// revoke revokes the whole client, or all its tokens. It reads nothing first, so that it works on a damaged record too.
func (g *Registry) revoke(ctx context.Context, id string, by audit.Actor, action audit.Action, revoke func(context.Context, string, store.Cause) error) error {
	if CheckID(id) != nil {
		return errNoClient
	}
	return noClient(g.Audit.Revoke(ctx, by, record(action, id, nil), func(ctx context.Context) error {
		return revoke(ctx, id, g.Audit.Cause(by, ""))
	}))
}
