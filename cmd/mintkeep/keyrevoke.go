package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

type keyRevoke struct {
	IDs []string `arg:"" name:"key-id" help:"The ids of the keys, at most 100, as key list shows them; not the keys themselves."`
	waiting
	Reason string `placeholder:"TEXT" help:"Why, for the owner and the audit log."`
}

// Validate checks the ids.
func (c *keyRevoke) Validate() error {
	for _, id := range c.IDs {
		if err := (keyTarget{id}).Validate(); err != nil {
			return err
		}
	}
	if len(c.IDs) > adminapi.MaxRevokedKeys {
		return fmt.Errorf("at most %d keys can be revoked at once", adminapi.MaxRevokedKeys)
	}
	return nil
}

// Run revokes one key, or several: if one of those does not exist, none is revoked.
func (c *keyRevoke) Run(ctx context.Context, p process, admin *api, out printer) error {
	if len(c.IDs) > 1 {
		return c.after(ctx, p, admin, out, func(out printer) error { return c.several(ctx, admin, out) })
	}
	key := keyTarget{c.IDs[0]}
	if err := admin.delete(ctx, key.path(), filters(map[string]string{"reason": c.Reason})); err != nil {
		return err
	}
	return c.after(ctx, p, admin, out, func(out printer) error { return out.done("Revoked key %s", key.ID) })
}

func (c *keyRevoke) several(ctx context.Context, admin *api, out printer) error {
	body := map[string]any{"ids": c.IDs}
	if c.Reason != "" {
		body["reason"] = c.Reason
	}
	answer, err := admin.post(ctx, "/admin/keys/revoke", body)
	if err != nil {
		return err
	}
	if out.json {
		return out.pretty(answer)
	}
	revoked, err := parsed[adminapi.RevokedKeys](answer)
	if err != nil {
		return err
	}
	for _, key := range revoked.Keys {
		if slices.Contains(keyUsable, key.State) {
			err = out.done("Revoked key %s", key.ID)
		} else {
			err = out.done("Key %s could not be used any more: its state was %s", key.ID, key.State)
		}
		if err != nil {
			return err
		}
	}
	return out.done("Revoked %d of %d keys", revoked.Revoked, len(revoked.Keys))
}

// keyUsable are the states of keys that can be used, now or again.
var keyUsable = []string{"active", "expiring", "disabled"}
