package guard_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// Callers who wait for the same question are refused each for themselves.
func TestRefusalsAreNotShared(t *testing.T) {
	m := guardtest.NewServer(t)
	g := m.Guard(guard.Config{Audiences: []string{"https://orders.example.com"}})
	m.Settle(g)
	p := guard.Presented{Authorization: []string{"Bearer " + guardtest.Checksummed("mk_")}}
	release := m.Hold()
	const callers = 8
	refusals := make([]*guard.Refusal, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Add(1)
		go func() {
			defer all.Done()
			_, err := g.Check(t.Context(), p)
			if !errors.As(err, &refusals[i]) {
				t.Errorf("got %v", err)
			}
		}()
	}
	for began := time.Now(); g.Waiting() < callers; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("%d callers wait", g.Waiting())
		}
	}
	release()
	all.Wait()
	seen := map[*guard.Refusal]bool{}
	for _, r := range refusals {
		if seen[r] {
			t.Fatal("two callers have the same refusal")
		}
		seen[r] = true
	}
}
