package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// A guard whose process is stopped, as by SIGSTOP or a machine that is suspended, does not know of a revocation. --wait names it,
// and is done when its lease has run out: it asks for each call then.
func TestRevokeWaitsForAStoppedGuard(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("for its time: the step with -race leaves it out, all others run it")
	}
	s := processtest.StartReady(t, "MINTKEEP_ADMIN_TOKEN="+processtest.AdminToken)
	cli := []string{"MINTKEEP_URL=" + s.URL, "MINTKEEP_ADMIN_TOKEN=" + processtest.AdminToken}
	secret := s.Admin("POST", "/admin/clients", `{"client_id":"orders","scope":"mintkeep:introspect"}`).Member(t, 201, "client_secret")
	ann := s.Admin("POST", "/admin/users", `{"email":"ann@example.com"}`).Member(t, 201, "id")
	key := func() string {
		return s.Admin("POST", "/admin/users/"+ann+"/keys", `{"name":"x"}`).Member(t, 201, "id")
	}
	guard := guardProcess(t, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), secret)
	list := func() string { return mintkeep(t, cli, "", "guard", "list", "--state=current").stdout }
	processtest.Eventually(t, processtest.Patience, func() bool { return strings.Contains(list(), "orders") }, list)

	got := mintkeep(t, cli, "", "key", "revoke", key(), "--wait=10s")
	if !strings.Contains(got.stdout, "\n1 of 1 guard in ") || got.code != exitOK {
		t.Errorf("before it is stopped: %+v", got)
	}
	if err := guard.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	got = mintkeep(t, cli, "", "key", "revoke", key(), "--wait=10s")
	if !regexp.MustCompile(`\n0 of 1; \S+ was last heard \d+\.\d s ago and asks per call\n$`).MatchString(got.stdout) || got.code != exitOK {
		t.Errorf("while it is stopped: %+v", got)
	}
	if err := guard.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	processtest.Eventually(t, processtest.Patience, func() bool { return strings.Contains(list(), "orders") }, list)
	got = mintkeep(t, cli, "", "key", "revoke", key(), "--wait=10s")
	if !strings.Contains(got.stdout, "\n1 of 1 guard in ") || got.code != exitOK {
		t.Errorf("when it goes on: %+v", got)
	}
}

// guardProcess is mintkeep-guard, built from its module, which asks this issuer.
func guardProcess(t *testing.T, issuer, secret string) *exec.Cmd {
	t.Helper()
	folder := t.TempDir()
	program := filepath.Join(folder, "mintkeep-guard")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./cmd/mintkeep-guard")
	build.Dir = "../../server/guard"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building mintkeep-guard: %v\n%s", err, out)
	}
	save(t, filepath.Join(folder, "secret"), secret)
	guard := exec.CommandContext(t.Context(), program)
	guard.Env = []string{
		"MINTKEEP_ISSUER=" + issuer, "MINTKEEP_CLIENT_ID=orders", "MINTKEEP_CLIENT_SECRET_FILE=" + filepath.Join(folder, "secret"),
		"MINTKEEP_GUARD_AUDIENCES=https://orders.example.com", "MINTKEEP_GUARD_ADDR=unix:" + filepath.Join(folder, "guard.sock"),
	}
	var output processtest.Output
	guard.Stdout, guard.Stderr = &output, &output
	if err := guard.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = guard.Process.Kill()
		_ = guard.Wait()
		if t.Failed() {
			t.Log(output.String())
		}
	})
	return guard
}
