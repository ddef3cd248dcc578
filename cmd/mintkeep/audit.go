package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// auditCommand exports the audit log.
type auditCommand struct {
	Since    string `placeholder:"TIME" help:"Only events since this time or duration: 2027-01-31T18:00:00Z, or 24h."`
	Actor    string `placeholder:"ACTOR" help:"Only events of this actor: client:billing, or a user by email address, ada@example.com."`
	Target   string `placeholder:"TARGET" help:"Only events about this target: client:billing, key:key_…, or a user by email address."`
	Refusals bool   `help:"Rejected requests instead of changes."`
	Follow   bool   `short:"f" help:"Print events as they are recorded, oldest first, until you interrupt the command. With --since, begin there."`
}

// Help tells what it is good for.
func (*auditCommand) Help() string {
	return `Prints every event, newest first, one JSON object a line: for jq, for a log store, and for mintkeep fence --audit after a
backup was restored. Export it regularly, to another place than Redis:

    mintkeep audit --since 25h >> mintkeep-audit.jsonl

An event that is exported twice does no harm there.

With --follow it asks the server once a second, and goes on when the server cannot be reached for a while.

` + adminHelp
}

// Run exports all pages.
func (c *auditCommand) Run(ctx context.Context, p process, admin *api) error {
	filter := filters(map[string]string{"since": c.Since, "actor": c.Actor, "target": c.Target, "limit": "200"})
	if c.Refusals {
		filter.Set("refusals", "true")
	}
	if c.Follow {
		return newFollower(p, admin, filter).run(ctx)
	}
	for page, err := range admin.pages(ctx, "/admin/audit", filter) {
		if err != nil {
			return err
		}
		var lines bytes.Buffer
		for _, event := range page.Items {
			if err := json.Compact(&lines, event); err != nil {
				return err
			}
			lines.WriteByte('\n')
		}
		if _, err := p.stdout.Write(lines.Bytes()); err != nil {
			return fmt.Errorf("the export is incomplete: %w", err)
		}
	}
	return nil
}
