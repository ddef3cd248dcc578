package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
)

// TestApplyInterrupted: a run that is killed in the middle is completed by the next one.
func TestApplyInterrupted(t *testing.T) {
	s := newApplyServer(t)
	var clients []string
	for i := range 20 {
		clients = append(clients, fmt.Sprintf("svc-%02d: {secrets: [{sha256: %s}, {sha256: %s}], disabled: %t}", i,
			sha256Hex(fmt.Sprintf("a secret of 32 random characters %d", i)), sha256Hex(fmt.Sprintf("another of 32 random characters %d", i)), i%2 == 0))
	}
	document := declaration(clients...)
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	s.before = func(*http.Request) bool {
		if s.changes.Load() > 15 {
			kill()
			return false
		}
		return true
	}
	var stdout, stderr strings.Builder
	code := run(ctx, process{
		args: []string{"apply", "-f", "-"}, environ: s.environ(""), stdin: strings.NewReader(document), stdout: &stdout, stderr: &stderr, now: time.Now,
	})
	if code != exitFailed || !strings.Contains(stderr.String(), "of 20 objects changed; run the command again for the rest") {
		t.Errorf("got exit code %d\n%s", code, stderr.String())
	}
	s.before = nil
	s.apply(t, document, "--yes").want(t, exitOK)
	for i := range 20 {
		c := s.client(t, fmt.Sprintf("svc-%02d", i))
		if c["disabled"] != (i%2 == 0) || len(c["secrets"].([]any)) != 2 {
			t.Errorf("got %v", c)
		}
	}
	s.apply(t, document, "--dry-run").want(t, exitOK, "Nothing to do")
}

// TestApplyDrift: what another operator has changed since is shown, with who and when, and is undone.
func TestApplyDrift(t *testing.T) {
	s := newApplyServer(t)
	document := declaration("billing: {rate_limit: 600/m, name: Billing}") + "users: {ben@example.com: {role: developer}}\n"
	s.apply(t, document).want(t, exitOK)
	ada := s.User(t, servertest.M{"email": "ada@example.com", "role": "operator"})
	key := s.Key(t, ada, servertest.M{"scope": "mintkeep:admin"})
	s.Clock.Advance(time.Hour)
	for _, args := range [][]string{{"client", "update", "billing", "--rate-limit=900/m"}, {"user", "update", "ben@example.com", "--role=operator"}} {
		mintkeep(t, s.environ(key.Plain), "", args...).want(t, exitOK)
	}
	at := s.Clock.Now().UTC().Format(time.RFC3339)
	s.apply(t, strings.Replace(document, "name: Billing", "name: Bills", 1), "--dry-run").want(t, exitDiffers,
		"~ change client billing: name Billing → Bills\n",
		"! drift client billing: rate_limit 600/m, live 900/m by ada@example.com at "+at+"\n",
		"! drift user ben@example.com: role developer, live operator by ada@example.com at "+at+" (revokes ")
	var said applied
	if err := json.Unmarshal([]byte(s.apply(t, document, "--dry-run", "--json").want(t, exitDiffers).stdout), &said); err != nil {
		t.Fatal(err)
	}
	if len(said.Changes) != 2 || said.Changes[0].Drift == nil || said.Changes[0].Drift.By != "ada@example.com" || said.Changes[0].Before != "900/m" {
		t.Errorf("got %+v", said.Changes)
	}
	s.apply(t, document, "--yes").want(t, exitOK)
	s.apply(t, document, "--dry-run").want(t, exitOK)
}

// TestApplyRace: of two runs at once that differ, one makes each change, and the other is told. Nothing of what one made is lost.
func TestApplyRace(t *testing.T) {
	s := newApplyServer(t)
	const objects = 6
	document := func(name, extra string) string {
		var clients []string
		for i := range objects {
			clients = append(clients, fmt.Sprintf("svc-%d: {name: %s%s}", i, name, extra))
		}
		return declaration(clients...)
	}
	for _, stage := range []struct{ what, extra string }{{"two that create", ""}, {"two that change", ", scope: [read]"}} {
		// Each has planned before either changes anything.
		var planned sync.WaitGroup
		planned.Add(2)
		var once [2]sync.Once
		s.before = func(r *http.Request) bool {
			i := 0
			if r.Header.Get("Authorization") != "Bearer "+s.AdminToken {
				i = 1
			}
			once[i].Do(planned.Done)
			planned.Wait()
			return true
		}
		operator := s.User(t, servertest.M{"email": strings.ReplaceAll(stage.what, " ", "-") + "@example.com", "role": "operator"})
		key := s.Key(t, operator, servertest.M{"scope": "mintkeep:admin"})
		var all sync.WaitGroup
		results := make([]result, 2)
		for i, credential := range []string{"", key.Plain} {
			all.Go(func() {
				results[i] = mintkeep(t, s.environ(credential), document(string(rune('A'+i)), stage.extra), "apply", "-f", "-", "--json")
			})
		}
		all.Wait()
		s.before = nil
		for _, r := range results {
			var said applied
			if err := json.Unmarshal([]byte(r.stdout), &said); err != nil {
				t.Fatal(err, r)
			}
			for _, created := range said.Secrets {
				s.Secret(created.Secret)
			}
			if r.code == exitOK {
				continue
			}
			if r.code != exitFailed || said.Made == objects || len(said.Failed) == 0 {
				t.Errorf("%s: got %+v", stage.what, r)
			}
			for _, failed := range said.Failed {
				if !strings.Contains(failed.Error, "409 conflict") && !strings.Contains(failed.Error, "412 precondition_failed") {
					t.Errorf("%s: %s failed: %s", stage.what, failed.ID, failed.Error)
				}
			}
		}
		if results[0].code == exitOK && results[1].code == exitOK {
			t.Errorf("%s: both were told that all is done", stage.what)
		}
		for i := range objects {
			id := fmt.Sprintf("svc-%d", i)
			updates := 0
			for _, e := range s.Admin(t, http.MethodGet, "/admin/audit?target=client:"+id, nil).JSON(t)["items"].([]any) {
				if action := e.(servertest.M)["action"]; action == "client.created" || action == "client.updated" {
					updates++
				}
			}
			if c := s.client(t, id); c["name"] == "" || updates == 0 {
				t.Errorf("%s: %s is %v after %d updates", stage.what, id, c, updates)
			}
		}
		s.apply(t, document("A", stage.extra)).want(t, exitOK) // the next run completes
		s.apply(t, document("A", stage.extra), "--dry-run").want(t, exitOK)
	}
}

// TestApplyUnconfirmed: a change that was made and not confirmed is sent again, for the version that it has made.
func TestApplyUnconfirmed(t *testing.T) {
	s := newApplyServer(t)
	document := declaration("billing: {scope: [read]}", "gone: {}") + "users: {ada@example.com: {}}\n"
	s.apply(t, document).want(t, exitOK)
	for _, document := range []string{
		declaration("billing: {scope: [write]}", "gone: {}"),
		declaration("billing: {scope: [write]}", "gone: {}") + "users: {ada@example.com: {role: operator}}\n",
		declaration("billing: {scope: [write]}") + "users: {ada@example.com: {role: operator}}\n",
	} {
		s.lost.Store(2)
		s.apply(t, document, "--yes", "--prune").want(t, exitOK)
		s.lost.Store(0)
		s.apply(t, document, "--dry-run", "--prune").want(t, exitOK, "Nothing to do")
		if strings.Contains(document, "users") {
			continue
		}
		s.apply(t, document+"users: {ada@example.com: {}}\n").want(t, exitOK)
	}
}

// TestApplyUnconfirmedCreation: a client or a user who was created without an answer is there. What was not shown has a command
// that creates another; a secret that is declared needs none. A creation that was rejected has not been made.
func TestApplyUnconfirmedCreation(t *testing.T) {
	s := newApplyServer(t)
	const user = "version: 1\nowner: platform\nusers: {ada@example.com: {}}\n"
	for _, tt := range []struct{ document, want, command string }{
		{
			declaration("other: {}"), "its secret was not shown: if mintkeep client show other finds the client, run mintkeep client rotate other for a new secret",
			"client rotate other",
		},
		{
			user, "the invite link was not shown: if mintkeep user show ada@example.com finds the user, run mintkeep user invite ada@example.com for a new link",
			"user invite ada@example.com",
		},
	} {
		s.lost.Store(1)
		s.apply(t, tt.document).want(t, exitFailed, "503", tt.want, "0 of 1 object changed")
		s.apply(t, tt.document).want(t, exitOK, "Nothing to do")
		mintkeep(t, s.environ(""), "", strings.Fields(tt.command)...).want(t, exitOK)
	}
	s.lost.Store(1)
	declared := s.apply(t, declaration("other: {}", "declared: {secrets: [{sha256: "+sha256Hex("a secret of 32 random characters")+"}]}")).want(t, exitFailed, "503")
	s.before = func(*http.Request) bool { s.Register(t, servertest.M{"client_id": "taken"}); return true }
	taken := s.apply(t, declaration("other: {}", "declared: {}", "taken: {}")).want(t, exitFailed, "409")
	for _, got := range []result{declared, taken} {
		if strings.Contains(got.stderr, "was not shown") {
			t.Errorf("got %s", got.stderr)
		}
	}
}

// TestApplyStops: an error stops the run, which says what was done.
func TestApplyStops(t *testing.T) {
	s := newApplyServer(t)
	var cut atomic.Bool
	cut.Store(true)
	s.before = func(*http.Request) bool { return !cut.Load() || s.changes.Load() < 4 }
	got := s.apply(t, declaration("a: {}", "b: {}", "c: {}", "d: {}", "e: {}", "f: {}", "g: {}", "h: {}")).want(t, exitFailed,
		"client ", "cannot reach", "of 8 objects changed; run the command again for the rest")
	if done := strings.Count(got.stdout, "created client "); !strings.Contains(got.stderr, fmt.Sprintf("\n%d of 8 objects", done)) {
		t.Errorf("got\n%s%s", got.stdout, got.stderr)
	}
	cut.Store(false)
	environ := []string{"MINTKEEP_URL=" + s.url, "MINTKEEP_ADMIN_TOKEN=" + strings.Repeat("x", 40)}
	mintkeep(t, environ, declaration("other: {}"), "apply", "-f", "-").want(t, exitFailed, "401")
}
