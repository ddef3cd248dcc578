package clients

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Register registers a client (RFC 7591 §3.1). plain is its secret, to be shown this once; it is empty if the
// operator brought one, or the client's authentication method uses none.
func (g *Registry) Register(r *http.Request, o web.Object, actor string) (c *store.Client, plain string, err error) {
	c, plain, err = g.readRegistration(o)
	if err != nil {
		return nil, "", err
	}
	// Looked at before the record is made; that it stays so is for the store to see.
	if _, err := g.Store.Client(r.Context(), c.ID); err == nil {
		return nil, "", taken()
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, "", err
	}
	var detail map[string]string
	for _, secret := range c.Secrets { // one, or none
		detail = map[string]string{"secret": secret.ID}
	}
	err = g.change(r, web.Act{Actor: actor, Action: clientCreated, Target: ClientTarget(c.ID), Detail: detail}, func(ctx context.Context) error {
		return g.Store.CreateClient(ctx, c)
	})
	if errors.Is(err, store.ErrExists) {
		return nil, "", taken()
	}
	return c, plain, err
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
		return nil, "", wrongMember("disabled", errors.New("a client is registered enabled"))
	}
	c.Metadata.CreatedAt = g.Now().UTC().Truncate(time.Second) // client_id_issued_at has no more
	if !g.Offers.BySecret(c.Metadata.AuthMethod) {
		if o.Has("client_secret") {
			return nil, "", wrongMember("client_secret", errors.New("is not used by this token_endpoint_auth_method"))
		}
		return c, "", nil
	}
	secret, plain, err := g.newSecret(o)
	if err != nil {
		return nil, "", wrongMember("client_secret", err)
	}
	c.Secrets = []store.Secret{secret}
	return c, plain, nil
}

// Client reads a client. An id that cannot be registered is nobody's.
func (g *Registry) Client(ctx context.Context, id string) (*store.Client, error) {
	if checkID(id) != nil {
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

// DeleteClient ends a client, its secrets and its tokens for good.
func (g *Registry) DeleteClient(r *http.Request, id, actor string) error {
	return g.endOf(r, id, actor, clientDeleted, g.Store.DeleteClient)
}

// RevokeTokens ends every token that was issued to a client until now.
func (g *Registry) RevokeTokens(r *http.Request, id, actor string) error {
	return g.endOf(r, id, actor, clientTokensRevoked, g.Store.RevokeClientTokens)
}

// endOf is an end of the whole client, or of all its tokens. It reads nothing first, so that a damaged
// record can be ended too.
func (g *Registry) endOf(r *http.Request, id, actor, action string, end func(context.Context, string, store.Cause) error) error {
	if checkID(id) != nil {
		return errNoClient
	}
	return noClient(g.end(r, web.Act{Actor: actor, Action: action, Target: ClientTarget(id)}, func(ctx context.Context) error {
		return end(ctx, id, g.cause(actor))
	}))
}
