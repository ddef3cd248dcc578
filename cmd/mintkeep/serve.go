package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/mintkeep/mintkeep/config"
)

// serveCommand runs the server until a signal ends it.
type serveCommand struct {
	Settings kong.Plugins `embed:""`
	flags    *config.Flags
}

func (c *serveCommand) init() {
	c.flags = config.NewFlags()
	c.Settings = kong.Plugins{c.flags.Target()}
}

// Help tells of the environment; kong lists the flags.
func (c *serveCommand) Help() string { return config.Help() }

// Run loads the configuration and serves.
func (c *serveCommand) Run(ctx context.Context, p process) error {
	src := config.Source{Flags: c.flags.Given(), Environ: p.environ, Terminal: isTerminal(p.stderr)}
	cfg, warnings, err := config.Load(src)
	if err != nil {
		warn(p, warnings)
		return usageError{err}
	}
	logger := newLogger(cfg, p.stderr)
	for _, warning := range warnings {
		logger.Warn(warning)
	}
	return serve(ctx, src, cfg, p)
}

// newLogger logs as the configuration says.
func newLogger(cfg *config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// isTerminal is whether stream, one of the three of the process, is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
