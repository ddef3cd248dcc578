package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/credential"
)

// probed is an admin route where something is revoked, and a probe comes to this.
func probed(t *testing.T, progress string) *admin {
	return newAdmin(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/admin/guards/probe":
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":"probe_1"}`)
		case strings.HasPrefix(r.URL.Path, "/admin/guards/probe/"):
			_, _ = io.WriteString(w, progress)
		case strings.HasPrefix(r.URL.Path, "/admin/keys/report"):
			_, _ = io.WriteString(w, `{"received":1,"live":1}`)
		case strings.HasSuffix(r.URL.Path, "/secrets"):
			_, _ = io.WriteString(w, `{"secret_id":"s2","client_secret":"","created_at":"2026-01-02T03:04:05Z","items":[]}`)
		case strings.HasPrefix(r.URL.Path, "/admin/clients") && r.Method != http.MethodDelete:
			_, _ = io.WriteString(w, billing)
		case strings.HasPrefix(r.URL.Path, "/admin/keys") && r.Method != http.MethodDelete:
			_, _ = io.WriteString(w, liveKey)
		default:
			people(w, r)
		}
	})
}

const allPassed = `{"id":"probe_1","complete":true,"guards":12,"passed":12,"silent":0,"passed_ms":84,"truncated":false,"items":[]}`

// Each command that revokes something can wait, and says so when it is done.
func TestEachRevocationWaits(t *testing.T) {
	for _, args := range []string{
		"key revoke key_1", "key rotate key_1 --overlap=0s", "key report",
		"client disable billing", "client delete billing", "client revoke-tokens billing", "client revoke-secret billing s1",
		"client rotate billing --overlap=0s", "client update billing --scope=read",
		"user disable usr_1", "user delete usr_1", "user update usr_1 --role=developer",
	} {
		t.Run(args, func(t *testing.T) {
			server := probed(t, allPassed)
			got := mintkeep(t, server.environ(), credential.NewKey("mk"), append(strings.Fields(args), "--wait")...)
			if got.code != exitOK || !strings.HasSuffix(got.stdout, "12 of 12 guards in 84 ms\n") {
				t.Errorf("got %+v", got)
			}
			asked := strings.Join(server.asked, "\n")
			if !strings.HasSuffix(asked, "POST /admin/guards/probe\nGET /admin/guards/probe/probe_1?wait=1000") {
				t.Errorf("asked %s", asked)
			}
			without := probed(t, allPassed)
			got = mintkeep(t, without.environ(), "", strings.Fields(args)...)
			if asked := strings.Join(without.asked, "\n"); strings.Contains(asked, "guards") || strings.Contains(got.stdout, "guards") {
				t.Errorf("without --wait: asked %s, got %+v", asked, got)
			}
		})
	}
}

func progressOf(complete bool, guards, passed int, items ...string) string {
	ms := "null"
	if passed > 0 {
		ms = "90"
	}
	return fmt.Sprintf(`{"id":"probe_1","complete":%t,"guards":%d,"passed":%d,"silent":0,"passed_ms":%s,"truncated":false,"items":[%s]}`,
		complete, guards, passed, ms, strings.Join(items, ","))
}

func probedGuard(instance, state string, heard int) string {
	return fmt.Sprintf(`{"instance":%q,"client_id":"orders","state":%q,"passed_ms":null,"lease_ms":1000,"last_heard_ms":%d}`, instance, state, heard)
}

// The line about the guards, and the exit code.
func TestWaitSaysWhichGuardsDoNotKnow(t *testing.T) {
	t.Parallel()
	var seven []string
	for i := range 7 {
		seven = append(seven, probedGuard(fmt.Sprintf("orders-%d", i), "waiting", 200))
	}
	for _, tt := range []struct {
		name, progress, want string
		code                 int
	}{
		{"all", allPassed, "12 of 12 guards in 84 ms", exitOK},
		{"one", progressOf(true, 1, 1), "1 of 1 guard in 90 ms", exitOK},
		{"none connected", progressOf(true, 0, 0), "No guard is connected", exitOK},
		{
			"one stopped", progressOf(true, 12, 11, probedGuard("orders-2", "silent", 1432)),
			"11 of 12 in 90 ms; orders-2 was last heard 1.4 s ago and asks per call", exitOK,
		},
		{
			"one does not answer", progressOf(false, 12, 11, probedGuard("orders-2", "waiting", 432)),
			"11 of 12 in 90 ms; orders-2 was last heard 0.4 s ago and may not know yet", exitGuards,
		},
		{
			"one has no name", progressOf(true, 1, 0, probedGuard("", "silent", 2000)),
			"0 of 1; an unnamed guard of client orders was last heard 2.0 s ago and asks per call", exitOK,
		},
		{
			"many", progressOf(false, 9, 2, seven...),
			"2 of 9 in 90 ms; orders-0 was last heard 0.2 s ago and may not know yet; orders-1 was last heard 0.2 s ago and may not know yet; " +
				"orders-2 was last heard 0.2 s ago and may not know yet; orders-3 was last heard 0.2 s ago and may not know yet; " +
				"orders-4 was last heard 0.2 s ago and may not know yet; and 2 more", exitGuards,
		},
		{
			"too many", strings.NewReplacer(`"truncated":false`, `"truncated":true`, `"complete":true`, `"complete":false`).Replace(allPassed),
			"12 of 12 in 84 ms; there are more guards than the server counts", exitGuards,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := probed(t, tt.progress)
			got := mintkeep(t, server.environ(), "", "key", "revoke", "key_1", "--wait=100ms")
			if want := (result{tt.code, "Revoked key key_1\n" + tt.want + "\n", ""}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			got = mintkeep(t, server.environ(), "", "key", "revoke", "key_1", "--wait=100ms", "--json")
			var same struct{ Guards, Passed int }
			if err := json.Unmarshal([]byte(got.stdout), &same); err != nil || got.code != tt.code || got.stderr != "" {
				t.Errorf("with --json: %+v, %v", got, err)
			}
		})
	}
}

// With --json there is one object: what was done, with the guards in it.
func TestWaitInJSON(t *testing.T) {
	server := probed(t, allPassed)
	got := mintkeep(t, server.environ(), "", "client", "disable", "billing", "--wait", "--json")
	var shown struct {
		ClientID string `json:"client_id"`
		Guards   struct{ Guards, Passed int }
	}
	if err := json.Unmarshal([]byte(got.stdout), &shown); err != nil || shown.ClientID != "billing" || shown.Guards.Passed != 12 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// What was revoked stays so when the guards cannot be asked, and it is said.
func TestWaitWithoutFeed(t *testing.T) {
	server := newAdmin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		says(http.StatusNotFound, `{"error":"not_found","error_description":"This server has no feed"}`)(w, r)
	})
	got := mintkeep(t, server.environ(), "", "key", "revoke", "key_1", "--wait")
	if got.code != exitFailed || got.stdout != "Revoked key key_1\n" || !strings.Contains(got.stderr, "this was done") || !strings.Contains(got.stderr, "no feed") {
		t.Errorf("got %+v", got)
	}
	for _, wait := range []string{"99ms", "11s", "x", "", "-1s"} {
		if got := mintkeep(t, server.environ(), "", "key", "revoke", "key_1", "--wait="+wait); got.code != exitUsage || !strings.Contains(got.stderr, "from 100ms to 10s") {
			t.Errorf("--wait=%s: got %+v", wait, got)
		}
	}
}
