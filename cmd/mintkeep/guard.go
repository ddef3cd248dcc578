package main

import (
	"context"
	"strconv"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

// guardCommand shows the guards to operators.
type guardCommand struct {
	List guardList `cmd:"" help:"List the guards that have polled within the last minute, or within their lease if that is longer, with the age of what each knows."`

	output
}

// Help says what a guard is, and names the environment.
func (*guardCommand) Help() string {
	return `A guard is a service that keeps answers of introspection in memory, and polls the server
to learn what was revoked. A guard is late when what it knows is older than its lease: it
does not answer from memory then, and asks the server at each call.

` + adminHelp
}

type guardList struct {
	State string `placeholder:"STATE" help:"current or late. Default: both."`
	paging
}

var guardTable = tableOf(func(g adminapi.Guard) []string {
	return []string{
		g.Instance, g.ClientID, g.Version, g.State, millis(g.LagMS), millis(g.LeaseMS), strconv.FormatInt(g.Entries, 10),
		strconv.FormatInt(g.ServedPerMinute, 10), strconv.FormatInt(g.RefusedPerMinute, 10), stamp(&g.LastHeardAt),
	}
}, "INSTANCE", "CLIENT ID", "VERSION", "STATE", "LAG", "LEASE", "ENTRIES", "SERVED/MIN", "REJECTED/MIN", "LAST HEARD")

// millis is a duration of milliseconds as the server sent it; empty: none.
func millis(ms *int64) string {
	if ms == nil {
		return ""
	}
	return strconv.FormatInt(*ms, 10) + "ms"
}

// Run lists the guards.
func (c *guardList) Run(ctx context.Context, admin *api, out printer) error {
	return c.list(ctx, admin, out, "/admin/guards", filters(map[string]string{"state": c.State}), guardTable)
}
