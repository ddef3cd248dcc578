package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// version is set by the release build: -ldflags "-X main.version=1.2.3".
var version string

// printVersion prints what this binary is, as `mintkeep version` does.
func printVersion(w io.Writer) {
	release, commit, goVersion := version, "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
		if release == "" && info.Main.Version != "(devel)" {
			release = info.Main.Version
		}
		stamp := map[string]string{}
		for _, s := range info.Settings {
			stamp[s.Key] = s.Value
		}
		if revision := stamp["vcs.revision"]; revision != "" {
			commit = revision
		}
		if stamp["vcs.modified"] == "true" {
			commit += " (modified)"
		}
	}
	if release == "" {
		release = "dev"
	}
	_, _ = fmt.Fprintf(w, "mintkeep-guard %s\ncommit   %s\ngo       %s\n", release, commit, goVersion)
}

const healthcheckTimeout = 3 * time.Second

// healthcheck asks the guard that listens at addr whether it is ready. It is for containers without a shell, and for the
// probes of Kubernetes, which do not reach a loopback address.
func healthcheck(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	network := "tcp"
	if path, isSocket := strings.CutPrefix(addr, "unix:"); isSocket {
		network, addr = "unix", path
	}
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://mintkeep-guard/readyz", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("not ready: %s %s", response.Status, strings.TrimSpace(string(answer)))
	}
	return nil
}
