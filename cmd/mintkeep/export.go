package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mintkeep/mintkeep/server/declare"
	"github.com/mintkeep/mintkeep/server/oauth"
)

// exportCommand writes what a server has as apply reads it.
type exportCommand struct {
	Owner   string `placeholder:"OWNER" help:"Only what has this owner. Default: a document for each owner."`
	Unowned bool   `help:"Also what has no owner, as if it had that of --owner: for apply --adopt."`
}

// Help tells what is not in it.
func (*exportCommand) Help() string {
	return `Prints YAML that mintkeep apply -f - reads. It has no secret and no digest of one: a client that is created from it gets a new
secret. What has no owner is left out. To begin with declarations, let one owner adopt it:

    mintkeep export --owner=platform --unowned > clients.yaml
    mintkeep apply -f clients.yaml --adopt

` + adminHelp
}

// Validate checks that there is an owner for what has none.
func (c *exportCommand) Validate() error {
	if c.Unowned && c.Owner == "" {
		return errors.New("--unowned needs --owner")
	}
	return nil
}

// Run writes the file.
func (c *exportCommand) Run(ctx context.Context, p process, admin *api) error {
	live, err := admin.live(ctx, true)
	if err != nil {
		return err
	}
	if c.Owner != "" {
		live = c.filtered(live)
	}
	text, err := declare.Export(live, oauth.Offers(oauth.AuthMethods()...), c.Owner)
	if err != nil {
		return err
	}
	switch {
	case len(text) > 0:
	case c.Owner == "":
		fmt.Fprintln(p.stderr, "Nothing has an owner. To export what has none: mintkeep export --owner=OWNER --unowned")
	default:
		fmt.Fprintf(p.stderr, "Nothing has the owner %s.\n", c.Owner)
	}
	_, err = p.stdout.Write(text)
	return err
}

// filtered is what --owner and --unowned leave.
func (c *exportCommand) filtered(live declare.Live) (of declare.Live) {
	wanted := func(managedBy string) bool { return managedBy == c.Owner || managedBy == "" && c.Unowned }
	for i := range live.Clients {
		if wanted(live.Clients[i].ManagedBy) {
			of.Clients = append(of.Clients, live.Clients[i])
		}
	}
	for i := range live.Users {
		if wanted(live.Users[i].ManagedBy) {
			of.Users = append(of.Users, live.Users[i])
		}
	}
	return of
}
