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
		commit = commitOf(info)
	}
	if release == "" {
		release = "dev"
	}
	_, _ = fmt.Fprintf(w, "mintkeep-guard %s\ncommit   %s\ngo       %s\n", release, commit, goVersion)
}

// pseudoCommit is the commit in a pseudo-version, which go install gives to a commit without a tag: it ends with 14 digits and the
// first 12 of the commit (go.dev/ref/mod#pseudo-versions). Without package regexp the process is smaller.
func pseudoCommit(version string) (commit string, found bool) {
	i := strings.LastIndexByte(version, '-')
	j := strings.LastIndexAny(version[:max(i, 0)], ".-")
	if j < 0 || i-j != 15 || len(version)-i != 13 {
		return "", false
	}
	stamp, commit := version[j+1:i], version[i+1:]
	return commit, strings.Trim(stamp, "0123456789") == "" && strings.Trim(commit, "0123456789abcdef") == ""
}

// commitOf is the commit that the binary was built from. A build from a checkout has it. go install names a version and the
// checksum of the sources instead, by which go.sum and the checksum database know the commit.
func commitOf(info *debug.BuildInfo) string {
	commit, dirty := "unknown", ""
	if rev, found := pseudoCommit(info.Main.Version); found {
		commit = rev
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
