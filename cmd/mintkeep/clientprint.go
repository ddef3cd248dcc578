package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

var clientTable = tableOf(func(c adminapi.Client) []string {
	return []string{c.ID, c.Name, c.Scope, enabled(c.Disabled), stamp(&c.CreatedAt)}
}, "CLIENT ID", "NAME", "SCOPE", "STATE", "CREATED")

func enabled(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "enabled"
}

var secretTable = tableOf(func(s adminapi.Secret) []string {
	return []string{s.ID, orEmpty(s.LastFour), stamp(&s.CreatedAt), stamp(s.LastUsedAt), stamp(s.ExpiresAt)}
}, "SECRET ID", "LAST 4", "CREATED", "LAST USED", "EXPIRES")

var publicKeyTable = tableOf(func(k adminapi.ClientKey) []string {
	return []string{orEmpty(k.ID), orEmpty(k.Algorithm), stamp(k.LastUsedAt), k.Thumbprint}
}, "KEY ID", "ALG", "LAST USED", "THUMBPRINT")

// clientAnswer is any answer about one client: registered, shown or changed.
type clientAnswer struct {
	adminapi.RegisteredClient
	Secrets []json.RawMessage `json:"secrets"` // for the tables
	Keys    []json.RawMessage `json:"keys"`
}

// client shows one client, with its secret if the answer has one.
func (p printer) client(body json.RawMessage) error {
	if p.json {
		return p.pretty(body)
	}
	c, err := parsed[clientAnswer](body)
	if err != nil {
		return err
	}
	if err := p.facts(c.facts()...); err != nil {
		return err
	}
	if c.Secret != "" {
		p.note("Store the secret now: it is not shown again.")
	}
	return errors.Join(p.below(c.Secrets, secretTable), p.below(c.Keys, publicKeyTable))
}

// below shows a list that belongs to what is above it, if it has items.
func (p printer) below(items []json.RawMessage, t table) error {
	if len(items) == 0 {
		return nil
	}
	fmt.Fprintln(p.out)
	return p.items(items, t)
}

func (c clientAnswer) facts() []fact {
	facts := []fact{
		{"client id", c.ID},
		{"client secret", c.Secret},
		{"name", c.Name},
		{"scope", c.Scope},
		{"grant types", c.grants()},
		{"auth method", c.AuthMethod},
		{"signing alg", c.SigningAlg},
		{"jwks uri", c.JWKSURI},
		{"token ttl", c.ttl()},
		{"token format", c.TokenFormat},
		{"audience", strings.Join(c.Audience, " ")},
		{"rate limit", c.RateLimit},
		{"managed by", c.ManagedBy},
		{"created", stamp(&c.CreatedAt)},
		{"state", enabled(c.Disabled)},
	}
	if c.SecretExpiresAt > 0 {
		facts = append(facts, fact{"secret expires", time.Unix(c.SecretExpiresAt, 0).UTC().Format(time.RFC3339)})
	}
	return facts
}

// grants tells a client that has none from an answer that does not say.
func (c clientAnswer) grants() string {
	if c.GrantTypes != nil && len(c.GrantTypes) == 0 {
		return "none"
	}
	return strings.Join(c.GrantTypes, " ")
}

func (c clientAnswer) ttl() string {
	if c.TokenTTL == 0 {
		return ""
	}
	return (time.Duration(c.TokenTTL) * time.Second).String()
}
