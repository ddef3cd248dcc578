package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server"
)

// reloadTimeout bounds what a SIGHUP asks of Redis.
const reloadTimeout = 5 * time.Second

// reloader has a server read its certificate and the settings in files again.
type reloader struct {
	src    config.Source
	cfg    *config.Config // the settings of now
	server *server.Server
	audit  *auditCopy // may be nil
	log    *slog.Logger
}

// reloads reloads at each SIGHUP. It returns when ctx is done, or when SIGHUP says that the terminal is gone from which the
// server was started: then the server is to stop.
func reloads(ctx context.Context, hangups <-chan os.Signal, terminalGone func() bool, r reloader) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			if terminalGone() {
				return
			}
			r.reload(ctx)
		}
	}
}

func (r *reloader) reload(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	fresh, warnings, err := config.Reread(r.src, r.cfg)
	for _, warning := range warnings {
		r.log.WarnContext(ctx, warning)
	}
	var kept []string
	if mistakes := (&config.Error{}); errors.As(err, &mistakes) {
		for _, m := range mistakes.Mistakes {
			r.log.ErrorContext(ctx, m.Setting+" cannot be used; the previous value stays in use", "error", m.Problem)
			kept = append(kept, m.Setting)
		}
	}
	if err := r.audit.Reopen(); err != nil {
		const setting = "MINTKEEP_AUDIT_LOG"
		r.log.ErrorContext(ctx, setting+" cannot be used; the previous value stays in use", "error", err)
		kept = append(kept, setting)
	}
	r.cfg = fresh
	r.server.Reload(ctx, fresh, kept...)
}
