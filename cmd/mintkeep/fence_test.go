package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// backup is what a Redis had at one moment.
type backup struct {
	redis *storetest.Server
	file  string
	rdb   []byte
}

func backUp(t *testing.T, redis *storetest.Server) backup {
	t.Helper()
	_, err := redis.Do("SAVE")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := redis.Client().ConfigGet(t.Context(), "dir").Result()
	if err != nil {
		t.Fatal(err)
	}
	b := backup{redis: redis, file: filepath.Join(dir["dir"], "dump.rdb")}
	if b.rdb, err = os.ReadFile(b.file); err != nil {
		t.Fatal(err)
	}
	return b
}

// restore puts the backup back, on the same port, less whatever replicas have left of theirs: it is as old as they have
// never seen it.
func (b backup) restore(t *testing.T) {
	t.Helper()
	b.redis.Stop()
	if err := os.WriteFile(b.file, b.rdb, 0o600); err != nil {
		t.Fatal(err)
	}
	b.redis.Start()
}

// admin asks an admin route, which must answer with this status, and returns the body.
func (r *replica) admin(t *testing.T, method, path, body string, want int) map[string]any {
	t.Helper()
	contentType := "application/json"
	if method == http.MethodPatch {
		contentType = "application/merge-patch+json"
	}
	status, answer, err := call(method, r.url+path, contentType, body, "Bearer "+testAdminToken)
	if err != nil || status != want {
		t.Fatalf("%s %s: %d %v %s, want %d", method, path, status, err, answer, want)
	}
	read := map[string]any{}
	if answer != "" {
		if err := json.Unmarshal([]byte(answer), &read); err != nil {
			t.Fatal(err)
		}
	}
	return read
}

// me is the status that a key gets.
func (r *replica) me(t *testing.T, key string) int {
	t.Helper()
	status, _, err := call(http.MethodGet, r.url+"/api/v1/users/me", "", "", "Bearer "+key)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// A day in the life of a backup: it is made, much ends after it, and it is put back under a replica that runs. Nothing of
// what ended is live again, and what did not end goes on.
func TestRestoreWithFence(t *testing.T) {
	redis := storetest.Redis(t)
	environ := onRedis(redis.URL())
	early := start(t, environ...)
	eventually(t, 5*time.Second, early.ready, early.stderr.String)

	client, disabled, deleted := early.register(t), early.register(t), early.register(t)
	back := early.register(t) // is disabled and enabled again
	idOf := func(authorization string) string {
		pair, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(authorization, "Basic "))
		id, _, _ := strings.Cut(string(pair), ":")
		return id
	}
	user := early.admin(t, http.MethodPost, "/admin/users", `{"email":"ada@example.com","role":"developer"}`, http.StatusCreated)["id"].(string)
	newKey := func() (id, plain string) {
		k := early.admin(t, http.MethodPost, "/admin/users/"+user+"/keys", `{"name":"ci","scope":"read"}`, http.StatusCreated)
		return k["id"].(string), k["key"].(string)
	}
	revokedID, revoked := newKey()
	_, kept := newKey()
	token := early.token(t, client)
	yesterday := backUp(t, redis)

	// The replica of after the backup has its mark in no backup, and no journal back to then.
	if err := early.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-early.ended
	if _, err := redis.Do("HINCRBY", "mk:epoch", "n", 1_000_000); err != nil { // a day of pulses
		t.Fatal(err)
	}
	r := start(t, environ...)
	eventually(t, 5*time.Second, r.ready, r.stderr.String)
	r.admin(t, http.MethodDelete, "/admin/keys/"+revokedID, "", http.StatusNoContent)
	r.admin(t, http.MethodDelete, "/admin/clients/"+idOf(deleted), "", http.StatusNoContent)
	r.admin(t, http.MethodPatch, "/admin/clients/"+idOf(disabled), `{"disabled":true}`, http.StatusOK)
	r.admin(t, http.MethodPatch, "/admin/clients/"+idOf(back), `{"disabled":true}`, http.StatusOK)
	r.admin(t, http.MethodPatch, "/admin/clients/"+idOf(back), `{"disabled":false}`, http.StatusOK)
	r.admin(t, http.MethodPatch, "/admin/clients/"+idOf(client), `{"scope":""}`, http.StatusOK)
	trail := filepath.Join(t.TempDir(), "audit.json")
	exported := mintkeep(t, []string{"MINTKEEP_URL=" + r.url, "MINTKEEP_ADMIN_TOKEN=" + testAdminToken}, "", "audit")
	if lines := strings.Count(exported.stdout, "\n"); exported.code != exitOK || lines < 6 {
		t.Fatalf("audit: %d lines, want one for each change: %+v", lines, exported)
	}
	if err := os.WriteFile(trail, []byte(exported.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	page, err := json.Marshal(r.admin(t, http.MethodGet, "/admin/audit?limit=100", "", http.StatusOK)) // as curl gets it
	if err != nil {
		t.Fatal(err)
	}

	yesterday.restore(t)
	eventually(t, 10*time.Second, func() bool {
		_, body, err := call(http.MethodGet, r.url+"/readyz", "", "", "")
		return err == nil && strings.Contains(body, "mintkeep fence")
	}, r.stderr.String)
	for what, status := range map[string]int{"the revoked key": r.me(t, revoked), "the key that was kept": r.me(t, kept)} {
		if status != http.StatusServiceUnavailable {
			t.Errorf("%s gets %d from a replica that is behind, want 503", what, status)
		}
	}

	if got := mintkeep(t, environ, "", "fence", "--audit", trail); got.code != exitUsage || !strings.Contains(got.stderr, "--yes") {
		t.Errorf("without --yes: %+v, want exit code 2", got)
	}
	dry := mintkeep(t, environ, "", "fence", "--audit", trail, "--dry-run")
	if dry.code != exitOK || !strings.Contains(dry.stdout, "Nothing was changed") || !strings.Contains(dry.stdout, "planned") || r.ready() {
		t.Errorf("--dry-run: %+v", dry)
	}
	got := mintkeep(t, environ, "", "fence", "--audit", trail, "--yes")
	if got.code != exitOK {
		t.Fatalf("fence: %+v", got)
	}
	for _, want := range []string{
		"4 clients", "1 person", "revoke key", "key:" + revokedID, "delete client", "client:" + idOf(deleted), "disable client", "client:" + idOf(disabled),
		"client.updated", "client:" + idOf(client), "Fenced",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("fence does not say %q:\n%s", want, got.stdout)
		}
	}
	if strings.Contains(got.stdout, idOf(back)) {
		t.Errorf("fence touches the client that was enabled again:\n%s", got.stdout)
	}

	eventually(t, 5*time.Second, r.ready, r.stderr.String)
	if status := r.me(t, revoked); status != http.StatusUnauthorized {
		t.Errorf("the revoked key gets %d, want 401", status)
	}
	if status := r.me(t, kept); status != http.StatusOK {
		t.Errorf("the key that was kept gets %d, want 200", status)
	}
	for what, authorization := range map[string]string{"disabled": disabled, "deleted": deleted} {
		if status, body, _ := call(http.MethodPost, r.url+"/oauth/token", form, "grant_type=client_credentials", authorization); status != http.StatusUnauthorized {
			t.Errorf("the %s client gets %d %s, want 401", what, status, body)
		}
	}
	if r.active(t, client, token) {
		t.Error("a token of before the fence is active")
	}
	if !r.active(t, client, r.token(t, client)) || !r.active(t, back, r.token(t, back)) {
		t.Error("a client cannot go on with a new token")
	}
	items := r.admin(t, http.MethodGet, "/admin/audit?limit=1", "", http.StatusOK)["items"].([]any)
	if e := items[0].(map[string]any); e["action"] != "fence" || e["actor"] != "operator (mintkeep fence)" {
		t.Errorf("the last event is %v, want the fence", e)
	}

	again := mintkeep(t, environ, string(page), "fence", "--audit", "-", "--yes", "--json")
	var report struct {
		Clients  int
		Replayed []struct{ Outcome string }
		Fence    int64
	}
	if err := json.Unmarshal([]byte(again.stdout), &report); again.code != exitOK || err != nil || report.Fence == 0 || report.Clients != 3 || len(report.Replayed) != 3 {
		t.Errorf("again: %+v %v", again, err)
	}
}

func TestFenceMistakes(t *testing.T) {
	redis := storetest.Redis(t)
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte(`{"sub":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "MINTKEEP_REDIS_URL=" + strings.Replace(redis.URL(), "://", "://:canary@", 1)
	for _, tt := range []struct {
		environ []string
		args    []string
		code    int
		says    string
	}{
		{nil, []string{"--yes"}, exitUsage, "MINTKEEP_REDIS_URL"},
		{[]string{url}, []string{"--yes", "--audit", bad}, exitUsage, "object 1 is not an event"},
		{[]string{url}, []string{"--yes", "--audit", bad + ".not"}, exitUsage, "no such file"},
		{[]string{url}, []string{"--yes", "--since", "yesterday"}, exitUsage, "2027-01-31"},
		{[]string{"MINTKEEP_REDIS_URL=redis://:canary@127.0.0.1:1"}, []string{"--yes"}, exitFailed, "127.0.0.1:1"},
	} {
		got := mintkeep(t, tt.environ, "", append([]string{"fence"}, tt.args...)...)
		if got.code != tt.code || !strings.Contains(got.stderr, tt.says) || strings.Contains(got.stderr+got.stdout, "canary") {
			t.Errorf("%q: got %+v, want code %d and %q", tt.args, got, tt.code, tt.says)
		}
	}
}
