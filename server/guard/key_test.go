package guard_test

import (
	"testing"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// What Mintkeep tells of an API key is kept with the verdict. It costs a check from memory nothing.
func TestKeyIsDescribed(t *testing.T) {
	m := guardtest.NewServer(t)
	g := m.Guard(guard.Config{Audiences: []string{orders}})
	m.Settle(g)
	key := m.Key("ada", orders, "read")
	m.Describe(key, map[string]any{
		"name": "nightly backup", "metadata": map[string]string{"team": "storage"}, "rate_limit": "600/m", "username": "ada@example.com",
	})
	p, scope := guard.Presented{Authorization: []string{"Bearer " + key}}, guard.Scope("read")
	for _, from := range []string{"Mintkeep", "memory"} {
		c, err := g.Check(t.Context(), p, scope)
		if err != nil {
			t.Fatal(err)
		}
		k := c.Key
		if k == nil || k.Name != "nightly backup" || k.Metadata["team"] != "storage" || k.RateLimit != "600/m" || k.Owner != "ada@example.com" {
			t.Errorf("from %s: got %+v", from, k)
		}
	}
	if n := testing.AllocsPerRun(1_000, func() { _, _ = g.Check(t.Context(), p, scope) }); n > 2 {
		t.Errorf("a check from memory takes %v allocations, want at most 2", n)
	}
	if m.Asked(key) != 1 {
		t.Errorf("it was asked %d times", m.Asked(key))
	}
	c, err := g.Check(t.Context(), guard.Presented{Authorization: []string{"Bearer " + m.Token("billing", orders, "read")}})
	if err != nil || c.Key != nil {
		t.Errorf("an access token: %+v, %v", c, err)
	}
}
