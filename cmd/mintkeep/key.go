package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/credential"
)

// keyCommand is the operator's work with the API keys of all users.
type keyCommand struct {
	Create keyCreate `cmd:"" help:"Create an API key for a user. It is shown once."`
	List   keyList   `cmd:"" help:"List API keys, newest first."`
	Show   keyShow   `cmd:"" help:"Show one API key."`
	Update keyUpdate `cmd:"" help:"Rename, describe, narrow, limit, disable or enable one API key."`
	Rotate keyRotate `cmd:"" help:"Create a successor of an API key. The current key expires after the overlap."`
	Revoke keyRevoke `cmd:"" help:"Revoke API keys at once and permanently."`
	Report keyReport `cmd:"" help:"Revoke the credentials in a leaked text, read from the standard input."`
	Rules  keyRules  `cmd:"" help:"Print rules by which scanners find credentials."`

	output
}

// Help tells of the environment.
func (*keyCommand) Help() string { return adminHelp }

// keyTarget is the key that a command is about.
type keyTarget struct {
	ID string `arg:"" name:"key-id" help:"The key's id, as key list shows it; not the key itself."`
}

// Validate keeps an empty id from becoming the path of the whole list, and a key
// out of a path, which servers log.
func (t keyTarget) Validate() error {
	switch {
	case t.ID == "":
		return errors.New("the key's id is missing")
	case credential.WellFormed(t.ID):
		return errors.New("this is a key and not its id: key list shows the ids, and key report revokes what has leaked")
	}
	return nil
}

func (t keyTarget) path() string { return resource("/admin/keys", t.ID) }

type keyCreate struct {
	User    string  `required:"" placeholder:"USER" help:"The owner: a user's id or email address."`
	Name    string  `required:"" placeholder:"NAME" help:"What the key is for."`
	Scope   *string `placeholder:"SCOPES" help:"What the key may do, separated by spaces. Default: read, or the first of MINTKEEP_KEY_SCOPES of the server if read is not among them. Empty: all that MINTKEEP_KEY_SCOPES allows."`
	Expires expiry  `default:"90d" placeholder:"WHEN" help:"90d, 720h, a date (from 00:00 UTC), a time (RFC 3339), or never. Default: 90d."`
	keyMembers
	Disable bool `help:"Create it disabled: it is rejected until key update --enable."`
}

// Run creates the key.
func (c *keyCreate) Run(ctx context.Context, admin *api, out printer) error {
	id, err := userTarget{User: c.User}.id(ctx, admin)
	if err != nil {
		return err
	}
	scope, err := c.scope(ctx, admin, id)
	if err != nil {
		return err
	}
	members := map[string]any{"name": c.Name, "scope": scope, "expires_at": c.Expires.from(time.Now())}
	c.addTo(members)
	if c.Disable {
		members["disabled"] = true
	}
	created, err := admin.post(ctx, resource("/admin/users", id, "keys"), members)
	if err != nil {
		return err
	}
	return out.key(created, keyNames{})
}

// scope is what the key may do. By default it is the least that the server offers: it knows its scopes.
func (c *keyCreate) scope(ctx context.Context, admin *api, userID string) (string, error) {
	if c.Scope != nil {
		return *c.Scope, nil
	}
	body, err := admin.get(ctx, resource("/admin/users", userID), nil)
	if err != nil {
		return "", err
	}
	user, err := parsed[adminapi.User](body)
	if err != nil {
		return "", err
	}
	const least = "read"
	offered := strings.Fields(user.KeyScopes)
	if len(offered) == 0 || slices.Contains(offered, least) { // an earlier version does not say what it offers
		return least, nil
	}
	return offered[0], nil
}

// Validate keeps an unset variable in a script from becoming the path of all
// users.
func (c *keyCreate) Validate() error {
	if c.User == "" {
		return errors.New("--user must be a user's id or email address")
	}
	return nil
}

type keyList struct {
	User  string `placeholder:"USER" help:"Only the keys of this user: an id or email address."`
	Query string `short:"q" name:"query" placeholder:"WORD" help:"Filter by the beginning of a word of the id or the name."`
	State string `placeholder:"STATE" help:"active, expiring (within 7 days), disabled, expired, revoked, rotated or leaked; live: the first three; inactive: the others. Default: all."`

	Unused string `placeholder:"DAYS" help:"Only active keys, or those of --state, that were not used for so many days: 90d."`
	Sort   string `placeholder:"BY" help:"uses: the keys with the most uses of the last 7 days. Default: the newest first."`
	wide
	paging
}

// Validate checks what goes with what.
func (c *keyList) Validate() error {
	if c.Sort != "" && c.User+c.Query+c.State+c.Unused+c.Cursor != "" {
		return errors.New("--sort shows the busiest keys of all, and can only be used with --limit and --wide")
	}
	return c.paging.Validate()
}

// Run lists keys.
func (c *keyList) Run(ctx context.Context, admin *api, out printer) error {
	state := c.State
	if state == "inactive" {
		state = "ended" // as the API calls them
	}
	query := filters(map[string]string{"user": c.User, "q": c.Query, "state": state, "unused": c.Unused, "sort": c.Sort})
	return c.list(ctx, admin, out, "/admin/keys", query, keyTable(c.Wide, c.Sort != ""))
}

type keyShow struct{ keyTarget }

// Run shows the key's description.
func (c *keyShow) Run(ctx context.Context, admin *api, out printer) error {
	key, err := admin.get(ctx, c.path(), nil)
	if err != nil {
		return err
	}
	var called keyNames
	if !out.json {
		called = keyNamesOf(ctx, admin, key)
	}
	return out.key(key, called)
}

type keyRotate struct {
	keyTarget
	waiting
	Overlap *time.Duration `placeholder:"DURATION" help:"How long the current key stays valid; 0s revokes it now. Default: 24h."`
}

// Run creates the successor.
func (c *keyRotate) Run(ctx context.Context, p process, admin *api, out printer) error {
	body := map[string]any{}
	if c.Overlap != nil {
		body["overlap"] = c.Overlap.String()
	}
	rotated, err := admin.post(ctx, resource("/admin/keys", c.ID, "rotate"), body)
	if err != nil {
		return err
	}
	return c.after(ctx, p, admin, out, func(out printer) error { return out.key(rotated, keyNames{}) })
}
