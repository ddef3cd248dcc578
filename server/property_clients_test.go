package server_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/mintkeep/mintkeep/server/servertest"
)

// What the machine of TestProperty does to clients and to their tokens.

func (m *machine) client(rt *rapid.T) *modelClient {
	return one(rt, "client", filter(m.clients, func(c *modelClient) bool { return !c.gone }))
}

func (m *machine) patchClient(rt *rapid.T, c *modelClient, change servertest.M) {
	m.either(rt).Admin(m.t, "PATCH", "/admin/clients/"+c.ID, change).Want(m.t, 200, "")
}

const tokenLife = 5 * time.Minute

// RegisterClient registers a new one, or one under an id that was deleted.
func (m *machine) RegisterClient(rt *rapid.T) {
	c := &modelClient{format: rapid.SampledFrom([]string{"jwt", "opaque"}).Draw(rt, "format")}
	if gone := filter(m.clients, func(c *modelClient) bool { return c.gone }); len(gone) > 0 {
		c = gone[0]
	} else {
		if len(m.clients) >= 3 {
			rt.Skip("enough clients")
		}
		c.ID = m.name("client-")
		m.clients = append(m.clients, c)
	}
	c.gone, c.disabled, c.scope = false, false, "read write"
	c.Client = m.either(rt).Register(m.t, servertest.M{
		"client_id": c.ID, "scope": c.scope, "access_token_format": c.format, "access_token_ttl": int(tokenLife / time.Second),
	})
}

// DisableClient revokes all its tokens.
func (m *machine) DisableClient(rt *rapid.T) {
	c := m.client(rt)
	m.patchClient(rt, c, servertest.M{"disabled": true})
	c.disabled = true
	c.life++
}

// EnableClient makes none of them active again.
func (m *machine) EnableClient(rt *rapid.T) {
	c := one(rt, "disabled client", filter(m.clients, func(c *modelClient) bool { return c.disabled && !c.gone }))
	m.patchClient(rt, c, servertest.M{"disabled": false})
	c.disabled = false
}

// RevokeClientTokens revokes those issued until now.
func (m *machine) RevokeClientTokens(rt *rapid.T) {
	c := m.client(rt)
	m.either(rt).Admin(m.t, "POST", "/admin/clients/"+c.ID+"/revoke-tokens", nil).Want(m.t, 204, "")
	c.life++
}

// TakeScope takes a scope away, or gives it back.
func (m *machine) TakeScope(rt *rapid.T) {
	c := m.client(rt)
	if c.scope == "read" {
		c.scope = "read write"
	} else {
		c.scope = "read"
		c.life++
	}
	m.patchClient(rt, c, servertest.M{"scope": c.scope})
}

// DeleteClient deletes it and revokes its tokens; the id may be registered again.
func (m *machine) DeleteClient(rt *rapid.T) {
	c := m.client(rt)
	m.either(rt).Admin(m.t, "DELETE", "/admin/clients/"+c.ID, nil).Want(m.t, 204, "")
	c.gone = true
	c.life++
}

// IssueToken issues one, unless the client is disabled.
func (m *machine) IssueToken(rt *rapid.T) {
	c, s := m.client(rt), m.either(rt)
	if c.disabled {
		s.Post(m.t, "/oauth/token", grantCC, c.Basic(), m.from()).Want(m.t, 401, "invalid_client")
		return
	}
	m.add(&modelCredential{
		plain: s.Token(m.t, c.Client), client: c, life: c.life, made: "a token (" + c.format + ")",
		expires: m.b.Clock.Now().Truncate(time.Second).Add(tokenLife),
	})
}

// RevokeToken revokes one.
func (m *machine) RevokeToken(rt *rapid.T) {
	c := one(rt, "token", m.tokens(func(c *modelCredential) bool { return !c.client.gone && !c.client.disabled }))
	m.either(rt).Revoke(m.t, c.client.Client, c.plain).Want(m.t, 200, "")
	c.end("revoked", m.b.Clock.Now())
}

// RevokeForeignToken has another client try, in vain.
func (m *machine) RevokeForeignToken(rt *rapid.T) {
	c := one(rt, "token", m.tokens(m.live))
	m.either(rt).Revoke(m.t, m.rs, c.plain).Want(m.t, 400, "invalid_grant")
}
