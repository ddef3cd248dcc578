package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
)

// named is how many are named one by one.
const named = 5

// secrets warns of clients that are enabled and have no active secret. Without any there is no check.
func secrets(locked []string) []Check {
	if len(locked) == 0 {
		return nil
	}
	return []Check{{
		Name: "secrets", State: Warn,
		Found: fmt.Sprintf("%d without an active secret, which cannot authenticate: %s", len(locked), firstOf(locked)),
		Fix:   "create a new secret with mintkeep client rotate ID; or, if the client is not in use, run mintkeep client disable ID",
	}}
}

// logTime is how long the audit log is read. A full one takes some seconds.
const logTime = 30 * time.Second

// lost compares the store with what its audit log says exists.
func lost(ctx context.Context, s *store.Store) Check {
	c := Check{Name: "audit log", State: OK}
	ctx, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	events, err := audit.All(ctx, s)
	if err != nil {
		c.State, c.Found = Unknown, "not read: "+cause(err)
		return c
	}
	found, err := audit.FindLost(ctx, s, events)
	if err != nil {
		c.State, c.Found = Unknown, "not compared with the records: "+cause(err)
		return c
	}
	var names []string
	for _, l := range found {
		if !strings.HasPrefix(l.Target, audit.KeyTarget("")) { // what became of a key may have been purged
			names = append(names, nameOf(l))
		}
	}
	c.Found = fmt.Sprintf("%d events; the clients, users and secrets that it knows are there", len(events))
	if len(names) > 0 {
		c.State = Warn
		c.Found = fmt.Sprintf("says that these exist, and Redis has lost them: %s", firstOf(names))
		c.Fix = "after a restore: run mintkeep fence with the newest export of the audit log, which has what was deleted since the backup; " +
			"else restore a backup (docs/operations.md, Restore), or create them again, and rotate clients whose secret is lost"
	}
	return c
}

// nameOf is what is lost, with the email of a user, which no record has any more.
func nameOf(l audit.Lost) string {
	name := strings.TrimSpace(l.Target + " " + l.Secret)
	if email := l.Event.Detail["email"]; email != "" {
		name += " (" + email + ")"
	}
	return name
}

func firstOf(names []string) string {
	if len(names) > named {
		return strings.Join(names[:named], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
