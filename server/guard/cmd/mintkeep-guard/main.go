// Command mintkeep-guard is the guard as a process beside a service or a gateway: it checks credentials by HTTP, on loopback
// or on a unix socket.
//
//	GET /verify?scope=read               200 with X-Auth-* headers, or 401, 403, 503
//	GET /verify/scope=read/the/path      the same, for gateways that append their caller's path
//	POST /introspect                     RFC 7662, from memory
//	GET /readyz, /metrics
//
// What is required stands in the URL that the gateway's configuration writes. Nothing that the gateway's caller sends changes
// it. The settings are environment variables: see [settings].
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go keepSmall(ctx)
	code := run(ctx, os.Args[1:], os.Getenv, os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// help is what --help prints.
const help = `mintkeep-guard checks access tokens and API keys beside a service or a gateway, and learns within a second what was revoked.

  MINTKEEP_ISSUER=https://auth.example.com MINTKEEP_CLIENT_ID=orders MINTKEEP_CLIENT_SECRET_FILE=/run/secrets/orders \
    MINTKEEP_GUARD_AUDIENCES=https://orders.example.com mintkeep-guard
  curl -i -H "Authorization: Bearer $TOKEN" 'http://127.0.0.1:8181/verify?scope=read'

Settings, as environment variables. Required:

  MINTKEEP_ISSUER              the issuer of Mintkeep, as its tokens have it
  MINTKEEP_CLIENT_ID           a client with the scope mintkeep:introspect
  MINTKEEP_CLIENT_SECRET_FILE  a file with its secret
  MINTKEEP_GUARD_AUDIENCES     the names of the service in tokens, separated by commas

Optional, with their defaults:

  MINTKEEP_GUARD_ADDR          127.0.0.1:8181; or unix:/run/mintkeep-guard.sock
  MINTKEEP_GUARD_MAX_STALE     1s: how late a revocation may take effect, 300ms to 10s
  MINTKEEP_GUARD_WHEN_STALE    ask: what happens when Mintkeep does not answer; or closed, or grace:10s
  MINTKEEP_GUARD_MAX_ENTRIES   100000: credentials in memory
  MINTKEEP_GUARD_PUBLIC_URL    none: the URL of the service, for challenges
  MINTKEEP_GUARD_TOKEN_FILE    none: a file with what callers of /introspect send as Bearer

Commands:

  healthcheck                  ask the guard at MINTKEEP_GUARD_ADDR whether it is ready: exit code 0 or 1
  version                      print the version, and the commit that it was built from

Flags:

  --listen-anywhere            allow an address that other machines reach
  --help                       print this

Routes: /verify?scope=read, /verify/scope=read/…, POST /introspect, /readyz, /metrics.
Exit codes: 0 stopped by a signal, 1 failed, 2 the settings are wrong.
`

// exitUsage is the exit code for wrong settings.
const exitUsage = 2

func run(ctx context.Context, args []string, getenv func(string) string, environ []string, stdout, stderr io.Writer) int {
	if slices.ContainsFunc(args, func(arg string) bool { return arg == "--help" || arg == "-h" }) {
		_, _ = fmt.Fprint(stdout, help)
		return 0
	}
	if len(args) == 1 && args[0] == "version" {
		printVersion(stdout)
		return 0
	}
	if len(args) == 1 && args[0] == "healthcheck" {
		if err := healthcheck(ctx, addrOf(getenv)); err != nil {
			_, _ = fmt.Fprintln(stderr, err)
			return 1
		}
		return 0
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	s, err := readSettings(args, getenv, environ)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitUsage
	}
	s.guard.Logger = log
	counts := newCounters()
	s.guard.Observe = counts.observe
	g, err := guard.New(s.guard)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitUsage
	}
	defer func() { _ = g.Close() }()
	listener, err := listen(ctx, s.addr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "MINTKEEP_GUARD_ADDR:", err)
		return 1
	}
	log.Info("listening", "address", s.addr)
	if err := serve(ctx, listener, newSidecar(g, s, counts, log)); err != nil {
		log.Error("stopped", "error", err.Error())
		return 1
	}
	return 0
}

// serve answers until ctx is done, and then finishes the requests that are under way.
func serve(ctx context.Context, listener net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute,
		MaxHeaderBytes: 32 << 10, Protocols: &http.Protocols{},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // Envoy may ask so
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

// socketMode lets the group of the process connect.
const socketMode = 0o660

// listen listens on host:port, or on unix:path, where it replaces a socket that no process listens on any more.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	path, isSocket := strings.CutPrefix(addr, "unix:")
	if !isSocket {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	}
	if info, err := os.Stat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if c, err := (&net.Dialer{}).DialContext(ctx, "unix", path); err == nil {
			_ = c.Close()
			return nil, errors.New("another process listens on " + path)
		}
		_ = os.Remove(path)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return listener, os.Chmod(path, socketMode)
}
