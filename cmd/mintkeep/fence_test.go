package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// backup is the data of a Redis at one moment.
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

// restore puts the backup back, on the same port, without the keys of the replicas: it is older than anything that they
// have seen.
func (b backup) restore(t *testing.T) {
	t.Helper()
	b.redis.Stop()
	if err := os.WriteFile(b.file, b.rdb, 0o600); err != nil {
		t.Fatal(err)
	}
	b.redis.Start()
}

// ask asks an admin route, which must answer with this status, and returns the body.
func ask(t *testing.T, r *processtest.Server, method, path, body string, want int) map[string]any {
	t.Helper()
	contentType := "application/json"
	if method == http.MethodPatch {
		contentType = "application/merge-patch+json"
	}
	got := r.Call(method, path, contentType, body, "Bearer "+processtest.AdminToken)
	if !got.Is(want) {
		t.Fatalf("%s %s: %s, want %d", method, path, got, want)
	}
	read := map[string]any{}
	if got.Body != "" {
		if err := json.Unmarshal([]byte(got.Body), &read); err != nil {
			t.Fatal(err)
		}
	}
	return read
}

// A backup is taken, much is revoked after it, and it is put back under a running replica. Nothing that was revoked is
// active again, and the rest still works.
func TestRestoreWithFence(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	environ := processtest.OnRedis(redis.URL())
	early := processtest.StartReady(t, environ...)

	register := func() string { return early.Register(t, `{"scope":"read"}`) }
	client, disabled, deleted := register(), register(), register()
	back := register() // is disabled and enabled again
	idOf := func(authorization string) string {
		pair, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(authorization, "Basic "))
		id, _, _ := strings.Cut(string(pair), ":")
		return id
	}
	user := ask(t, early, http.MethodPost, "/admin/users", `{"email":"ada@example.com","role":"developer"}`, http.StatusCreated)["id"].(string)
	newKey := func() (id, plain string) {
		k := ask(t, early, http.MethodPost, "/admin/users/"+user+"/keys", `{"name":"ci","scope":"read"}`, http.StatusCreated)
		return k["id"].(string), k["key"].(string)
	}
	revokedID, revoked := newKey()
	_, kept := newKey()
	token := early.Token(t, client)
	yesterday := backUp(t, redis)

	// The replica has no watermark in the backup, and its redo log does not reach back to then.
	early.Signal(t, syscall.SIGKILL)
	_ = early.Wait()
	if _, err := redis.Do("HINCRBY", "mk:epoch", "n", 1_000_000); err != nil { // a day of heartbeats
		t.Fatal(err)
	}
	r := processtest.StartReady(t, environ...)
	ask(t, r, http.MethodDelete, "/admin/keys/"+revokedID, "", http.StatusNoContent)
	ask(t, r, http.MethodDelete, "/admin/clients/"+idOf(deleted), "", http.StatusNoContent)
	ask(t, r, http.MethodPatch, "/admin/clients/"+idOf(disabled), `{"disabled":true}`, http.StatusOK)
	ask(t, r, http.MethodPatch, "/admin/clients/"+idOf(back), `{"disabled":true}`, http.StatusOK)
	ask(t, r, http.MethodPatch, "/admin/clients/"+idOf(back), `{"disabled":false}`, http.StatusOK)
	ask(t, r, http.MethodPatch, "/admin/clients/"+idOf(client), `{"scope":""}`, http.StatusOK)
	trail := filepath.Join(t.TempDir(), "audit.json")
	exported := mintkeep(t, []string{"MINTKEEP_URL=" + r.URL, "MINTKEEP_ADMIN_TOKEN=" + processtest.AdminToken}, "", "audit")
	if lines := strings.Count(exported.stdout, "\n"); exported.code != exitOK || lines < 6 {
		t.Fatalf("audit: %d lines, want one for each change: %+v", lines, exported)
	}
	if err := os.WriteFile(trail, []byte(exported.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	page, err := json.Marshal(ask(t, r, http.MethodGet, "/admin/audit?limit=100", "", http.StatusOK)) // as curl gets it
	if err != nil {
		t.Fatal(err)
	}

	yesterday.restore(t)
	processtest.Eventually(t, processtest.Patience, func() bool {
		got := r.Get("/readyz")
		return got.Err == nil && strings.Contains(got.Body, "mintkeep fence")
	}, r.Log.String)
	if got := r.Metric(t, "mintkeep_store_behind"); got != 1 {
		t.Errorf("mintkeep_store_behind is %v, want 1: it is what calls somebody", got)
	}
	for what, got := range map[string]processtest.Answer{"the revoked key": r.Me(revoked), "the key that was kept": r.Me(kept)} {
		if !got.Is(http.StatusServiceUnavailable) {
			t.Errorf("%s gets %s from a replica that is behind, want 503", what, got)
		}
	}

	if got := mintkeep(t, environ, "", "fence", "--audit", trail); got.code != exitUsage || !strings.Contains(got.stderr, "--yes") {
		t.Errorf("without --yes: %+v, want exit code 2", got)
	}
	dry := mintkeep(t, environ, "", "fence", "--audit", trail, "--dry-run")
	if dry.code != exitOK || !strings.Contains(dry.stdout, "Nothing was changed") || !strings.Contains(dry.stdout, "planned") || r.Ready() {
		t.Errorf("--dry-run: %+v", dry)
	}
	got := mintkeep(t, environ, "", "fence", "--audit", trail, "--yes")
	if got.code != exitOK {
		t.Fatalf("fence: %+v", got)
	}
	for _, want := range []string{
		"4 clients", "1 user", "revoke key", "key:" + revokedID + " (", "delete client", "client:" + idOf(deleted), "disable client", "client:" + idOf(disabled),
		"client.updated", "client:" + idOf(client), "Fenced",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("fence does not say %q:\n%s", want, got.stdout)
		}
	}
	if strings.Contains(got.stdout, idOf(back)) {
		t.Errorf("fence touches the client that was enabled again:\n%s", got.stdout)
	}

	processtest.Eventually(t, processtest.Patience, r.Ready, r.Log.String)
	if got := r.Metric(t, "mintkeep_store_behind"); got != 0 {
		t.Errorf("mintkeep_store_behind is %v after the fence, want 0", got)
	}
	if got := r.Me(revoked); !got.Is(http.StatusUnauthorized) {
		t.Errorf("the revoked key gets %s, want 401", got)
	}
	if got := r.Me(kept); !got.Is(http.StatusOK) {
		t.Errorf("the key that was kept gets %s, want 200", got)
	}
	for what, authorization := range map[string]string{"disabled": disabled, "deleted": deleted} {
		if got := r.Issue(authorization); !got.Is(http.StatusUnauthorized) {
			t.Errorf("the %s client gets %s, want 401", what, got)
		}
	}
	if got := r.Introspect(client, token); !got.Inactive() {
		t.Errorf("a token of before the fence: %s, want inactive", got)
	}
	if !r.Introspect(client, r.Token(t, client)).Active() || !r.Introspect(back, r.Token(t, back)).Active() {
		t.Error("a client cannot go on with a new token")
	}
	items := ask(t, r, http.MethodGet, "/admin/audit?limit=1", "", http.StatusOK)["items"].([]any)
	if e := items[0].(map[string]any); e["action"] != "fence" || e["actor"] != "operator (mintkeep fence)" {
		t.Errorf("the last event is %v, want the fence", e)
	}

	// The log of the backup has the deleted client, and not its deletion.
	if got := mintkeep(t, environ, "", "doctor"); !strings.Contains(got.stdout, "ok    audit log") {
		t.Errorf("doctor after the fence: %+v", got)
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
		{[]string{url}, []string{"--yes", "--audit", bad}, exitUsage, "line 1 is not an event"},
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

// A line of the export that was cut short is named, and the others are replayed. The exit code is that of a revocation that could
// not be replayed.
func TestFenceOfAnUnreadableLine(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	r := processtest.StartReady(t, processtest.OnRedis(redis.URL())...)
	r.Register(t, `{"client_id":"billing"}`)
	export := filepath.Join(t.TempDir(), "audit.jsonl")
	lines := `{"id":"1-1","at":"2027-01-02T03:04:05Z","action":"client.dele` + "\n" +
		`{"id":"2-1","at":"2099-01-02T03:04:06Z","action":"client.disabled","target":"client:billing"}` + "\n"
	if err := os.WriteFile(export, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	fence := func(args ...string) result {
		return mintkeep(t, []string{"MINTKEEP_REDIS_URL=" + redis.URL()}, "", append([]string{"fence", "--audit", export}, args...)...)
	}
	const failed = "1 line of the export could not be read, see above: revoke manually what was revoked there"
	got := fence("--yes")
	for _, want := range []string{"warning: --audit " + export + ": line 1 cannot be read; if it is a revocation, it is not replayed", failed} {
		if got.code != exitFailed || !strings.Contains(got.stderr, want) || !strings.Contains(got.stdout, "Fenced") {
			t.Errorf("got %+v, want %q", got, want)
		}
	}
	if client := ask(t, r, http.MethodGet, "/admin/clients/billing", "", http.StatusOK); client["disabled"] != true {
		t.Errorf("got %v, want the client disabled", client)
	}
	var report struct {
		Unreadable []struct {
			File string
			Line int
		}
	}
	inJSON := fence("--dry-run", "--json")
	if err := json.Unmarshal([]byte(inJSON.stdout), &report); err != nil || len(report.Unreadable) != 1 || report.Unreadable[0].Line != 1 || !strings.Contains(inJSON.stderr, failed) {
		t.Errorf("got %+v, %v", inJSON, err)
	}
}

// The fence finds a client that no list has: its tokens are revoked at every replica, and it is listed again.
func TestFenceOfAnUnlistedClient(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	environ := processtest.OnRedis(redis.URL())
	a, b := processtest.StartReady(t, environ...), processtest.StartReady(t, environ...)
	client := a.Register(t, `{"client_id":"ghost","client_name":"Ghost","scope":"read"}`)
	token := a.Token(t, client)
	do(t, redis, "ZREM", "mk:clients:id", "ghost")
	do(t, redis, "ZREM", "mk:clients:name", "ghost\x00ghost")
	if got := a.Admin(http.MethodGet, "/admin/clients", ""); strings.Contains(got.Body, "ghost") {
		t.Fatalf("it is listed: %s", got)
	}
	got := mintkeep(t, environ, "", "fence", "--yes")
	if got.code != exitOK || !strings.Contains(got.stdout, "the tokens of 1 client ") || !strings.Contains(got.stdout, "1 of them was missing in the lists") {
		t.Errorf("fence: %+v", got)
	}
	for name, replica := range map[string]*processtest.Server{"a": a, "b": b} {
		if got := replica.Introspect(client, token); !got.Inactive() {
			t.Errorf("replica %s: %s, want inactive", name, got)
		}
		for _, query := range []string{"", "?q=gho"} {
			if got := replica.Admin(http.MethodGet, "/admin/clients"+query, ""); !strings.Contains(got.Body, `"client_id":"ghost"`) {
				t.Errorf("replica %s lists %s", name, got)
			}
		}
	}
}
