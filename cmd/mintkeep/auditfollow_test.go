package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// --follow prints each event once and in its order, goes on after a 503, and ends with 0 when the user interrupts it.
func TestAuditFollow(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	s := processtest.StartReady(t, processtest.OnRedis(redis.URL())...)
	s.Register(t, `{"client_id":"before"}`)
	follow := func(args ...string) (stdout, stderr *processtest.Output, interrupt func() int) {
		ctx, stop := context.WithCancel(t.Context())
		stdout, stderr = &processtest.Output{}, &processtest.Output{}
		code := make(chan int, 1)
		go func() {
			code <- run(ctx, process{
				args: append([]string{"audit", "--follow"}, args...), stdin: strings.NewReader(""), stdout: stdout, stderr: stderr, now: time.Now,
				environ: []string{"MINTKEEP_URL=" + s.URL, "MINTKEEP_ADMIN_TOKEN=" + processtest.AdminToken},
			})
		}()
		return stdout, stderr, func() int { stop(); return <-code }
	}
	await := func(o *processtest.Output, what string) {
		t.Helper()
		processtest.Eventually(t, processtest.Patience, func() bool { return strings.Contains(o.String(), what) }, func() string { return o.String() + s.Log.String() })
	}
	all, warnings, endAll := follow("--since=1h")
	await(all, "client:before")
	fresh, _, endFresh := follow()
	polls := strings.Count(s.Log.String(), `"route":"/admin/audit"`)
	processtest.Eventually(t, processtest.Patience, func() bool { return strings.Count(s.Log.String(), `"route":"/admin/audit"`) >= polls+4 }, s.Log.String)

	s.Register(t, `{"client_id":"one"}`)
	s.Register(t, `{"client_id":"two"}`)
	await(all, "client:two")
	await(fresh, "client:two")
	redis.Freeze()
	await(warnings, "trying again")
	redis.Thaw()
	processtest.Eventually(t, processtest.Patience, func() bool {
		return s.Admin(http.MethodPost, "/admin/clients", `{"client_id":"three"}`).Is(http.StatusCreated)
	}, s.Log.String)
	await(all, "client:three")
	await(fresh, "client:three")

	for name, end := range map[string]func() int{"all": endAll, "fresh": endFresh} {
		if code := end(); code != exitOK {
			t.Errorf("%s: exit code %d, want %d", name, code, exitOK)
		}
	}
	targets := func(o *processtest.Output) (list []string) {
		for line := range strings.Lines(o.String()) {
			if _, rest, ok := strings.Cut(line, `"action":"client.created","target":"client:`); ok {
				target, _, _ := strings.Cut(rest, `"`)
				list = append(list, target)
			}
		}
		return list
	}
	if got := strings.Join(targets(all), " "); got != "before one two three" {
		t.Errorf("--since=1h printed %s", got)
	}
	if got := strings.Join(targets(fresh), " "); got != "one two three" {
		t.Errorf("without --since it printed %s", got)
	}
}

// What another attempt cannot change ends the command.
func TestAuditFollowRejected(t *testing.T) {
	t.Parallel()
	s := processtest.StartReady(t, "MINTKEEP_ADMIN_TOKEN="+processtest.AdminToken)
	for name, environ := range map[string][]string{
		"a wrong token":            {"MINTKEEP_URL=" + s.URL, "MINTKEEP_ADMIN_TOKEN=another-token-that-is-long-enough"},
		"no server at the address": {"MINTKEEP_URL=http://127.0.0.1:1", "MINTKEEP_ADMIN_TOKEN=" + processtest.AdminToken},
	} {
		if got := mintkeep(t, environ, "", "audit", "--follow"); got.code != exitFailed {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
