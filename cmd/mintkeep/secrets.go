package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/credential"
)

type clientRotate struct {
	target
	waiting
	Overlap *time.Duration `placeholder:"DURATION" help:"How long the current secret stays valid; 0s revokes it now. Default: 24h."`
}

// Run creates a second secret.
func (c *clientRotate) Run(ctx context.Context, p process, admin *api, out printer) error {
	body := map[string]any{}
	if c.Overlap != nil {
		body["overlap"] = c.Overlap.String()
	}
	rotated, err := admin.post(ctx, c.path("secrets"), body)
	if err != nil {
		return c.hintOfMethod(err)
	}
	return c.after(ctx, p, admin, out, func(out printer) error { return out.rotated(c, rotated) })
}

// hintOfMethod adds the command by which a client that authenticates by a key comes to use a secret.
func (c *clientRotate) hintOfMethod(err error) error {
	var rejected *apiError
	if errors.As(err, &rejected) && strings.Contains(rejected.Description, "uses no secret") {
		return fmt.Errorf("%w; that is: mintkeep client update %s --clear auth-method", err, printable(c.ID))
	}
	return err
}

// rotated shows a second secret, and what becomes of the one before.
func (p printer) rotated(c *clientRotate, body json.RawMessage) error {
	if p.json {
		return p.pretty(body)
	}
	s, err := parsed[adminapi.RotatedSecret](body)
	if err != nil {
		return err
	}
	previous := "none"
	if s.Previous != nil {
		previous = s.Previous.ID + ", expires " + stamp(&s.Previous.ExpiresAt)
		if c.Overlap != nil && *c.Overlap == 0 {
			previous = s.Previous.ID + ", revoked"
		}
	}
	if err := p.facts(
		fact{"client id", c.ID},
		fact{"secret id", s.ID},
		fact{"client secret", s.Secret},
		fact{"created", stamp(&s.CreatedAt)},
		fact{"old secret", previous},
	); err != nil {
		return err
	}
	if s.Secret != "" {
		p.note("Store the secret now: it is not shown again.")
	}
	return nil
}

type clientSecrets struct{ target }

// Run lists the client's secrets.
func (c *clientSecrets) Run(ctx context.Context, admin *api, out printer) error {
	secrets, err := admin.get(ctx, c.path("secrets"), nil)
	if err != nil {
		return err
	}
	if out.json {
		return out.pretty(secrets)
	}
	list, err := parsed[page](secrets)
	if err != nil {
		return err
	}
	return out.items(list.Items, secretTable)
}

type clientRevokeSecret struct {
	target
	waiting
	Secret string `arg:"" name:"secret-id" help:"The secret's id, as client secrets lists it; not the secret itself."`
	Yes    bool   `help:"Do not ask for confirmation. It asks where the newest secret is to be revoked, and an older one stays."`
}

// Validate keeps an empty id from becoming the path of all secrets.
func (c *clientRevokeSecret) Validate() error {
	switch {
	case c.Secret == "":
		return errors.New("the secret's id is missing")
	case credential.WellFormed(c.Secret):
		return errors.New("this is a secret, and not its id: mintkeep client secrets lists the ids, and mintkeep key report revokes a secret that has leaked")
	}
	return c.target.Validate()
}

// Run revokes one secret.
func (c *clientRevokeSecret) Run(ctx context.Context, p process, admin *api, out printer) error {
	if older := c.older(ctx, admin); older != "" && !c.Yes {
		err := confirm(p, fmt.Sprintf("%s is the newest secret of client %s, and the older %s stays active. After a rotation it is the older one that is to be revoked.",
			printable(c.Secret), printable(c.ID), printable(older)))
		if err != nil {
			return err
		}
	}
	if err := admin.delete(ctx, c.path("secrets", c.Secret), nil); err != nil {
		return err
	}
	return c.after(ctx, p, admin, out, func(out printer) error { return out.done("Revoked secret %s of client %s", c.Secret, c.ID) })
}

// older is an older secret that is active while the newest one is to be revoked; empty if there is none. A server that does not
// tell does not keep a secret from being revoked.
func (c *clientRevokeSecret) older(ctx context.Context, admin *api) string {
	body, err := admin.get(ctx, c.path("secrets"), nil)
	if err != nil {
		return ""
	}
	list, err := parsed[adminapi.Page[adminapi.Secret]](body)
	if err != nil {
		return ""
	}
	byAge := slices.SortedStableFunc(slices.Values(list.Items), func(a, b adminapi.Secret) int { return b.CreatedAt.Compare(a.CreatedAt) })
	if len(byAge) < 2 || byAge[0].ID != c.Secret {
		return ""
	}
	return byAge[1].ID
}
