package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// State is the outcome of a check.
type State string

// The outcomes.
const (
	OK      State = "ok"
	Warn    State = "warn"
	Fail    State = "fail"
	Unknown State = "unknown"
)

// Check is one line of the report.
type Check struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Found string `json:"found"`
	Fix   string `json:"mend,omitempty"` // what to do about it; empty when there is nothing to do
}

// Options say what to check.
type Options struct {
	// Config is what serve would run with, and Warnings are those of config.Load.
	Config   *config.Config
	Warnings []string
	// Store is opened as Config says, its durability too.
	Store *store.Store
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Examine makes every check that applies, in the order of the report. It needs some seconds, and stops when ctx is done:
// what there was no time for is unknown.
func Examine(ctx context.Context, o Options) []Check {
	if o.Now == nil {
		o.Now = time.Now
	}
	checks := settings(o.Config, o.Warnings)
	checks = append(checks, certificateFile(o.Config, o.Now())...)
	if o.Config.Embedded() {
		return append(checks, Check{
			Name: "redis", State: Warn, Found: "none: the embedded store is in memory, and is lost when the server stops",
			Fix: "set MINTKEEP_REDIS_URL to keep it",
		})
	}
	d, err := o.Store.Diagnose(ctx)
	checks = append(checks, serverCertificates(d, o.Now())...)
	checks = append(checks, reach(d, err))
	if err != nil || shutOut(d) {
		return append(checks, sentinels(d.Sentinels)...)
	}
	if wrong := perNode(d.Nodes, len(d.Nodes) > 1, kind(d)); len(wrong) > 0 {
		return append(checks, wrong...) // further checks would mislead
	}
	checks = append(checks, setUp(d)...)
	checks = append(checks, revocations(o.Config.RevokeDurability, durable(ctx, o.Store))...)
	checks = append(checks, lateWrites(ctx, o.Store, d.User))
	checks = append(checks, feed(ctx, o)...)
	return append(checks, data(ctx, o)...)
}

// setUp checks the setup of Redis: first what INFO tells, then the rest.
func setUp(d *redisdb.Diagnosis) []Check {
	var telling, silent, answering []redisdb.Node
	for _, n := range d.Nodes {
		if n.Info != nil {
			telling = append(telling, n)
		} else {
			silent = append(silent, n)
		}
		if n.Answers() {
			answering = append(answering, n)
		}
	}
	several := len(d.Nodes) > 1
	checks := perNode(silent, several, silence(d.User))
	for _, check := range []func(redisdb.Node) Check{version, loading, persistence, eviction, memory, replication(d)} {
		checks = append(checks, perNode(telling, several, check)...)
	}
	checks = append(checks, cluster(d)...)
	checks = append(checks, sentinels(d.Sentinels)...)
	checks = append(checks, perNode(answering, several, clock(d.User))...)
	return append(checks, perNode(answering, several, rights(d.User))...)
}

// perNode makes a check of each server; several is whether there are others. If all of many have the same result, it is
// one line; otherwise each has its own, with its address. A check without a name is left out.
func perNode(nodes []redisdb.Node, several bool, check func(redisdb.Node) Check) []Check {
	var checks []Check
	alike := len(nodes) > 1
	for _, n := range nodes {
		c := check(n)
		alike = alike && c == check(nodes[0])
		if c.Name == "" {
			continue
		}
		if several {
			c.Found = n.Addr + ": " + c.Found
		}
		checks = append(checks, c)
	}
	if alike && len(checks) > 0 {
		c := check(nodes[0])
		c.Found = fmt.Sprintf("%d masters: %s", len(nodes), c.Found)
		return []Check{c}
	}
	return checks
}
