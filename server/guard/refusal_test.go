//go:build go1.25

package guard_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// Callers who wait for the same question are refused each for themselves.
func TestRefusalsAreNotShared(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		p := guard.Presented{Authorization: []string{"Bearer " + guardtest.Checksummed("mk_")}}
		release := s.m.Hold()
		refusals := make([]*guard.Refusal, 8)
		var all sync.WaitGroup
		for i := range refusals {
			all.Add(1)
			go func() {
				defer all.Done()
				if _, err := s.g.Check(t.Context(), p); !errors.As(err, &refusals[i]) {
					t.Errorf("got %v", err)
				}
			}()
		}
		synctest.Wait()
		release()
		all.Wait()
		seen := map[*guard.Refusal]bool{}
		for _, r := range refusals {
			if seen[r] {
				t.Fatal("two callers have the same refusal")
			}
			seen[r] = true
		}
	})
}
