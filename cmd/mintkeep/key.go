package main

import (
	"context"
	"errors"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
)

// keyCommand is the operator's work with everybody's API keys.
type keyCommand struct {
	Create keyCreate `cmd:"" help:"Make an API key for a person. It is shown once."`
	List   keyList   `cmd:"" help:"List API keys, newest first."`
	Show   keyShow   `cmd:"" help:"Show what is known of one API key."`
	Revoke keyRevoke `cmd:"" help:"End one API key at once and for good."`
	Report keyReport `cmd:"" help:"End the credentials in a leaked text, read from the standard input."`
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
		return errors.New("this is a key and not its id: key list has the ids, and key report ends what has leaked")
	}
	return nil
}

func (t keyTarget) path() string { return resource("/admin/keys", t.ID) }

type keyCreate struct {
	User    string  `required:"" placeholder:"USER" help:"Whose key it is: the person's id or email address."`
	Name    string  `required:"" placeholder:"NAME" help:"What it is for, for people."`
	Scope   *string `placeholder:"SCOPES" help:"What it may do, separated by spaces. Default: all that developers may give."`
	Expires expiry  `default:"90d" placeholder:"WHEN" help:"90d, 720h, a date (from 00:00 UTC), a time (RFC 3339), or never. Default: 90d."`
}

// Run makes the key.
func (c *keyCreate) Run(ctx context.Context, admin *api, out printer) error {
	path, err := person{User: c.User}.path(ctx, admin, "keys")
	if err != nil {
		return err
	}
	members := map[string]any{"name": c.Name, "expires_at": c.Expires.from(time.Now())}
	if c.Scope != nil {
		members["scope"] = *c.Scope
	}
	made, err := admin.post(ctx, path, members)
	if err != nil {
		return err
	}
	return out.key(made)
}

// Validate keeps an unset variable in a script from becoming the path of all
// people.
func (c *keyCreate) Validate() error {
	if c.User == "" {
		return errors.New("--user must be a person's id or email address")
	}
	return nil
}

type keyList struct {
	User  string `placeholder:"USER" help:"Only the keys of this person: an id or email address."`
	Query string `short:"q" name:"query" placeholder:"PREFIX" help:"Only keys whose id or name begins so."`
	State string `placeholder:"STATE" help:"live or ended. Default: both."`
	paging
}

// Run lists keys.
func (c *keyList) Run(ctx context.Context, admin *api, out printer) error {
	user, err := person{User: c.User}.id(ctx, admin)
	if err != nil {
		return err
	}
	query := filters(map[string]string{"user": user, "q": c.Query, "state": c.State})
	return c.list(ctx, admin, out, "/admin/keys", query, keyTable)
}

type keyShow struct{ keyTarget }

// Run shows the key's description.
func (c *keyShow) Run(ctx context.Context, admin *api, out printer) error {
	key, err := admin.get(ctx, c.path(), nil)
	if err != nil {
		return err
	}
	return out.key(key)
}

type keyRevoke struct {
	keyTarget
	Reason string `placeholder:"TEXT" help:"Why, for the owner and the audit trail."`
}

// Run ends the key.
func (c *keyRevoke) Run(ctx context.Context, admin *api, out printer) error {
	if err := admin.delete(ctx, c.path(), filters(map[string]string{"reason": c.Reason})); err != nil {
		return err
	}
	return out.done("key %s has ended", c.ID)
}
