//go:build go1.25

package guard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// A thousand callers with one unknown token are one question. Who gives up returns at once.
func TestThousandCallersAskOnce(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		token := s.m.Token("billing", orders, "read")
		s.want("/read", s.m.Token("billing", orders, "read"), http.StatusOK) // the keys are there
		release := s.m.Hold()
		codes := make(chan int, 1_000)
		for range cap(codes) {
			go func() { codes <- s.get("/read", token).Code }()
		}
		synctest.Wait()
		began := time.Now()
		gone := request("/read", token)
		ctx, cancel := withCancel(t)
		done := make(chan int)
		go func() { done <- s.do(gone.WithContext(ctx)).Code }()
		synctest.Wait()
		cancel()
		if code := <-done; code != http.StatusServiceUnavailable || time.Since(began) != 0 {
			t.Errorf("who gave up got %d after %v", code, time.Since(began))
		}
		release()
		for range cap(codes) {
			if code := <-codes; code != http.StatusOK {
				t.Fatalf("got %d", code)
			}
		}
		if n := s.m.Asked(token); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// However many unknown API keys arrive, no more questions than allowed are under way, and known credentials do not wait for
// them.
func TestFloodOfUnknownKeys(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		known := s.m.Key("ada", orders, "read")
		s.want("/read", known, http.StatusOK)
		s.m.Settle(s.g)
		release := s.m.Hold()
		const flood = 5_000
		codes := make(chan int, flood)
		for range flood {
			go func() { codes <- s.get("/read", guardtest.Checksummed("mk_")).Code }()
		}
		synctest.Wait()
		if n := s.m.AskedInAll() - 1; n != guard.MaxQuestions {
			t.Errorf("%d questions are under way", n)
		}
		if n, want := len(codes), flood-guard.MaxQuestions-guard.MaxWaiting; n != want {
			t.Errorf("%d callers were turned away, want %d", n, want)
		}
		began := time.Now()
		s.want("/read", known, http.StatusOK)
		if took := time.Since(began); took != 0 {
			t.Errorf("a known key waits for %v", took)
		}
		release()
		unavailable := 0
		for range flood {
			if code := <-codes; code == http.StatusServiceUnavailable {
				unavailable++
			} else if code != http.StatusUnauthorized {
				t.Fatalf("got %d", code)
			}
		}
		if want := flood - guard.MaxQuestions - guard.MaxWaiting; unavailable != want {
			t.Errorf("%d were 503, want %d", unavailable, want)
		}
	})
}

// Callers who wait for one answer, and need different scopes, get different refusals.
func TestRefusalsOfOneQuestion(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		unknown := guardtest.Checksummed("mkt_")
		release, got := s.m.Hold(), make(chan *guard.Refusal, 2)
		for _, scope := range []string{"read", "write"} {
			go func() {
				_, err := s.g.Check(t.Context(), guard.Presented{Authorization: []string{"Bearer " + unknown}}, guard.Scope(scope))
				var refusal *guard.Refusal
				errors.As(err, &refusal)
				got <- refusal
			}()
		}
		synctest.Wait()
		release()
		if one, other := <-got, <-got; one == other || one.Status != http.StatusUnauthorized || other.Status != http.StatusUnauthorized {
			t.Errorf("got %+v and %+v", one, other)
		}
	})
}

// reported counts the uses that Mintkeep is told of in polls that it answers.
func reported(network *faults) *int {
	n := new(int)
	network.set(feed, func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer, err := network.next.RoundTrip(r)
		var q struct{ Used [][]any }
		if err == nil && answer.StatusCode == http.StatusOK && json.Unmarshal(body, &q) == nil {
			for _, used := range q.Used {
				*n += int(used[1].(float64))
			}
		}
		return answer, err
	})
	return n
}

// Each use of an API key counts once: Mintkeep counts it when it is asked, and the guard reports the others, also if the feed was
// away meanwhile.
func TestUsesAreReported(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, network *faults) {
		reported := reported(network)
		key := s.m.Key("ada", orders, "read")
		use := func() { s.want("/read", key, http.StatusOK); time.Sleep(20 * time.Millisecond) }
		for range 100 {
			use()
		}
		s.m.FeedDown()
		for range 100 {
			use()
		}
		s.m.Up()
		s.m.Settle(s.g)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if asked := s.m.Asked(key); asked+*reported != 200 {
			t.Errorf("of 200 uses %d were asked about and %d reported", asked, *reported)
		}
	})
}

// Callers who share one question are one use at Mintkeep. The guard reports the others.
func TestUsesOfOneQuestion(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, network *faults) {
		reported, key := reported(network), s.m.Key("ada", orders, "read")
		release, codes := s.m.Hold(), make(chan int, 10)
		for range cap(codes) {
			go func() { codes <- s.get("/read", key).Code }()
		}
		synctest.Wait()
		release()
		for range cap(codes) {
			if code := <-codes; code != http.StatusOK {
				t.Errorf("got %d", code)
			}
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if asked := s.m.Asked(key); asked != 1 || *reported != cap(codes)-1 {
			t.Errorf("of %d uses %d were asked about and %d reported", cap(codes), asked, *reported)
		}
	})
}

// More keys than may wait to be reported: the uses of the others are reported later.
func TestUsesOfManyKeys(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, network *faults) {
		const more = 100
		keys := make([]string, guard.MaxUsed+more)
		for i := range keys {
			keys[i] = s.m.Key("ada", orders, "read")
			s.want("/read", keys[i], http.StatusOK)
		}
		reported := reported(network)
		use := func(keys []string) {
			for _, key := range keys {
				s.want("/read", key, http.StatusOK)
			}
		}
		s.m.FeedDown()
		use(keys)
		time.Sleep(2 * time.Second)
		s.m.Up()
		time.Sleep(time.Minute)
		use(keys[guard.MaxUsed:])
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := len(keys) + more; *reported != want {
			t.Errorf("%d uses of %d were reported", *reported, want)
		}
	}, func(c *guard.Config) { c.WhenStale = guard.Grace(time.Hour) })
}

// A credential that is bound to a key of its client is rejected: this version cannot check the proof of possession.
func TestBoundCredential(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, network *faults) {
		for name, cnf := range map[string]string{"to a certificate": `{"x5t#S256":"abc"}`, "to a DPoP key": `{"jkt":"abc"}`} {
			token := s.m.Token("billing", orders, "read")
			network.set(asking, func(r *http.Request) (*http.Response, error) {
				answer, err := network.next.RoundTrip(r)
				if err == nil {
					text, _ := io.ReadAll(answer.Body)
					answer.Body = io.NopCloser(strings.NewReader(strings.Replace(string(text), `{`, `{"cnf":`+cnf+`,`, 1)))
				}
				return answer, err
			})
			for range 2 {
				w := s.want("/read", token, http.StatusUnauthorized)
				if challenge := w.Header().Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_token"`) {
					t.Errorf("%s: the challenge is %s", name, challenge)
				}
			}
			if reason := s.reason(token); reason != "binding_unsupported" {
				t.Errorf("%s: the reason is %s", name, reason)
			}
		}
	})
}
