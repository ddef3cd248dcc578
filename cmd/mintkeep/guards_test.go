package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// guardInstance polls servers in turn, as a guard does, until it is stopped.
type guardInstance struct {
	stop context.CancelFunc
	done chan struct{}
}

// startGuard starts one that polls as the client of the Authorization header.
func startGuard(t *testing.T, authorization, name string, lease int, servers ...*processtest.Server) *guardInstance {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	g := &guardInstance{stop, make(chan struct{})}
	go func() {
		defer close(g.done)
		after := ""
		for i := 0; ctx.Err() == nil; i++ {
			body := fmt.Sprintf(`{"after":%q,"wait":%d,"nonce":"nonce-%d","instance":%q,"lease":%d,"served":%d,"entries":7,"version":"0.1.0"}`,
				after, min(lease*45/100, 2000), 10000+i, name, lease, i)
			answer := servers[i%len(servers)].Call(http.MethodPost, "/oauth/changes", "application/json", body, authorization)
			var told struct{ Cursor string }
			if answer.Is(http.StatusOK) && json.Unmarshal([]byte(answer.Body), &told) == nil {
				after = told.Cursor
			}
		}
	}()
	t.Cleanup(g.end)
	return g
}

func (g *guardInstance) end() {
	g.stop()
	<-g.done
}

// A revocation that waits names the guard that does not know, and its exit code says whether that one may still answer.
func TestRevokeWaitsForTwelveGuards(t *testing.T) {
	t.Parallel()
	environ := processtest.OnRedis(storetest.Redis(t).URL())
	one, other := processtest.StartReady(t, environ...), processtest.StartReady(t, environ...)
	cli := []string{"MINTKEEP_URL=" + one.URL, "MINTKEEP_ADMIN_TOKEN=" + processtest.AdminToken}
	orders := one.Register(t, `{"client_id":"orders","scope":"mintkeep:introspect"}`)
	ann := one.Admin(http.MethodPost, "/admin/users", `{"email":"ann@example.com"}`).Member(t, http.StatusCreated, "id")
	key := func() string {
		return one.Admin(http.MethodPost, "/admin/users/"+ann+"/keys", `{"name":"x"}`).Member(t, http.StatusCreated, "id")
	}
	var guards []*guardInstance
	for i := range 11 {
		name := fmt.Sprintf("orders-%d", i+1)
		guards = append(guards, startGuard(t, orders, name, 1000, [][]*processtest.Server{{one}, {other}, {one, other}}[i%3]...))
	}
	slow := startGuard(t, orders, "orders-12", 5000, other)
	list := func(args ...string) (found []adminapi.Guard) {
		t.Helper()
		got := mintkeep(t, cli, "", append([]string{"guard", "list", "--json"}, args...)...)
		var page adminapi.GuardPage
		if err := json.Unmarshal([]byte(got.stdout), &page); err != nil || got.code != exitOK {
			t.Fatalf("got %+v, %v", got, err)
		}
		return page.Items
	}
	processtest.Eventually(t, processtest.Patience, func() bool { return len(list("--state=current")) == 12 }, func() string { return fmt.Sprint(list()) })

	got := mintkeep(t, cli, "", "key", "revoke", key(), "--wait=10s")
	if !regexp.MustCompile(`^Revoked key \S+\n12 of 12 guards in \d+ ms\n$`).MatchString(got.stdout) || got.code != exitOK || got.stderr != "" {
		t.Errorf("with all guards: %+v", got)
	}
	// One stops. It is said when its lease has run out.
	guards[0].end()
	got = mintkeep(t, cli, "", "client", "revoke-tokens", "orders", "--wait=10s")
	if !regexp.MustCompile(`\n11 of 12 in \d+ ms; orders-1 was last heard \d+\.\d s ago and asks per call\n$`).MatchString(got.stdout) || got.code != exitOK {
		t.Errorf("with one that stopped: %+v", got)
	}
	// Another stops, whose lease is longer than the wait.
	slow.end()
	got = mintkeep(t, cli, "", "key", "revoke", key(), "--wait=1500ms")
	if !strings.Contains(got.stdout, "10 of 12") || !regexp.MustCompile(`orders-12 was last heard \d\.\d s ago and may not know yet`).MatchString(got.stdout) || got.code != exitGuards {
		t.Errorf("with one whose lease is longer than the wait: %+v", got)
	}
	processtest.Eventually(t, processtest.Patience, func() bool { return len(list("--state=late")) > 0 }, func() string { return fmt.Sprint(list()) })
	got = mintkeep(t, cli, "", "guard", "list")
	if !strings.HasPrefix(got.stdout, "INSTANCE ") || !regexp.MustCompile(`(?m)^orders-4 +orders +0\.1\.0 +current +\d+ms +1000ms +7 `).MatchString(got.stdout) {
		t.Errorf("the table is\n%s", got.stdout)
	}
}
