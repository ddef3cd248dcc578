package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// An operator types what docs/operations.md says.

// stepsOf are the blocks of shell commands in a section of docs/operations.md, to the next heading.
func stepsOf(t *testing.T, heading string) []string {
	t.Helper()
	_, section, found := strings.Cut(text(t, "../../docs/operations.md"), "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/operations.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n#")
	var steps []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		steps = append(steps, block[1])
	}
	if len(steps) == 0 {
		t.Fatalf("%q has no commands", heading)
	}
	return steps
}

var untilZero = regexp.MustCompile(`(?m)^(.*?) +# until it is 0$`)

// typed runs commands in a shell that finds mintkeep, and a redis-cli that goes to redis. What is to be repeated until it
// is 0 is.
func typed(t *testing.T, redis *storetest.Server, dir, commands string, environ ...string) string {
	t.Helper()
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		if strings.Contains(os.Getenv("MINTKEEP_TEST_REQUIRE"), "redis") {
			t.Fatal("redis-cli is not installed, and MINTKEEP_TEST_REQUIRE asks for Redis")
		}
		t.Skip("redis-cli is not installed")
	}
	bin := t.TempDir()
	if err := os.Symlink(processtest.Program(t), filepath.Join(bin, "mintkeep")); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(redis.Addr(), ":")
	if err := os.WriteFile(filepath.Join(bin, "redis-cli"), fmt.Appendf(nil, "#!/bin/sh\nexec %s -e -p %s \"$@\"\n", cli, port), 0o700); err != nil {
		t.Fatal(err)
	}
	commands = untilZero.ReplaceAllString(commands, "until $1 | grep -q :0; do sleep 0.05; done")
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", commands)
	cmd.Dir, cmd.Env = dir, append(environ, "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\n%s", err, commands, out)
	}
	return string(out)
}

// asDocumented gives Redis the users of docs/operations.md, and returns the URL for Mintkeep.
func asDocumented(t *testing.T, redis *storetest.Server) string {
	t.Helper()
	for user, password := range map[string]string{"mintkeep": "a-long-password", "mintkeep-backup": "another-long-password"} {
		args := []any{"ACL", "SETUSER", user, "on", ">" + password}
		for rule := range strings.FieldsSeq(storetest.DocumentedRights(user)) {
			args = append(args, rule)
		}
		do(t, redis, args...)
	}
	return strings.Replace(redis.URL(), "://", "://mintkeep:a-long-password@", 1)
}

// "Doing without the admin token".
func TestDoingWithoutTheAdminToken(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it is left out of the step with the race detector, for its time; the other steps run it")
	}
	redis := storetest.Redis(t)
	r := processtest.StartReady(t, processtest.OnRedis(asDocumented(t, redis))...)
	for _, commands := range stepsOf(t, "### Doing without the admin token") {
		commands = strings.ReplaceAll(commands, "https://auth.example.com", processtest.Issuer)
		out := typed(t, redis, t.TempDir(), commands, "MINTKEEP_URL="+r.URL, "MINTKEEP_ADMIN_TOKEN="+processtest.AdminToken)
		if !strings.Contains(out, "deployer") || strings.Contains(out, "mks_") {
			t.Errorf("got %s\nwant the list of clients, and no secret", out)
		}
	}
}

// "Backup": both manners, under the documented ACL, give files that hold the client.
func TestBackupAsDocumented(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it is left out of the step with the race detector, for its time; the other steps run it")
	}
	redis := storetest.Redis(t, "--appendonly", "yes")
	r := processtest.StartReady(t, processtest.OnRedis(asDocumented(t, redis))...)
	r.Register(t, `{"client_id":"canary-client","scope":"read"}`)
	for i, commands := range stepsOf(t, "## Backup") {
		dir := t.TempDir()
		typed(t, redis, dir, commands)
		found := false
		_ = filepath.WalkDir(filepath.Join(dir, "backup"), func(path string, entry os.DirEntry, _ error) error {
			if info, err := entry.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("backup %d: other users can read %s: %v %v", i+1, path, info.Mode(), err)
			}
			content, _ := os.ReadFile(path)
			found = found || strings.Contains(string(content), "canary-client")
			return nil
		})
		if !found {
			t.Errorf("backup %d does not have the client", i+1)
		}
	}
}

// "Restore": what was revoked after the backup is active in the restored Redis, until the documented commands have replayed it from
// the export of the audit log. The Redis user of Mintkeep has the documented rights alone.
func TestRestoreAsDocumented(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it is left out of the step with the race detector, for its time; the other steps run it")
	}
	redis, dir := storetest.Redis(t, "--appendonly", "yes"), t.TempDir()
	environ := processtest.OnRedis(asDocumented(t, redis))
	r := processtest.StartReady(t, environ...)
	kept := r.Register(t, `{"client_id":"kept","scope":"read"}`)
	late := r.Register(t, `{"client_id":"late","scope":"read"}`)
	token := r.Token(t, late)
	typed(t, redis, dir, stepsOf(t, "## Backup")[1])

	ask(t, r, http.MethodPatch, "/admin/clients/late", `{"disabled":true}`, http.StatusOK)
	export, fence := stepsOf(t, "### Restore")[0], stepsOf(t, "### Restore")[2]
	typed(t, redis, dir, export, "MINTKEEP_URL="+r.URL, "MINTKEEP_ADMIN_TOKEN="+processtest.AdminToken)

	data := filepath.Join(dirOf(t, redis), "appendonlydir")
	redis.Stop()
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	copyTree(t, filepath.Join(dir, "backup", "appendonlydir"), data)
	redis.Start()
	asDocumented(t, redis)
	if got := do(t, redis, "HEXISTS", "mk:c:late", "gen"); got != int64(1) {
		t.Errorf("the client that was disabled has no generation in the backup (%v): then docs/operations.md warns of nothing", got)
	}

	out := typed(t, redis, dir, "mintkeep rekey --dry-run\n"+strings.ReplaceAll(fence, "jsonl\n", "jsonl --yes\n"), environ...)
	if !strings.Contains(out, "late") {
		t.Errorf("got %s\nwant late among what was disabled again", out)
	}
	r.AwaitReady(t)
	if got := r.Issue(late); !got.Is(http.StatusUnauthorized) {
		t.Errorf("the disabled client gets %s, want 401", got)
	}
	if got := r.Introspect(kept, token); !got.Inactive() {
		t.Errorf("its token: %s, want inactive", got)
	}
	if !r.Introspect(kept, r.Token(t, kept)).Active() {
		t.Error("the other client's new token is not active")
	}
}
