package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
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
		commit = commitOf(info)
	}
	if release == "" {
		release = "dev"
	}
	_, _ = fmt.Fprintf(w, "mintkeep-guard %s\ncommit   %s\ngo       %s\n", release, commit, goVersion)
}

// pseudo is the end of a version that go install gives to a commit without a tag.
var pseudo = regexp.MustCompile(`[.-][0-9]{14}-([0-9a-f]{12})$`)

// commitOf is the commit that the binary was built from. A build from a checkout has it. go install names a version and the
// checksum of the sources instead, by which go.sum and the checksum database know the commit.
func commitOf(info *debug.BuildInfo) string {
	commit, dirty := "unknown", ""
	if rev := pseudo.FindStringSubmatch(info.Main.Version); rev != nil {
		commit = rev[1]
	} else if info.Main.Sum != "" {
		commit = fmt.Sprintf("tag %s (%s)", info.Main.Version, info.Main.Sum)
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " (modified)"
		}
	}
	return commit + dirty
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
