package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// The healthcheck is the exit code of a probe: 0 while the guard is ready, 1 while it is not, and before and after.
func TestHealthcheck(t *testing.T) {
	s := newStand(t, "")
	probe := func(addr string) (int, string) {
		var stderr bytes.Buffer
		return run(context.Background(), []string{"healthcheck"}, func(name string) string {
			return map[string]string{"MINTKEEP_GUARD_ADDR": addr}[name]
		}, nil, io.Discard, &stderr), stderr.String()
	}
	if code, stderr := probe(s.url); code != 0 {
		t.Errorf("a guard that is ready: exit code %d: %s", code, stderr)
	}
	for _, addr := range []string{"127.0.0.1:1", "unix:" + filepath.Join(t.TempDir(), "none.sock")} {
		if code, stderr := probe(addr); code != 1 || stderr == "" {
			t.Errorf("%s, where no guard listens: exit code %d: %q", addr, code, stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	var stdout bytes.Buffer
	if code := run(t.Context(), []string{"version"}, func(string) string { return "" }, nil, &stdout, io.Discard); code != 0 {
		t.Errorf("exit code %d", code)
	}
	lines := strings.Split(stdout.String(), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "mintkeep-guard ") || !strings.HasPrefix(lines[1], "commit ") || !strings.HasPrefix(lines[2], "go ") {
		t.Errorf("got %q", lines)
	}
}

func TestPseudoCommit(t *testing.T) {
	for version, want := range map[string]string{
		"v0.0.0-20261129150000-0123456789ab":        "0123456789ab",
		"v1.2.4-0.20261129150000-0123456789ab":      "0123456789ab",
		"v1.2.3-rc.1.0.20261129150000-0123456789ab": "0123456789ab",
		"v1.2.3":                                     "",
		"v1.2.3-rc-0123456789ab":                     "",
		"v1.2.4-0.2026112915000x-0123456789ab":       "",
		"v1.2.4-0.20261129150000-0123456789ag":       "",
		"v1.2.4-0.20261129150000-0123456789ab+dirty": "",
		"(devel)": "",
		"-":       "",
		"":        "",
	} {
		if got, found := pseudoCommit(version); found != (want != "") || found && got != want {
			t.Errorf("%q: got %q, %v", version, got, found)
		}
	}
}
