package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// clientView is what people are shown of a client.
type clientView struct {
	ID           string            `json:"client_id"`
	Secret       string            `json:"client_secret"`
	Name         string            `json:"client_name"`
	Scope        string            `json:"scope"`
	GrantTypes   *[]string         `json:"grant_types"`
	AuthMethod   string            `json:"token_endpoint_auth_method"`
	TokenTTL     int64             `json:"access_token_ttl"`
	TokenFormat  string            `json:"access_token_format"`
	Audience     []string          `json:"audience"`
	RateLimit    string            `json:"rate_limit"`
	Disabled     bool              `json:"disabled"`
	CreatedAt    string            `json:"created_at"`
	Secrets      []json.RawMessage `json:"secrets"`
	SecretExpiry int64             `json:"client_secret_expires_at"`
}

var clientTable = tableOf(func(c clientView) []string {
	return []string{c.ID, c.Name, c.Scope, enabled(c.Disabled), c.CreatedAt}
}, "CLIENT ID", "NAME", "SCOPE", "STATE", "CREATED")

func enabled(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "enabled"
}

type secretView struct {
	ID         string `json:"id"`
	CreatedAt  string `json:"created_at"`
	LastUsedAt string `json:"last_used_at"`
	ExpiresAt  string `json:"expires_at"`
	Last4      string `json:"last_four"`
}

var secretTable = tableOf(func(s secretView) []string {
	return []string{s.ID, s.Last4, s.CreatedAt, s.LastUsedAt, s.ExpiresAt}
}, "SECRET ID", "ENDS WITH", "CREATED", "LAST USED", "EXPIRES")

// client shows one client, with its secret if the answer has one.
func (p printer) client(body json.RawMessage) error {
	if p.json {
		return p.pretty(body)
	}
	c, err := parsed[clientView](body)
	if err != nil {
		return err
	}
	if err := p.facts(c.facts()...); err != nil {
		return err
	}
	if c.Secret != "" {
		p.note("Store the secret now: it is not shown again.")
	}
	if len(c.Secrets) == 0 {
		return nil
	}
	fmt.Fprintln(p.out)
	return p.items(c.Secrets, secretTable)
}

func (c clientView) facts() []fact {
	facts := []fact{
		{"client id", c.ID},
		{"client secret", c.Secret},
		{"name", c.Name},
		{"scope", c.Scope},
		{"grant types", c.grants()},
		{"auth method", c.AuthMethod},
		{"token ttl", c.ttl()},
		{"token format", c.TokenFormat},
		{"audience", strings.Join(c.Audience, " ")},
		{"rate limit", c.RateLimit},
		{"created", c.CreatedAt},
	}
	if c.Secret == "" {
		facts = append(facts, fact{"state", enabled(c.Disabled)})
	}
	if c.SecretExpiry > 0 {
		facts = append(facts, fact{"secret expires", time.Unix(c.SecretExpiry, 0).UTC().Format(time.RFC3339)})
	}
	return facts
}

// grants tells a client that has none from an answer that does not say.
func (c clientView) grants() string {
	switch {
	case c.GrantTypes == nil:
		return ""
	case len(*c.GrantTypes) == 0:
		return "none"
	}
	return strings.Join(*c.GrantTypes, " ")
}

func (c clientView) ttl() string {
	if c.TokenTTL == 0 {
		return ""
	}
	return (time.Duration(c.TokenTTL) * time.Second).String()
}
