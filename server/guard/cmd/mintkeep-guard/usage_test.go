package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong is named as the user has typed it, each mistake on a line, and the exit code is 2.
func TestErrorsNameTheVariable(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := map[string]string{
		"MINTKEEP_ISSUER": "https://auth.example.com", "MINTKEEP_CLIENT_ID": "orders", "MINTKEEP_CLIENT_SECRET_FILE": secret,
		"MINTKEEP_GUARD_AUDIENCES": orders, "MINTKEEP_GUARD_ADDR": "unix:" + filepath.Join(t.TempDir(), "guard.sock"),
	}
	for _, c := range [][2]string{
		{"MINTKEEP_ISSUER", ""},
		{"MINTKEEP_ISSUER", "http://auth.example.com"},
		{"MINTKEEP_ISSUER", "auth.example.com"},
		{"MINTKEEP_CLIENT_ID", ""},
		{"MINTKEEP_CLIENT_SECRET_FILE", ""},
		{"MINTKEEP_CLIENT_SECRET_FILE", secret + "-of-another"},
		{"MINTKEEP_GUARD_AUDIENCES", ","},
		{"MINTKEEP_GUARD_ADDR", "0.0.0.0:8181"},
		{"MINTKEEP_GUARD_ADDR", ":8181"},
		{"MINTKEEP_GUARD_ADDR", "127.0.0.1"},
		{"MINTKEEP_GUARD_ADDR", "unix:"},
		{"MINTKEEP_GUARD_MAX_STALE", "soon"},
		{"MINTKEEP_GUARD_MAX_STALE", "1ms"},
		{"MINTKEEP_GUARD_WHEN_STALE", "open"},
		{"MINTKEEP_GUARD_WHEN_STALE", "grace:5h"},
		{"MINTKEEP_GUARD_MAX_ENTRIES", "many"},
		{"MINTKEEP_GUARD_MAX_ENTRIES", "-1"},
		{"MINTKEEP_GUARD_PUBLIC_URL", "orders"},
		{"MINTKEEP_GUARD_TOKEN_FILE", secret + "-of-another"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), nil, func(name string) string {
			if name == c[0] {
				return c[1]
			}
			return good[name]
		}, nil, &stdout, &stderr)
		if got := stderr.String(); code != exitUsage || !strings.HasPrefix(got, c[0]) || strings.Count(got, "\n") != 1 || stdout.Len() > 0 {
			t.Errorf("%s=%s: exit code %d, %s", c[0], c[1], code, got)
		}
	}
}

// The help names each setting.
func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, func(string) string { return "" }, nil, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit code %d, %s", code, &stderr)
	}
	for _, name := range append(guardSettings, "MINTKEEP_ISSUER", "MINTKEEP_CLIENT_ID", "MINTKEEP_CLIENT_SECRET_FILE", listenAnywhere) {
		if !strings.Contains(stdout.String(), "\n  "+name+" ") {
			t.Errorf("%s is not in the help", name)
		}
	}
}
