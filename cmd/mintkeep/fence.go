package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/fence"
	"github.com/mintkeep/mintkeep/store"
)

// fenceCommand makes a restored Redis safe to serve from.
type fenceCommand struct {
	Audit  []string `placeholder:"FILE" sep:"none" help:"An export of the audit log, newer than the backup; - is the standard input. May be given more than once."`
	Since  moment   `placeholder:"TIME" help:"Only events since this date or time (RFC 3339)."`
	DryRun bool     `help:"Show what would be done, and change nothing."`
	JSON   bool     `name:"json" help:"Print the result as JSON, for scripts."`
	Empty  bool     `help:"Accept an empty Redis and start over."`
	Yes    bool     `help:"Do not ask for confirmation."`
}

// Help tells when to run it.
func (*fenceCommand) Help() string {
	return `For a Redis that was restored from a backup, or that came back empty. A replica that ran before the restore notices that
data is missing: it is not ready, and answers 503, until this was run. The command connects to Redis, with the
MINTKEEP_REDIS_URL and the MINTKEEP_REVOKE_DURABILITY of the server, and may be run more than once.

It revokes every token of every client, and clients then fetch new ones, and every session of the dashboard. From the audit
log it replays which keys, secrets, clients and users were revoked, deleted or disabled since the backup:

    mintkeep fence --audit mintkeep-audit.jsonl

An export is what mintkeep audit writes, what the dashboard's audit page downloads, or pages of GET /admin/audit. Without
one, what was revoked after the backup is active again: revoke it manually.`
}

// Run fences.
func (c *fenceCommand) Run(ctx context.Context, p process) error {
	cfg, warnings, err := config.Kept(config.Source{Environ: p.environ})
	warn(p, warnings)
	if err != nil {
		return usageError{err}
	}
	plan, unread, err := c.plan(p)
	if err != nil {
		return err
	}
	warn(p, unread.lines())
	s, err := store.Open(store.Options{
		URL: cfg.RedisURL.Reveal(), Durability: cfg.RevokeDurability, Feed: cfg.Feed, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return usageError{err}
	}
	defer s.Close()
	if err := c.confirm(ctx, p, s, plan); err != nil {
		return err
	}
	called := subjectNames{}
	var subjects []string
	for _, step := range plan.Steps { // which may delete what they name
		subjects = append(subjects, step.Event.Target, step.Event.Actor)
	}
	called.add(ctx, s, subjects...)
	progress := progress{out: p.stderr, on: isTerminal(p.stderr)}
	result, err := fence.Run(ctx, fence.Options{Store: s, Plan: plan, DryRun: c.DryRun, Progress: progress.count})
	progress.clear()
	if err != nil {
		return fmt.Errorf("%w; the fence was not written: run it again when Redis answers; what is revoked already stays so", err)
	}
	called.add(ctx, s, lookedAt(result)...)
	called.fill(plan.Names())
	report := fenceReport{Result: result, names: called, at: s.Address(), replayed: len(c.Audit) > 0, dry: c.DryRun, unread: unread}
	if c.JSON {
		err = report.json(p)
	} else {
		err = report.print(p)
	}
	return errors.Join(err, report.err())
}

// lookedAt are the subjects that the operator is asked to look at.
func lookedAt(result fence.Result) (subjects []string) {
	for _, review := range result.Reviews {
		subjects = append(subjects, review.Event.Target, review.Event.Actor)
	}
	for _, lost := range result.Lost {
		subjects = append(subjects, lost.Target, lost.Event.Actor)
	}
	for _, id := range result.Locked {
		subjects = append(subjects, audit.ClientTarget(id))
	}
	return subjects
}

// plan reads the exports.
func (c *fenceCommand) plan(p process) (plan fence.Plan, unread unreadLines, err error) {
	var events []store.Event
	for _, name := range c.Audit {
		read, lines, err := c.read(p, name)
		if err != nil {
			return plan, nil, usagef("--audit %s: %w", name, err)
		}
		events = append(events, read...)
		for _, line := range lines {
			unread = append(unread, unreadLine{name, line})
		}
	}
	return fence.Make(events, time.Now()), unread, nil
}

func (c *fenceCommand) read(p process, name string) (events []store.Event, unreadable []int, err error) {
	if name == "-" {
		return fence.Read(p.input, c.Since.Time)
	}
	f, err := os.Open(name)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, nil, err
	}
	defer f.Close()
	return fence.Read(f, c.Since.Time)
}

// unreadLine is a line of an export that cannot be read.
type unreadLine struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

type unreadLines []unreadLine

// lines are a warning for each.
func (u unreadLines) lines() (warnings []string) {
	for _, l := range u {
		warnings = append(warnings, fmt.Sprintf("--audit %s: line %d cannot be read; if it is a revocation, it is not replayed", printable(l.File), l.Line))
	}
	return warnings
}

// err is that they may have been revocations.
func (u unreadLines) err() error {
	if len(u) == 0 {
		return nil
	}
	return fmt.Errorf("%s of the export could not be read, see above: revoke manually what was revoked there", counted(int64(len(u)), "line"))
}

// confirm shows what will be done, and asks the user.
func (c *fenceCommand) confirm(ctx context.Context, p process, s *store.Store, plan fence.Plan) error {
	clients, users, err := s.CountRecords(ctx)
	if err != nil {
		return fmt.Errorf("the Redis at %s: %w", s.Address(), err)
	}
	if clients+users == 0 && !c.Empty {
		return fmt.Errorf("the Redis at %s is empty: restore the backup first. If there is none, --empty accepts it and starts over, without the earlier clients, users and keys", s.Address())
	}
	if c.Yes || c.DryRun {
		return nil
	}
	return confirm(p, fmt.Sprintf("This revokes every token of %s and every session of %s in the Redis at %s, and replays %s from the audit log.",
		counted(int64(clients), "client"), counted(int64(users), "user"), printable(s.Address()), counted(int64(len(plan.Steps)), "revocation")))
}

// moment is a time on the command line.
type moment struct{ time.Time }

// UnmarshalText reads a flag.
func (m *moment) UnmarshalText(text []byte) (err error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if m.Time, err = time.Parse(layout, string(text)); err == nil {
			return nil
		}
	}
	return errors.New("must be like 2027-01-31 or 2027-01-31T18:00:00Z")
}
