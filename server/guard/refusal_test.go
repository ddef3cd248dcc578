//go:build go1.25

package guard_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

// Each reason is in the table of docs/guard.md, beside its status.
func TestReasonsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/guard.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (4\d\d|503) \| (.*) \|$`).FindAllStringSubmatch(string(doc), -1) {
		rows[row[1]] += row[2]
	}
	statuses := map[string]string{"badRequest": "400", "invalid": "401", "unavailable": "503"}
	reasons := map[string]string{"missing": "401", "scope": "403"}
	for _, name := range sources {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, call := range regexp.MustCompile(`\b(badRequest|invalid|unavailable)\("(\w+)"`).FindAllStringSubmatch(string(source), -1) {
			reasons[call[2]] = statuses[call[1]]
		}
	}
	if len(reasons) < 20 {
		t.Fatalf("found only %v", reasons)
	}
	for reason, status := range reasons {
		if !strings.Contains(rows[status], "`"+reason+"`") {
			t.Errorf("docs/guard.md lacks the reason %s of %s", reason, status)
		}
	}
}
