package deploy

import (
	"encoding/base64"
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
	_, client := u.register(4, older.Caller)
	issue := func(c processtest.Caller) string {
		return answered(t, func(int) processtest.Answer { return c.Issue(client) }).Member(t, http.StatusOK, "access_token")
	}
	active := func(c processtest.Caller, token string) bool {
		return answered(t, func(int) processtest.Answer { return c.Introspect(client, token) }).Active()
	}
	token := issue(older.Caller)
	older.Kill()
	if !active(newer.Caller, token) || !active(newer.Caller, issue(newer.Caller)) {
		t.Error("after the upgrade a token of before, or a new one, is not active")
	}
	again := processtest.StartQuiet(t, *previous, environ...)
	if !active(again.Caller, token) || !active(again.Caller, issue(newer.Caller)) {
		t.Error("after the downgrade a token is not active")
	}
}

type upgrade struct {
	t     *testing.T
	until time.Time

	mu     sync.Mutex
	rounds int
}

// answered is the first answer that is not 503, as of a machine that is busy with much else: a caller tries again.
func answered(t *testing.T, call func(attempt int) processtest.Answer) (got processtest.Answer) {
	t.Helper()
	attempt := 0
	processtest.Eventually(t, processtest.Patience, func() bool {
		got = call(attempt)
		attempt++
		return !got.Is(http.StatusServiceUnavailable)
	}, func() string { return got.String() })
	return got
}

// made is a member of what a call has created. An attempt after a 503 must create another.
func made(t *testing.T, name string, call func(attempt int) processtest.Answer) string {
	t.Helper()
	return answered(t, call).Member(t, http.StatusCreated, name)
}

// load writes by one version and reads by the other, again and again.
func (u *upgrade) load(worker int, writer, reader processtest.Caller) {
	id, client := u.register(worker, writer)
	user := made(u.t, "id", func(attempt int) processtest.Answer {
		return writer.Admin(http.MethodPost, "/admin/users", fmt.Sprintf(`{"email":"u%d.%d@example.com"}`, worker, attempt))
	})
	for round := 0; time.Now().Before(u.until) && !u.t.Failed(); round++ {
		u.token(client, writer, reader)
		u.key(client, user, writer, reader)
		if round%10 == 0 {
			u.change("/admin/clients/"+id, fmt.Sprint("round ", round), writer, reader)
		}
		u.mu.Lock()
		u.rounds++
		u.mu.Unlock()
	}
}

// register registers a client: two of the workers have JWTs, two have opaque tokens.
func (u *upgrade) register(worker int, writer processtest.Caller) (id, authorization string) {
	format := []string{"jwt", "opaque", "jwt"}[worker/2]
	secret := made(u.t, "client_secret", func(attempt int) processtest.Answer {
		id = fmt.Sprintf("load-%d.%d", worker, attempt)
		return writer.Admin(http.MethodPost, "/admin/clients", fmt.Sprintf(
			`{"client_id":%q,"scope":"read write mintkeep:introspect","access_token_format":%q,"audience":["https://api.example.com"]}`, id, format))
	})
	return id, "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// token issues a token by one version, and introspects and revokes it by the other.
func (u *upgrade) token(client string, writer, reader processtest.Caller) {
	token := answered(u.t, func(int) processtest.Answer { return writer.Issue(client) }).Member(u.t, http.StatusOK, "access_token")
	if got := answered(u.t, func(int) processtest.Answer { return reader.Introspect(client, token) }); !got.Active() {
		u.t.Errorf("a token of the other version: %s", got)
	}
	if got := answered(u.t, func(int) processtest.Answer { return reader.Revoke(client, token) }); !got.Is(http.StatusOK) {
		u.t.Errorf("revoking a token of the other version: %s", got)
	}
	if got := answered(u.t, func(int) processtest.Answer { return writer.Introspect(client, token) }); !got.Inactive() {
		u.t.Errorf("a token that the other version has revoked: %s", got)
	}
}

// key creates an API key by one version, and uses and revokes it by the other.
func (u *upgrade) key(client, user string, writer, reader processtest.Caller) {
	created := answered(u.t, func(attempt int) processtest.Answer {
		return writer.Admin(http.MethodPost, "/admin/users/"+user+"/keys", fmt.Sprintf(`{"name":"key %d","scope":"read"}`, attempt))
	})
	id, key := created.Member(u.t, http.StatusCreated, "id"), created.Member(u.t, http.StatusCreated, "key")
	if got := answered(u.t, func(int) processtest.Answer { return reader.Me(key) }); !got.Is(http.StatusOK) || !strings.Contains(got.Body, id) {
		u.t.Errorf("an API key of the other version: %s", got)
	}
	if got := answered(u.t, func(int) processtest.Answer { return reader.Admin(http.MethodDelete, "/admin/keys/"+id, "") }); got.Status >= http.StatusBadRequest {
		u.t.Errorf("revoking an API key of the other version: %s", got)
	}
	if got := answered(u.t, func(int) processtest.Answer { return writer.Introspect(client, key) }); !got.Inactive() {
		u.t.Errorf("an API key that the other version has revoked: %s", got)
	}
}

// change changes a client by one version, and reads it by the other.
func (u *upgrade) change(path, name string, writer, reader processtest.Caller) {
	if got := answered(u.t, func(int) processtest.Answer {
		return reader.Admin(http.MethodPatch, path, fmt.Sprintf(`{"client_name":%q}`, name))
	}); !got.Is(http.StatusOK) {
		u.t.Errorf("changing a client of the other version: %s", got)
	}
	if got := answered(u.t, func(int) processtest.Answer { return writer.Admin(http.MethodGet, path, "") }); !strings.Contains(got.Body, fmt.Sprintf("%q", name)) {
		u.t.Errorf("a client that the other version has changed: %s", got)
	}
}

// sameLists compares what both versions show of what either has written.
func (u *upgrade) sameLists(older, newer processtest.Caller) {
	for path, want := range map[string]string{
		"/admin/clients": "load-3.", "/admin/users": "u3.", "/admin/keys?limit=1": "key_", "/admin/audit": "load-3", "/.well-known/jwks.json": `"kid"`,
	} {
		for name, c := range map[string]processtest.Caller{"the previous version": older, "this version": newer} {
			if got := answered(u.t, func(int) processtest.Answer { return c.Admin(http.MethodGet, path, "") }); !got.Is(http.StatusOK) || !strings.Contains(got.Body, want) {
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
	got := answered(t, func(int) processtest.Answer { return c.Get("/.well-known/jwks.json") })
	if err := json.Unmarshal([]byte(got.Body), &set); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(set.Keys)
}
