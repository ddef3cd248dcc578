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
		var all sync.WaitGroup
		check := func(credential string, refusal **guard.Refusal) {
			defer all.Done()
			_, err := s.g.Check(t.Context(), guard.Presented{Authorization: []string{"Bearer " + credential}})
			if !errors.As(err, refusal) {
				t.Errorf("got %v", err)
			}
		}
		release := s.m.Hold()
		all.Add(guard.MaxQuestions)
		for range guard.MaxQuestions { // so that the next question waits until all its callers have come
			go check(guardtest.Checksummed("mk_"), new(*guard.Refusal))
		}
		synctest.Wait()
		refusals, credential := make([]*guard.Refusal, 8), guardtest.Checksummed("mk_")
		all.Add(len(refusals))
		for i := range refusals {
			go check(credential, &refusals[i])
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
