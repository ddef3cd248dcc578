//go:build go1.25

package guard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// A stale guard in the mode Grace answers from memory for so much longer, to the moment.
func TestGraceEnds(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		token := s.m.Token("billing", orders, "read")
		s.want("/read", token, http.StatusOK)
		s.m.Settle(s.g)
		s.m.Down()
		known := s.g.Stats().KnownAt
		for time.Since(known) < 11*time.Second {
			s.want("/read", token, http.StatusOK)
			time.Sleep(time.Until(known.Add(11*time.Second)).Truncate(time.Millisecond)/2 + time.Millisecond)
		}
		if w := s.want("/read", token, http.StatusServiceUnavailable); w.Header().Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}, func(c *guard.Config) { c.WhenStale = guard.Grace(10 * time.Second) })
}

// A guard tells for how long it may answer from memory: an operator who waits until every guard knows of a revocation waits for it.
func TestLeaseIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		mode guard.Mode
		want int64
	}{"ask": {guard.Ask, 1_000}, "closed": {guard.Closed, 1_000}, "grace": {guard.Grace(time.Minute), 61_000}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *service, network *faults) {
				var poll struct{ Lease int64 }
				network.set(feed, func(r *http.Request) (*http.Response, error) {
					body, _ := io.ReadAll(r.Body)
					r.Body = io.NopCloser(bytes.NewReader(body))
					return nil, json.Unmarshal(body, &poll)
				})
				s.m.Settle(s.g)
				synctest.Wait()
				if poll.Lease != c.want {
					t.Errorf("the lease is %d ms, want %d", poll.Lease, c.want)
				}
			}, func(config *guard.Config) { config.WhenStale = c.mode })
		})
	}
}

// A known credential is served for the lease after the last answer, and no longer.
func TestLeaseEnds(t *testing.T) {
	for name, mode := range map[string]guard.Mode{"ask": guard.Ask, "closed": guard.Closed} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(_ *testing.T, s *service, _ *faults) {
				token := s.m.Token("billing", orders, "read")
				s.want("/read", token, http.StatusOK)
				s.m.Settle(s.g)
				s.m.Down()
				known := s.g.Stats().KnownAt
				time.Sleep(time.Until(known.Add(time.Second)))
				s.want("/read", token, http.StatusOK)
				time.Sleep(2 * time.Millisecond)
				s.want("/read", token, http.StatusServiceUnavailable)
			}, func(c *guard.Config) { c.WhenStale = mode })
		})
	}
}

// wallClock runs a test as bubble does. The test moves the wall clock of the guard by as much as it says. A suspension moves it forward too:
// the monotonic clock stands still meanwhile.
func wallClock(t *testing.T, f func(t *testing.T, s *service, network *faults, move func(time.Duration))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := guardtest.NewLocal(t)
		network := &faults{next: m.Transport(), by: map[string]func(*http.Request) (*http.Response, error){}, count: map[string]int{}}
		var moved atomic.Int64
		began := time.Now()
		g, err := guard.NewWithClocks(guard.Config{
			Issuer: m.URL, ClientID: guardtest.ClientID, ClientSecret: guardtest.ClientSecret, Audiences: []string{orders},
			HTTPClient: &http.Client{Transport: network},
		}, func() (mono, wall time.Duration) {
			return time.Since(began), time.Since(began) + time.Duration(moved.Load())
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = g.Close() }()
		m.Settle(g)
		f(t, serviceOf(t, m, g), network, func(by time.Duration) { moved.Store(int64(by)) })
	})
}

// A wall clock that is set changes no answer, and ends no stream. A token still expires when it should.
func TestWallClockIsSet(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			wallClock(t, func(t *testing.T, s *service, _ *faults, move func(time.Duration)) {
				m := s.m
				token, gone, soon := m.Token("billing", orders, "read"), m.Token("billing", orders, "read"), m.TokenFor(10*time.Minute, "billing", orders, "read")
				for _, c := range []string{token, gone, soon} {
					s.want("/read", c, http.StatusOK)
				}
				m.Revoke(gone)
				m.Settle(s.g)
				stream := s.watch(token)
				synctest.Wait()
				move(step)
				for range 40 {
					s.want("/read", token, http.StatusOK)
					s.want("/read", soon, http.StatusOK)
					s.want("/read", gone, http.StatusUnauthorized)
					time.Sleep(50 * time.Millisecond)
				}
				if cause := context.Cause(stream); cause != nil {
					t.Errorf("the stream ended with %v", cause)
				}
				asked := m.AskedInAll()
				s.want("/read", token, http.StatusOK)
				s.want("/read", soon, http.StatusOK)
				if n := m.AskedInAll() - asked; n != 0 {
					t.Errorf("asked %d times about known tokens, a while after the step", n)
				}
				time.Sleep(10*time.Minute - 3*time.Second)
				s.want("/read", soon, http.StatusOK)
				time.Sleep(3 * time.Second)
				s.want("/read", soon, http.StatusUnauthorized)
				s.want("/read", token, http.StatusOK)
			})
		})
	}
}

// A machine is suspended while the question of a stream is under way. The answer is from before, and the guard asks again: the stream goes
// on, or ends at once if its credential was revoked meanwhile.
func TestStreamOfASuspendedMachine(t *testing.T) {
	for name, want := range map[string]error{"active": nil, "revoked": guard.ErrRevoked} {
		t.Run(name, func(t *testing.T) {
			wallClock(t, func(t *testing.T, s *service, network *faults, move func(time.Duration)) {
				token := s.m.Token("billing", orders, "read")
				stream := s.watch(token)
				held, wake := make(chan struct{}), make(chan struct{})
				network.set(confirming, func(r *http.Request) (*http.Response, error) {
					network.set(confirming, nil)
					answer, err := network.next.RoundTrip(r)
					close(held)
					<-wake
					return answer, err
				})
				s.m.FeedDown()
				<-held
				if want != nil {
					s.m.Revoke(token)
				}
				move(10 * time.Minute)
				close(wake)
				time.Sleep(4 * 50 * time.Millisecond) // it looks, and sends a question, every 50 ms
				if cause := context.Cause(stream); !errors.Is(cause, want) {
					t.Errorf("after the suspension the stream has the cause %v, want %v", cause, want)
				}
			})
		})
	}
}

// A machine that was suspended, while its monotonic clock stood still, does not answer from memory about what happened meanwhile.
func TestSuspendedMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := guardtest.NewLocal(t)
		var mu sync.Mutex
		var slept time.Duration
		began := time.Now()
		network := &faults{next: m.Transport(), by: map[string]func(*http.Request) (*http.Response, error){}, count: map[string]int{}}
		g, err := guard.NewWithClocks(guard.Config{
			Issuer: m.URL, ClientID: guardtest.ClientID, ClientSecret: guardtest.ClientSecret, Audiences: []string{orders},
			HTTPClient: &http.Client{Transport: network},
		}, func() (mono, wall time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			return time.Since(began) - slept, time.Since(began)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = g.Close() }()
		s := serviceOf(t, m, g)
		m.Settle(g)
		revoked, expired := m.Token("billing", orders, "read"), m.TokenFor(time.Minute, "billing", orders, "read")
		s.want("/read", revoked, http.StatusOK)
		s.want("/read", expired, http.StatusOK)
		network.set(feed, func(r *http.Request) (*http.Response, error) { // a suspended process gets no answer
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		m.Revoke(revoked)
		time.Sleep(10 * time.Minute)
		mu.Lock()
		slept = 10 * time.Minute
		mu.Unlock()
		s.want("/read", revoked, http.StatusUnauthorized)
		network.set(feed, nil)
		m.Settle(g)
		s.want("/read", revoked, http.StatusUnauthorized)
		s.want("/read", expired, http.StatusUnauthorized) // by the monotonic clock it has most of its life before it
	})
}
