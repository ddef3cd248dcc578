package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/doctor"
	"github.com/mintkeep/mintkeep/store"
)

// doctorCommand checks the configuration that serve would run with.
type doctorCommand struct {
	JSON     bool         `name:"json" help:"Print JSON, for scripts."`
	Settings kong.Plugins `embed:""`
	flags    *config.Flags
}

func (c *doctorCommand) init() {
	c.flags = config.NewFlags()
	c.Settings = kong.Plugins{c.flags.Target()}
}

// Help says what the outcomes mean.
func (c *doctorCommand) Help() string {
	return `Reads the same settings as serve, and changes no data. Exits 0 if no check failed, with or without warnings, and 1 if a check failed.

If MINTKEEP_CLIENT_ID is set, with MINTKEEP_CLIENT_SECRET or MINTKEEP_CLIENT_KEY_FILE, it also polls the feed through MINTKEEP_ISSUER as
this client, which needs the scope mintkeep:introspect: so it notices a proxy that holds polls.`
}

// doctorTime is for all checks together.
const doctorTime = 9 * time.Second

// Run makes the checks and prints them.
func (c *doctorCommand) Run(ctx context.Context, p process) error {
	cfg, warnings, err := config.Load(config.Source{Flags: c.flags.Given(), Environ: p.environ, Terminal: isTerminal(p.stderr)})
	if err != nil {
		warn(p, warnings)
		return usageError{err}
	}
	s, err := store.Open(store.Options{
		URL: cfg.RedisURL.Reveal(), Durability: cfg.RevokeDurability, Feed: cfg.Feed, Logger: newLogger(cfg, p.stderr),
	})
	if err != nil {
		return usageError{err}
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	checks := doctor.Examine(ctx, doctor.Options{Config: cfg, Warnings: warnings, Store: s})
	checks = append(checks, c.server(ctx, p)...)
	checks = append(checks, c.polls(ctx, p, cfg)...)
	if err := c.print(p, checks); err != nil {
		return err
	}
	switch failed := failures(checks); failed {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("1 check of %d failed", len(checks))
	default:
		return fmt.Errorf("%d checks of %d failed", failed, len(checks))
	}
}

// server asks the server that these settings run on this machine. It has nothing to say if there is none.
func (c *doctorCommand) server(ctx context.Context, p process) []doctor.Check {
	local, err := localServer(config.Source{Flags: c.flags.Given(), Environ: p.environ})
	if err != nil {
		return nil // another check reports it
	}
	var rejected *apiError
	var other *otherServer
	check := doctor.Check{Name: "server", State: doctor.OK, Found: local.base + " is ready"}
	switch err := local.ready(ctx); {
	case errors.As(err, &other):
		check.State, check.Found = doctor.Fail, other.Error()
		check.Fix = "stop the other server, or choose another MINTKEEP_ADDR; or run doctor with the settings of that server"
	case errors.As(err, &rejected):
		check.State, check.Found = doctor.Fail, local.base+" is not ready: "+rejected.Description
		check.Fix = "docs/operations.md, \"When it does not work\""
	case err != nil:
		return nil
	}
	return []doctor.Check{check}
}

func failures(checks []doctor.Check) int {
	return len(slices.DeleteFunc(slices.Clone(checks), func(c doctor.Check) bool { return c.State != doctor.Fail }))
}

func (c *doctorCommand) print(p process, checks []doctor.Check) error {
	if !c.JSON {
		return printChecks(p.stdout, checks, coloured(p))
	}
	body, err := json.MarshalIndent(struct {
		OK     bool           `json:"ok"`
		Checks []doctor.Check `json:"checks"`
	}{failures(checks) == 0, checks}, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s\n", body)
	return err
}

// coloured is whether the output is a terminal whose user has not asked for no colours (https://no-color.org).
func coloured(p process) bool {
	const refused = "NO_COLOR" //nolint:misspell // its name is what it is
	src := config.Source{Environ: p.environ}
	return isTerminal(p.stdout) && src.Get(refused) == "" && src.Get("TERM") != "dumb"
}

// marks are how the outcomes look, and their colours.
var marks = map[doctor.State]struct{ word, colour string }{
	doctor.OK:      {"ok", "\x1b[32m"},
	doctor.Warn:    {"warn", "\x1b[33m"},
	doctor.Fail:    {"FAIL", "\x1b[1;31m"},
	doctor.Unknown: {"?", "\x1b[36m"},
}

// lineWidth is how wide a line gets, unless a word is longer.
const lineWidth = 100

// printChecks prints a line a check, with the fix below the finding.
func printChecks(w io.Writer, checks []doctor.Check, colour bool) error {
	widest := 0
	for _, c := range checks {
		widest = max(widest, len(c.Name))
	}
	indent := 6 + widest + 2
	var b strings.Builder
	for _, c := range checks {
		mark := marks[c.State]
		word := fmt.Sprintf("%-6s", mark.word)
		if colour {
			word = mark.colour + word + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s%-*s", word, widest+2, c.Name)
		writeWrapped(&b, printable(c.Found), indent)
		if c.Fix != "" {
			fmt.Fprintf(&b, "%*s", indent, "")
			writeWrapped(&b, "→ "+printable(c.Fix), indent)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeWrapped writes text into the column that begins at indent, where the cursor is.
func writeWrapped(b *strings.Builder, text string, indent int) {
	column := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case indent+column+1+len(word) > lineWidth:
			fmt.Fprintf(b, "\n%*s", indent, "")
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	b.WriteByte('\n')
}
