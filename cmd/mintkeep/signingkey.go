package main

import (
	"context"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

// signingKeyCommand is the operator's work with the keys that sign JWTs.
type signingKeyCommand struct {
	List   signingKeyList   `cmd:"" help:"List the signing keys: next, active and retired."`
	Rotate signingKeyRotate `cmd:"" help:"Sign with the next key from now on. The active key is retired, and published until its last token has expired."`

	output
}

// Help tells of the environment.
func (*signingKeyCommand) Help() string { return adminHelp }

var signingKeyTable = tableOf(func(k adminapi.SigningKey) []string {
	return []string{
		k.ID, k.Algorithm, k.State, stamp(&k.CreatedAt), stamp(&k.PublishedAt), stamp(k.ActivatedAt), stamp(k.RetiredAt), stamp(k.RemovedAt),
	}
}, "KEY ID", "ALG", "STATE", "CREATED", "PUBLISHED", "ACTIVE SINCE", "RETIRED", "REMOVED")

type signingKeyList struct{}

// Run lists the keys.
func (*signingKeyList) Run(ctx context.Context, admin *api, out printer) error {
	list, err := admin.page(ctx, "/admin/signing-keys", nil)
	if err != nil {
		return err
	}
	return out.page(list, signingKeyTable)
}

type signingKeyRotate struct {
	Compromised bool `xor:"leak" help:"The active key has leaked: replace it and the next key at once. Services that verify offline then reject every JWT that it signed."`
	All         bool `xor:"leak" help:"All signing keys may have leaked: as --compromised, and drop the retired ones too."`
	Yes         bool `help:"Do not ask for confirmation."`
}

// Run rotates. A rotation without a leak breaks no client, and asks nothing.
func (c *signingKeyRotate) Run(ctx context.Context, p process, admin *api, out printer) error {
	body := map[string]any{}
	what := "This replaces the active and the next signing key at once. Services that verify offline reject every JWT that the " +
		"active key signed, within 30 seconds; introspection still calls these tokens active."
	switch {
	case c.All:
		body["compromised"] = "all"
		what = "This replaces every signing key at once. Services that verify offline reject every JWT that was issued until now, " +
			"within 30 seconds; introspection still calls these tokens active."
	case c.Compromised:
		body["compromised"] = true
	}
	if len(body) > 0 && !c.Yes {
		if err := confirm(p, what); err != nil {
			return err
		}
	}
	keys, err := admin.post(ctx, "/admin/signing-keys/rotate", body)
	if err != nil {
		return err
	}
	list, err := parsed[page](keys)
	if err != nil {
		return err
	}
	list.body = keys
	return out.page(list, signingKeyTable)
}
