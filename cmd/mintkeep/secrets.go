package main

import (
	"context"
	"errors"
	"time"
)

type clientRotate struct {
	target
	Overlap *time.Duration `placeholder:"DURATION" help:"How long the current secret stays valid; 0s revokes it now. Default: 24h."`
}

// Run creates a second secret.
func (c *clientRotate) Run(ctx context.Context, admin *api, out printer) error {
	body := map[string]any{}
	if c.Overlap != nil {
		body["overlap"] = c.Overlap.String()
	}
	rotated, err := admin.post(ctx, c.path("secrets"), body)
	if err != nil {
		return err
	}
	return out.client(rotated)
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
	Secret string `arg:"" name:"secret-id" help:"The secret's id, as client secrets lists it; not the secret itself."`
}

// Validate keeps an empty id from becoming the path of all secrets.
func (c *clientRevokeSecret) Validate() error {
	if c.Secret == "" {
		return errors.New("the secret's id is missing")
	}
	return c.target.Validate()
}

// Run revokes one secret.
func (c *clientRevokeSecret) Run(ctx context.Context, admin *api, out printer) error {
	if err := admin.delete(ctx, c.path("secrets", c.Secret), nil); err != nil {
		return err
	}
	return out.done("Revoked secret %s of client %s", c.Secret, c.ID)
}
