package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/fdreserve"
	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/tracing"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// drainDelay is the time for a load balancer to see that this replica is not ready. The embedded store
// has no second replica, and a developer who presses Ctrl-C no patience.
const drainDelay = 4 * time.Second

// gcPercent lets the heap grow to four times its live objects before it is collected. That is a few megabytes, since
// tokens are in Redis and not here, and collecting costs half as much as with Go's default of 100.
const gcPercent = 300

// serve runs the server as configured until ctx is done. At SIGHUP it reads again what src has in files.
func serve(ctx context.Context, src config.Source, cfg *config.Config, p process) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	terminal := isTerminal(p.stdin)
	if !slices.ContainsFunc(p.environ, func(s string) bool { return strings.HasPrefix(s, "GOGC=") }) {
		debug.SetGCPercent(gcPercent)
	}
	sink := newLogSink(p.stderr)
	defer sink.Close()
	logger := newLogger(cfg, sink)
	sink.onDropped = func(lines int) {
		logger.Warn("log lines were dropped because the output was not read", "lines", lines)
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("MINTKEEP_ADDR: %w; choose another with --addr", err)
	}
	defer listener.Close()
	cfg.Listening(listener.Addr())
	private, err := listenForOperators(cfg)
	if err != nil {
		return err
	}
	if private != nil {
		defer private.Close()
	}

	parts, err := assemble(cfg, p.stdout, logger)
	if err != nil {
		return err
	}
	defer parts.close()
	defer parts.store.Close()
	if err := parts.load(ctx, logger); err != nil {
		return err
	}
	if cfg.Embedded() {
		if err := welcome(ctx, cfg, listener.Addr(), parts.store, p.stdout); err != nil {
			return err
		}
	}
	stopMetrics := serveMetrics(cfg, parts.metrics, logger)
	defer stopMetrics()
	go func() {
		reloads(ctx, hangups, func() bool { return terminal && !isTerminal(p.stdin) }, reloader{src, cfg, parts.server, parts.audit, logger})
		stop()
	}()
	logger.Info("listening", "address", listener.Addr().String(), "issuer", cfg.Issuer, "version", buildVersion())
	if private != nil {
		logger.Info("listening for operators", "address", private.Addr().String(), "url", cfg.AdminURL)
	}
	return parts.server.Serve(ctx, listener, private)
}

// listenForOperators listens at MINTKEEP_ADMIN_ADDR. It returns nil if that is not set.
func listenForOperators(cfg *config.Config) (net.Listener, error) {
	if !cfg.SeparateAdmin() {
		return nil, nil
	}
	listener, err := net.Listen("tcp", cfg.AdminAddr)
	if err != nil {
		return nil, fmt.Errorf("MINTKEEP_ADMIN_ADDR: %w; choose another with --admin-addr", err)
	}
	cfg.AdminListening(listener.Addr())
	return listener, nil
}

// parts are the parts of a running server.
type parts struct {
	store   *store.Store
	ring    *signing.Ring
	metrics *metrics.Metrics
	server  *server.Server
	tracer  *tracing.Tracer // nil: off
	audit   *auditCopy      // nil: none
	sink    *logSink        // in front of it
}

func assemble(cfg *config.Config, stdout io.Writer, logger *slog.Logger) (*parts, error) {
	a := &parts{}
	a.metrics = metrics.New(metrics.Sources{
		Version:     buildVersion(),
		Pool:        func() redisdb.PoolStats { return a.store.PoolStats() },
		Behind:      func() bool { return a.store.Quarantined() },
		ActiveSince: func() time.Time { return a.ring.ActiveSince() },
		KeySets:     func() metrics.KeySets { return a.server.KeySets() },
		Feed:        a.feedState(cfg),
		State:       func(ctx context.Context) metrics.State { return a.server.State(ctx) },
	})
	descriptors := fdreserve.New()
	var err error
	a.tracer, err = tracing.New(tracing.Options{Config: cfg.Tracing, Version: buildVersion(), Console: stdout, Logger: logger})
	if err != nil {
		return nil, err
	}
	a.store, err = store.Open(store.Options{
		URL: cfg.RedisURL.Reveal(), Durability: cfg.RevokeDurability, Feed: cfg.Feed, CountVoid: a.metrics.FeedVoid,
		Logger: logger, Observe: a.metrics.Redis, Trace: a.tracer.RoundTrips(), Dial: descriptors.Dialer,
	})
	if err != nil {
		return nil, usageError{err}
	}
	a.ring, err = signing.New(signing.Options{
		Store: a.store, MasterKeys: cfg.MasterKeys, Algorithm: cfg.SigningAlg,
		Rotation: cfg.SigningRotation, TokenTTLMax: cfg.TokenTTLMax, Logger: logger,
	})
	if err != nil {
		return nil, usageError{err}
	}
	options := server.Options{
		Config: cfg, Store: a.store, Ring: a.ring, Metrics: a.metrics, Logger: logger, Descriptors: descriptors,
		Tracer: a.tracer,
	}
	a.audit, err = openAuditCopy(cfg, stdout, logger, func(events int) { a.metrics.AuditNotWritten(metrics.AuditCopy, events) })
	if err != nil {
		return nil, err
	}
	if a.audit != nil {
		a.sink = a.audit.sink()
		options.AuditCopy = a.sink
	}
	if !cfg.Embedded() {
		options.DrainDelay = drainDelay
	}
	a.server, err = server.New(options)
	return a, err
}

// closeTimeout is how long the last spans may take to be exported.
const closeTimeout = logSinkWait

// stopTime is how long the process takes at most from the signal on: it drains, ends, exports spans and writes the audit log at
// once, and then the log.
func stopTime() time.Duration { return drainDelay + server.StopTime() + closeTimeout + logSinkWait }

// close waits a little for the last spans and the last events of the audit log to be written, at once.
func (a *parts) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var closing sync.WaitGroup
	closing.Go(func() { a.tracer.Close(ctx) })
	if a.sink != nil {
		closing.Go(a.sink.Close)
	}
	closing.Wait()
}

// feedState is the state of the feed for the metrics; nil: there is none.
func (a *parts) feedState(cfg *config.Config) func() feed.Status {
	if !cfg.Feed {
		return nil
	}
	return func() feed.Status { return a.store.Feed().Status() }
}

// load checks Redis and fetches the signing keys, or creates the first. If Redis does not answer yet, the server runs
// and is not ready. A wrong master key, or a Redis that cannot keep revocations as configured, or denies what the feed needs, is an
// error.
func (a *parts) load(ctx context.Context, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	unsure := a.store.CheckDurability(ctx)
	if errors.Is(unsure, store.ErrDurability) {
		return usageError{unsure}
	}
	if denied := a.store.CheckFeed(ctx); errors.Is(denied, redisdb.ErrRights) {
		return usageError{denied}
	}
	err := a.ring.Load(ctx)
	switch {
	case errors.Is(err, signing.ErrMasterKey):
		return usageError{err}
	case err == nil || a.ring.Ready() == nil:
		err = unsure
	}
	if err != nil {
		logger.Warn("not ready, retrying", "error", err)
		return nil
	}
	a.warnOfLoss(ctx, logger)
	a.warnOfLateWrites(ctx, logger)
	a.nameFirstOperator(ctx, logger)
	return nil
}

// warnOfLoss warns of what a crash of Redis would undo. If the ACL forbids the question, it is silent.
func (a *parts) warnOfLoss(ctx context.Context, logger *slog.Logger) {
	if a.store.Embedded() {
		return // the banner says it
	}
	switch kept, err := a.store.KeepsLog(ctx); {
	case err != nil:
		logger.Debug("checking whether Redis keeps an append-only file failed", "error", err)
	case !kept:
		logger.Warn("Redis keeps no append-only file: a crash of Redis loses every write since the last snapshot, " +
			"including revocations; run CONFIG SET appendonly yes, and add it to redis.conf")
	}
}

// warnOfLateWrites warns if Redis may still apply a write that the server has given up.
func (a *parts) warnOfLateWrites(ctx context.Context, logger *slog.Logger) {
	if err := a.store.CheckKill(ctx); errors.Is(err, redisdb.ErrKill) {
		logger.Warn("a write to Redis that is answered too late cannot be stopped; revocations hold, but a change that was "+
			"answered 503 may be applied later, and a heartbeat that arrives late may stop this replica", "error", err)
	}
}

// firstOperator is the command that creates the first operator, as README.md has it.
const firstOperator = "mintkeep user create --email you@example.com --role operator"

// nameFirstOperator logs the command that creates the first operator while there is no user. The embedded store has a
// banner instead. If Redis does not answer, it is silent.
func (a *parts) nameFirstOperator(ctx context.Context, logger *slog.Logger) {
	if a.store.Embedded() {
		return
	}
	if totals, err := a.store.Totals(ctx); err == nil && totals.Users == 0 {
		logger.Info("there is no user yet: create the first operator (set MINTKEEP_URL and MINTKEEP_ADMIN_TOKEN)", "command", firstOperator)
	}
}

// serveMetrics starts the metrics listener. A port that is taken costs the metrics, not the service.
func serveMetrics(cfg *config.Config, m *metrics.Metrics, logger *slog.Logger) (stop func()) {
	if cfg.MetricsAddr == "" {
		return func() {}
	}
	listener, err := net.Listen("tcp", cfg.MetricsAddr)
	if err != nil {
		logger.Warn("metrics are off: MINTKEEP_METRICS_ADDR cannot be used; set another address, or set it to empty", "error", err)
		return func() {}
	}
	logger.Info("metrics", "address", listener.Addr().String())
	hs := &http.Server{
		Handler:           server.MetricsHandler(m, config.Loopback(cfg.MetricsAddr), cfg.PProf),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	go func() { _ = hs.Serve(listener) }()
	return func() { _ = hs.Close() }
}
