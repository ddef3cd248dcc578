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

// rekeyCommand re-encrypts everything in Redis with the first master key.
type rekeyCommand struct {
	Compromised bool `help:"An old master key has leaked: replace every signing key as well."`
	DryRun      bool `help:"Count what would be re-encrypted, and change nothing."`
	JSON        bool `name:"json" help:"Print the result as JSON, for scripts."`
	Yes         bool `help:"Do not ask for confirmation that every replica has the new key."`
}

// Help says when to run it.
func (*rekeyCommand) Help() string {
	return `It connects to Redis, with the MINTKEEP_REDIS_URL, the MINTKEEP_MASTER_KEY and the MINTKEEP_REVOKE_DURABILITY of the
server. It may be run while replicas serve, and more than once. Run it when every replica has the new master key first and
the old ones behind it: MINTKEEP_MASTER_KEY=new,old. With one key alone it checks that this key decrypts everything.

With --compromised it also replaces the signing keys, active, next and retired, as {"compromised":"all"} does at
POST /admin/signing-keys/rotate: an attacker who has an old master key and a copy of Redis has these keys. Every replica publishes
the new keys within 30 seconds. Services that verify offline then reject every JWT that was issued until now;
introspection still calls these tokens active.

Exits 1 if something cannot be decrypted or read; the rest is re-encrypted nevertheless.`
}

// Run goes through everything that is encrypted.
func (c *rekeyCommand) Run(ctx context.Context, p process) error {
	cfg, warnings, err := config.Storage(config.Source{Environ: p.environ})
	warn(p, warnings)
	if err != nil {
		return usageError{err}
	}
	s, err := store.Open(store.Options{
		URL: cfg.RedisURL.Reveal(), Durability: cfg.RevokeDurability, Feed: cfg.Feed, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return usageError{err}
	}
	defer s.Close()
	if err := c.confirm(p, len(cfg.MasterKeys)); err != nil {
		return err
	}

	progress := progress{out: p.stderr, on: isTerminal(p.stderr)}
	result, err := rekey.Run(ctx, rekey.Options{
		Store: s, MasterKeys: cfg.MasterKeys, Compromised: c.Compromised, DryRun: c.DryRun, Progress: progress.users,
	})
	progress.clear()
	if err != nil {
		return fmt.Errorf("%w; run it again when Redis answers: what is re-encrypted already stays so", err)
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
func (c *rekeyCommand) confirm(p process, keys int) error {
	if c.Yes || c.DryRun || keys == 1 && !c.Compromised {
		return nil
	}
	what := "This re-encrypts the signing keys and password hashes with the first key of MINTKEEP_MASTER_KEY. " +
		"A replica that does not have that key in its own list stops issuing tokens within seconds."
	if c.Compromised {
		what += " It replaces every signing key: services that verify offline then reject every JWT that was issued until now."
	}
	return confirm(p, what)
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
	resealed := counted(r.SigningKeys.Resealed, "signing key") + " and " + hashes(r.Passwords.Resealed)
	already := counted(r.SigningKeys.Current, "signing key") + " and " + hashes(r.Passwords.Current)
	may := ""
	if len(r.Problems) == 0 {
		may = " MINTKEEP_MASTER_KEY may now be the first key alone."
	}
	switch {
	case r.resealed()+r.already() == 0:
	case r.keys == 1:
		fmt.Fprintf(p.stdout, "The one master key decrypts %s.\n", already)
	case r.resealed() == 0:
		fmt.Fprintf(p.stdout, "Nothing to re-encrypt: %s were up to date.%s\n", already, may)
	case r.dry:
		fmt.Fprintf(p.stdout, "Would re-encrypt %s; %d are up to date. Nothing was changed.\n", resealed, r.already())
	default:
		fmt.Fprintf(p.stdout, "Re-encrypted %s; %d were up to date.%s\n", resealed, r.already(), may)
	}
	r.printDropped(p)
}

// printDropped says what became of the signing keys, or how to replace them.
func (r rekeyReport) printDropped(p process) {
	switch dropped := counted(r.Dropped, "signing key"); {
	case r.Dropped > 0 && r.dry:
		fmt.Fprintf(p.stdout, "Would replace %s. Nothing was changed.\n", dropped)
	case r.Dropped > 0:
		fmt.Fprintf(p.stdout, "Replaced %s. Within 30 seconds every replica publishes the new ones alone.\n", dropped)
	case r.resealed() > 0 && !r.dry && len(r.Problems) == 0:
		fmt.Fprintln(p.stdout, "If an old key has leaked, run this again with --compromised, which replaces the signing keys too.")
	}
}

// err is why the old keys must not be removed.
func (r rekeyReport) err() error {
	switch n := int64(len(r.Problems)); {
	case n > 0:
		return fmt.Errorf("%s could not be re-encrypted, see above: keep every master key in the list; a user whose password hash no key decrypts needs a new invite", counted(n, "record"))
	case r.resealed()+r.already() == 0:
		return errors.New("this Redis has nothing that is encrypted: check that MINTKEEP_REDIS_URL is that of the server, its database included")
	}
	return nil
}

// json prints the result for a script.
func (r rekeyReport) json(p process) error {
	type count struct {
		Resealed int64 `json:"re_encrypted"`
		Current  int64 `json:"up_to_date"`
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

func hashes(n int64) string {
	if n == 1 {
		return "1 password hash"
	}
	return fmt.Sprintf("%d password hashes", n)
}

func counted[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
