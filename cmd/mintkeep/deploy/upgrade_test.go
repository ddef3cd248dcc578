package deploy

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

var (
	previous = flag.String("previous", "", "the binary of the previous release, for TestUpgrade")
	together = flag.Duration("together", 3*time.Second, "how long TestUpgrade has both versions serve")
)

// "Upgrading" in docs/operations.md: the previous release and this version serve together on one Redis, under load. What one of them
// writes the other reads, and what one revokes the other rejects. Then the previous one stops, and comes back, as in a downgrade.
func TestUpgrade(t *testing.T) {
	if *previous == "" {
		t.Skip("name the previous release by -previous; .ci/release does")
	}
	redis := storetest.Redis(t, "--appendonly", "yes")
	environ := processtest.OnRedis(redis.URL())
	older := processtest.StartQuiet(t, *previous, environ...)
	newer := processtest.StartQuiet(t, processtest.Program(t), environ...)

	u := &upgrade{t: t, until: time.Now().Add(*together)}
	var wg sync.WaitGroup
	for i := range 4 {
		writer, reader := older.Caller, newer.Caller
		if i%2 == 1 {
			writer, reader = reader, writer
		}
		wg.Go(func() { u.load(i, writer, reader) })
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d rounds in %v: each a token and an API key, written by one version, read and revoked by the other", u.rounds, *together)

	u.sameLists(older.Caller, newer.Caller)
	client := older.Register(t, `{"client_id":"kept","scope":"read"}`)
	token := older.Token(t, client)
	older.Kill()
	if !newer.Introspect(client, token).Active() || !newer.Introspect(client, newer.Token(t, client)).Active() {
		t.Error("after the upgrade a token of before, or a new one, is not active")
	}
	again := processtest.StartQuiet(t, *previous, environ...)
	if !again.Introspect(client, token).Active() || !again.Introspect(client, newer.Token(t, client)).Active() {
		t.Error("after the downgrade a token is not active")
	}
}

type upgrade struct {
	t     *testing.T
	until time.Time

	mu     sync.Mutex
	rounds int
}

// load writes by one version and reads by the other, again and again.
func (u *upgrade) load(worker int, writer, reader processtest.Caller) {
	wrong := func(what string, got processtest.Answer) {
		u.t.Errorf("%d: %s: %s", worker, what, got)
	}
	format := []string{"jwt", "opaque"}[worker/2]
	client := writer.Register(u.t, fmt.Sprintf(`{"client_id":"load-%d","scope":"read write","access_token_format":%q,"audience":["https://api.example.com"]}`, worker, format))
	user := member(u.t, writer.Admin(http.MethodPost, "/admin/users", fmt.Sprintf(`{"email":"u%d@example.com"}`, worker)), "id")
	for round := 0; time.Now().Before(u.until) && !u.t.Failed(); round++ {
		token := writer.Token(u.t, client)
		if got := reader.Introspect(client, token); !got.Active() {
			wrong("a token of the other version", got)
		}
		if got := reader.Revoke(client, token); !got.Is(http.StatusOK) {
			wrong("revoking a token of the other version", got)
		}
		if got := writer.Introspect(client, token); !got.Inactive() {
			wrong("a token that the other version has revoked", got)
		}

		created := writer.Admin(http.MethodPost, "/admin/users/"+user+"/keys", fmt.Sprintf(`{"name":"key %d","scope":"read"}`, round))
		id, key := member(u.t, created, "id"), member(u.t, created, "key")
		if got := reader.Me(key); !got.Is(http.StatusOK) || !strings.Contains(got.Body, id) {
			wrong("an API key of the other version", got)
		}
		if got := reader.Admin(http.MethodDelete, "/admin/keys/"+id, ""); !got.Is(http.StatusOK) && !got.Is(http.StatusNoContent) {
			wrong("revoking an API key of the other version", got)
		}
		if got := writer.Me(key); !got.Is(http.StatusUnauthorized) {
			wrong("an API key that the other version has revoked", got)
		}
		if round%10 == 0 {
			if got := reader.Admin(http.MethodPatch, fmt.Sprintf("/admin/clients/load-%d", worker), fmt.Sprintf(`{"client_name":"round %d"}`, round)); !got.Is(http.StatusOK) {
				wrong("changing a client of the other version", got)
			}
			if got := writer.Admin(http.MethodGet, fmt.Sprintf("/admin/clients/load-%d", worker), ""); !strings.Contains(got.Body, fmt.Sprintf(`"round %d"`, round)) {
				wrong("a client that the other version has changed", got)
			}
		}
		u.mu.Lock()
		u.rounds++
		u.mu.Unlock()
	}
}

// sameLists compares what both versions show of what either has written.
func (u *upgrade) sameLists(older, newer processtest.Caller) {
	for path, want := range map[string]string{
		"/admin/clients": "load-3", "/admin/users": "u3@example.com", "/admin/keys?limit=1": "key_", "/admin/audit": "load-3", "/.well-known/jwks.json": `"kid"`,
	} {
		for name, c := range map[string]processtest.Caller{"the previous version": older, "this version": newer} {
			if got := c.Admin(http.MethodGet, path, ""); !got.Is(http.StatusOK) || !strings.Contains(got.Body, want) {
				u.t.Errorf("%s: %s: %.300s, want %s in it", name, path, got, want)
			}
		}
	}
	if a, b := kids(u.t, older), kids(u.t, newer); a != b {
		u.t.Errorf("the key sets differ: %s and %s", a, b)
	}
}

func kids(t *testing.T, c processtest.Caller) string {
	t.Helper()
	var set struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal([]byte(c.Get("/.well-known/jwks.json").Body), &set); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(set.Keys)
}

func member(t *testing.T, a processtest.Answer, name string) string {
	t.Helper()
	if a.Status != http.StatusCreated {
		t.Fatalf("got %s, want 201", a)
	}
	return a.Member(t, http.StatusCreated, name)
}
