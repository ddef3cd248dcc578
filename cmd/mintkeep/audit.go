package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// auditCommand exports the audit trail.
type auditCommand struct {
	Since    string `placeholder:"TIME" help:"None before: a time such as 2027-01-31T18:00:00Z, or a duration such as 24h before now."`
	Actor    string `placeholder:"ACTOR" help:"Only what this actor did."`
	Target   string `placeholder:"TARGET" help:"Only what was done to this: client:billing, key:key_…"`
	Refusals bool   `help:"Who was refused, instead of what was changed."`
}

// Help tells what it is good for.
func (*auditCommand) Help() string {
	return `Prints every event, newest first, one JSON object a line: for jq, for a log store, and for mintkeep fence --audit after a
backup was restored. Export it regularly, to a place other than Redis:

    mintkeep audit --since 25h >> mintkeep-audit.jsonl

What is in it twice does no harm there.

` + adminHelp
}

// Run follows the trail to its end.
func (c *auditCommand) Run(ctx context.Context, p process, admin *api) error {
	filter := filters(map[string]string{"since": c.Since, "actor": c.Actor, "target": c.Target, "limit": "200"})
	if c.Refusals {
		filter.Set("refusals", "true")
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
			return fmt.Errorf("the export is not whole: %w", err)
		}
	}
	return nil
}
