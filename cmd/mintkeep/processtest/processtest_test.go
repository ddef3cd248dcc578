package processtest

import (
	"testing"

	"github.com/mintkeep/mintkeep/store/storetest"
)

func TestMain(m *testing.M) { Main(m) }

// Two servers on one Redis, seen from outside.
func TestServers(t *testing.T) {
	if testing.Short() {
		t.Skip("the tests of cmd/mintkeep start such servers too, with the race detector")
	}
	redis := storetest.Redis(t)
	a, b := StartReady(t, OnRedis(redis.URL())...), StartReady(t, OnRedis(redis.URL())...)
	client := a.Register(t, `{"scope":"read"}`)
	token := a.Token(t, client)
	if got := b.Introspect(client, token); !got.Active() {
		t.Errorf("introspection on b: %d %s, want active", got.Status, got.Body)
	}
	if got := b.Introspect(client, "junk"); !got.Inactive() {
		t.Errorf("introspection of junk: %d %s, want inactive", got.Status, got.Body)
	}
	if u := a.Usage(t); u.CPU <= 0 || u.Resident < 1<<20 || u.Files < 3 || a.Goroutines(t) < 3 {
		t.Errorf("a uses %+v and %d goroutines", u, a.Goroutines(t))
	}
	b.Kill()
	if !b.Gone() || b.Wait() == nil {
		t.Error("b was killed, and is there or ended well")
	}
}
