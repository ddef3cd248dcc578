//go:build go1.25

package guard_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// faults is a network between a guard and Mintkeep. Each path may have a fault of its own.
type faults struct {
	next http.RoundTripper

	mu    sync.Mutex
	by    map[string]func(*http.Request) (*http.Response, error)
	count map[string]int
}

// set gives a path a fault; nil takes it away. The fault may return nothing: then the request goes through.
func (f *faults) set(path string, fault func(*http.Request) (*http.Response, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.by[path] = fault
}

func (f *faults) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	fault := f.by[r.URL.Path]
	f.count[r.URL.Path]++
	f.mu.Unlock()
	if fault != nil {
		if answer, err := fault(r); answer != nil || err != nil {
			return answer, err
		}
	}
	return f.next.RoundTrip(r)
}

// requests is how many there were of a path.
func (f *faults) requests(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[path]
}

const (
	feed       = "/oauth/changes"
	asking     = "/oauth/introspect"
	confirming = "/oauth/confirm"
	keySet     = "/.well-known/jwks.json"
)

func answering(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// bubble runs a test of a service whose guard is current. In it time passes at once and to the millisecond.
func bubble(t *testing.T, f func(*testing.T, *service, *faults), change ...func(*guard.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := guardtest.NewLocal(t)
		network := &faults{next: m.Transport(), by: map[string]func(*http.Request) (*http.Response, error){}, count: map[string]int{}}
		c := guard.Config{Audiences: []string{orders}, HTTPClient: &http.Client{Transport: network}}
		for _, f := range change {
			f(&c)
		}
		s := serviceOf(t, m, m.Guard(c))
		m.Settle(s.g)
		f(t, s, network)
	})
}

// Whatever keeps the feed away, a guard asks at each call, says so, and logs it once a minute.
func TestFeedIsAway(t *testing.T) {
	for name, fault := range map[string]func(*http.Request) (*http.Response, error){
		"404": answering(http.StatusNotFound, "no"),
		"503": answering(http.StatusServiceUnavailable, "no"),
		"a firewall that drops packets": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"an answer that is no JSON": answering(http.StatusOK, "<html>"),
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			var states []guard.State
			bubble(t, func(t *testing.T, s *service, network *faults) {
				token, revoked := s.m.Token("billing", orders, "read"), s.m.Token("other", orders, "read")
				s.want("/read", token, http.StatusOK)
				s.want("/read", revoked, http.StatusOK)
				network.set(feed, fault)
				time.Sleep(5 * time.Second)
				before := network.requests(asking)
				for range 3 {
					s.want("/read", token, http.StatusOK)
				}
				if n := network.requests(asking) - before; n != 3 {
					t.Errorf("asked %d times at 3 calls", n)
				}
				s.m.Revoke(revoked)
				s.want("/read", revoked, http.StatusUnauthorized)
				if got := s.g.Stats().State; got != guard.Stale {
					t.Errorf("the state is %s", got)
				}
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if n := strings.Count(log.String(), "the feed of revocations does not answer"); n < 5 || n > 6 {
					t.Errorf("%d lines in five minutes:\n%s", n, log.String())
				}
				network.set(feed, nil)
				s.m.Settle(s.g)
				asked := s.m.Asked(token)
				s.want("/read", token, http.StatusOK)
				s.want("/read", revoked, http.StatusUnauthorized)
				if n := s.m.Asked(token) - asked; n != 0 {
					t.Errorf("asked %d times when the feed was back", n)
				}
				synctest.Wait()
				if want := []guard.State{guard.Current, guard.Stale, guard.Current}; !equal(states, want) {
					t.Errorf("Observe was told of the states %q, want %q", states, want)
				}
			}, func(c *guard.Config) {
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
				c.Observe = func(e guard.Event) {
					if e.Kind == guard.StateChanged {
						states = append(states, e.State)
					}
				}
			})
		})
	}
}

func equal[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// A guard of which no poll was ever answered knows of no revocation. In the mode Grace it asks too, also if its polls are rejected.
func TestGraceNeedsAnAnswer(t *testing.T) {
	for name, status := range map[string]int{"401": 401, "403": 403, "503": 503} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := guardtest.NewLocal(t)
				network := &faults{next: m.Transport(), by: map[string]func(*http.Request) (*http.Response, error){}, count: map[string]int{}}
				network.set(feed, answering(status, ""))
				token := m.Token("billing", orders, "read")
				s := serviceOf(t, m, m.Guard(guard.Config{
					Audiences: []string{orders}, WhenStale: guard.Grace(10 * time.Second), HTTPClient: &http.Client{Transport: network},
				}))
				synctest.Wait()
				s.want("/read", token, http.StatusOK)
				m.Revoke(token)
				s.want("/read", token, http.StatusUnauthorized)
				if state := s.g.Stats().State; (state == guard.Misconfigured) != (status != 503) {
					t.Errorf("the state is %s", state)
				}
			})
		})
	}
}

// Two questions that are under way when the guard's secret is replaced are both answered.
func TestSecretIsReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	save := func(secret string) {
		if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save(guardtest.ClientSecret + "-of-old")
	synctest.Test(t, func(t *testing.T) {
		m := guardtest.NewLocal(t)
		rejected := make(chan struct{})
		network := &faults{next: m.Transport(), by: map[string]func(*http.Request) (*http.Response, error){}, count: map[string]int{}}
		network.set(asking, func(r *http.Request) (*http.Response, error) {
			if _, secret, _ := r.BasicAuth(); secret == guardtest.ClientSecret {
				return nil, nil
			}
			<-rejected
			return answering(http.StatusUnauthorized, "")(r)
		})
		network.set(feed, answering(http.StatusServiceUnavailable, ""))
		s := serviceOf(t, m, m.Guard(guard.Config{Audiences: []string{orders}, ClientSecretFile: file, HTTPClient: &http.Client{Transport: network}}))
		codes := make(chan int, 2)
		for range cap(codes) {
			token := m.Token("billing", orders, "read")
			go func() { codes <- s.get("/read", token).Code }()
		}
		synctest.Wait()
		save(guardtest.ClientSecret)
		close(rejected)
		for range cap(codes) {
			if code := <-codes; code != http.StatusOK {
				t.Errorf("got %d", code)
			}
		}
		if n := network.requests(asking); n != 4 {
			t.Errorf("asked %d times, want twice with each secret", n)
		}
	})
}

// A guard that starts before Mintkeep does not wait for it, and works when it is there.
func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := guardtest.NewLocal(t)
		m.Down()
		token := m.Token("billing", orders, "read")
		began := time.Now()
		s := serviceOf(t, m, m.Guard(guard.Config{Audiences: []string{orders}}))
		if took := time.Since(began); took != 0 {
			t.Errorf("New waits for %v", took)
		}
		s.want("/read", token, http.StatusServiceUnavailable)
		if err := s.g.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "blind") {
			t.Errorf("ready: %v", err)
		}
		m.Up()
		m.Settle(s.g)
		s.want("/read", token, http.StatusOK)
		if err := s.g.Ready(t.Context()); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}
