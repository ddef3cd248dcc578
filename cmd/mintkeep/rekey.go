package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/rekey"
	"github.com/mintkeep/mintkeep/store"
)

// rekeyCommand seals everything in Redis again, under the first master key.
type rekeyCommand struct {
	Compromised bool `help:"An old master key has leaked: replace every signing key as well."`
	DryRun      bool `help:"Count what would be sealed anew, and change nothing."`
	JSON        bool `name:"json" help:"Print the result as JSON, for scripts."`
	Yes         bool `help:"Do not ask whether every replica has the new key."`
}

// Help says when to run it.
func (*rekeyCommand) Help() string {
	return `It works on Redis itself, with the MINTKEEP_REDIS_URL, the MINTKEEP_MASTER_KEY and the MINTKEEP_REVOKE_DURABILITY of the
server, and may be run while replicas serve, and again. Run it when every replica has the new master key in front and the
old ones behind it: MINTKEEP_MASTER_KEY=new,old. With one key alone it looks whether everything opens under that one.

With --compromised it also replaces the signing keys, active, next and retired, as {"compromised":"all"} does at
POST /admin/signing-keys/rotate: an attacker who has an old master key and a copy of Redis has them. Every replica publishes
the new keys within 30 seconds. Services that verify offline then reject every JWT that was issued before; introspection
still calls those that were issued active.

Exits 1 if something does not open or cannot be read; the rest is sealed anew all the same.`
}

// Run walks through everything that is sealed.
func (c *rekeyCommand) Run(ctx context.Context, p process) error {
	cfg, warnings, err := config.Storage(config.Source{Environ: p.environ})
	warn(p, warnings)
	if err != nil {
		return usageError{err}
	}
	s, err := store.Open(store.Options{
		URL: cfg.RedisURL.Reveal(), Durability: cfg.RevokeDurability, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return usageError{err}
	}
	defer s.Close()
	if err := c.confirm(ctx, p, len(cfg.MasterKeys)); err != nil {
		return err
	}

	progress := progress{out: p.stderr, on: isTerminal(p.stderr)}
	result, err := rekey.Run(ctx, rekey.Options{
		Store: s, MasterKeys: cfg.MasterKeys, Compromised: c.Compromised, DryRun: c.DryRun, Progress: progress.people,
	})
	progress.clear()
	if err != nil {
		return fmt.Errorf("%w; run it again when Redis answers: what is sealed anew stays so", err)
	}
	report := rekeyReport{Result: result, keys: len(cfg.MasterKeys), dry: c.DryRun}
	if c.JSON {
		err = report.json(p)
	} else {
		report.print(p)
	}
	if err != nil {
		return err
	}
	return report.err()
}

// confirm asks what cannot be checked from here: a replica that does not have the new key stops signing.
func (c *rekeyCommand) confirm(ctx context.Context, p process, keys int) error {
	if c.Yes || c.DryRun || keys == 1 && !c.Compromised {
		return nil
	}
	what := "This seals the signing keys and passwords under the first key of MINTKEEP_MASTER_KEY. " +
		"A replica that does not have that key in its own list will stop issuing tokens within seconds."
	if c.Compromised {
		what += " It replaces every signing key: services that verify offline then reject every JWT that was issued before."
	}
	return confirm(ctx, p, what)
}

// rekeyReport is what the user sees of it.
type rekeyReport struct {
	rekey.Result
	keys int // in the list
	dry  bool
}

func (r rekeyReport) resealed() int64 { return r.SigningKeys.Resealed + r.Passwords.Resealed }
func (r rekeyReport) already() int64  { return r.SigningKeys.Current + r.Passwords.Current }

func (r rekeyReport) print(p process) {
	for _, problem := range r.Problems {
		fmt.Fprintf(p.stderr, "mintkeep: %s: %v\n", printable(problem.Of), problem.Err)
	}
	resealed := counted(r.SigningKeys.Resealed, "signing key") + " and " + counted(r.Passwords.Resealed, "password")
	already := counted(r.SigningKeys.Current, "signing key") + " and " + counted(r.Passwords.Current, "password")
	may := ""
	if len(r.Problems) == 0 {
		may = " MINTKEEP_MASTER_KEY may now be the first key alone."
	}
	switch {
	case r.resealed()+r.already() == 0:
	case r.keys == 1:
		fmt.Fprintf(p.stdout, "%s open under the one master key.\n", already)
	case r.resealed() == 0:
		fmt.Fprintf(p.stdout, "Nothing had to be sealed anew: %s were so already.%s\n", already, may)
	case r.dry:
		fmt.Fprintf(p.stdout, "%s would be sealed anew; %d are so already. Nothing was changed.\n", resealed, r.already())
	default:
		fmt.Fprintf(p.stdout, "%s sealed anew; %d were so already.%s\n", resealed, r.already(), may)
	}
	r.printDropped(p)
}

// printDropped says what became of the signing keys, or how to replace them.
func (r rekeyReport) printDropped(p process) {
	switch dropped := counted(r.Dropped, "signing key"); {
	case r.Dropped > 0 && r.dry:
		fmt.Fprintf(p.stdout, "%s would be replaced. Nothing was changed.\n", dropped)
	case r.Dropped > 0:
		fmt.Fprintf(p.stdout, "%s replaced. Within 30 seconds every replica publishes the new ones alone.\n", dropped)
	case r.resealed() > 0 && !r.dry && len(r.Problems) == 0:
		fmt.Fprintln(p.stdout, "If an old key has leaked, repeat this with --compromised, which replaces the signing keys too.")
	}
}

// err is why the old keys must not be removed.
func (r rekeyReport) err() error {
	switch n := int64(len(r.Problems)); {
	case n > 0:
		return fmt.Errorf("%s left as they were, see above: keep every master key in the list; who has a password that none opens needs a new invite", counted(n, "record"))
	case r.resealed()+r.already() == 0:
		return errors.New("nothing is sealed in this Redis: look whether MINTKEEP_REDIS_URL is that of the server, its database included")
	}
	return nil
}

// json prints the result for a script.
func (r rekeyReport) json(p process) error {
	type count struct {
		Resealed int64 `json:"anew"`
		Current  int64 `json:"already"`
	}
	type problem struct {
		Of  string `json:"of"`
		Why string `json:"why"`
	}
	problems := []problem{}
	for _, x := range r.Problems {
		problems = append(problems, problem{x.Of, x.Err.Error()})
	}
	body, err := json.MarshalIndent(struct {
		DryRun      bool      `json:"dry_run"`
		SigningKeys count     `json:"signing_keys"`
		Passwords   count     `json:"passwords"`
		Replaced    int64     `json:"signing_keys_replaced,omitempty"`
		Problems    []problem `json:"problems"`
	}{r.dry, count(r.SigningKeys), count(r.Passwords), r.Dropped, problems}, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, string(body))
	return err
}

func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
