//go:build go1.25

package guard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// The tests of this file run in bubbles, where time passes at once and to the millisecond.

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

// bubble runs a test of a service whose guard is current.
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

// An answer that was on its way when the revocation was acknowledged is not kept, and does not serve a caller who came later:
// neither while the guard is current nor while it is stale.
func TestAnswerThatWasOnItsWay(t *testing.T) {
	for _, current := range []bool{true, false} {
		t.Run(map[bool]string{true: "current", false: "stale"}[current], func(t *testing.T) {
			bubble(t, func(t *testing.T, s *service, network *faults) {
				if !current {
					network.set(feed, answering(http.StatusServiceUnavailable, ""))
					time.Sleep(2 * time.Second)
				}
				token := s.m.Token("billing", orders, "read")
				late := make(chan struct{})
				network.set(asking, func(r *http.Request) (*http.Response, error) {
					network.set(asking, nil)
					answer, err := network.next.RoundTrip(r)
					<-late
					return answer, err
				})
				first, second := make(chan int), make(chan int)
				go func() { first <- s.get("/read", token).Code }()
				synctest.Wait()
				s.m.Revoke(token)
				if current {
					s.m.Settle(s.g)
				}
				go func() { second <- s.get("/read", token).Code }()
				synctest.Wait()
				close(late)
				if code := <-first; code != http.StatusOK {
					t.Errorf("who came before the revocation got %d", code)
				}
				if code := <-second; code != http.StatusUnauthorized {
					t.Errorf("who came after it got %d", code)
				}
				s.want("/read", token, http.StatusUnauthorized)
			})
		})
	}
}

// The slow answer to a poll, which arrives after that of the second poll, changes nothing.
func TestHedgedPoll(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, network *faults) {
		token := s.m.Token("billing", orders, "read")
		s.want("/read", token, http.StatusOK)
		slow := make(chan struct{})
		network.set(feed, func(r *http.Request) (*http.Response, error) {
			network.set(feed, nil)
			answer, err := network.next.RoundTrip(r.Clone(t.Context())) // it is not cancelled: it arrives
			<-slow
			return answer, err
		})
		before := network.requests(feed)
		for network.requests(feed) < before+2 { // the slow one, and the second
			time.Sleep(time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
		known := s.g.Stats().KnownAt
		s.m.Revoke(token)
		s.m.Settle(s.g)
		s.want("/read", token, http.StatusUnauthorized)
		close(slow)
		synctest.Wait()
		s.want("/read", token, http.StatusUnauthorized)
		if s.g.Stats().KnownAt.Before(known) {
			t.Error("the guard knows less than before")
		}
		if state := s.g.Stats().State; state != guard.Current {
			t.Errorf("the guard is %s", state)
		}
	})
}

// A wall clock that is set changes no answer. A token still expires when it should.
func TestWallClockIsSet(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := guardtest.NewLocal(t)
				var mu sync.Mutex
				var offset time.Duration
				began := time.Now()
				g, err := guard.NewWithClocks(guard.Config{
					Issuer: m.URL, ClientID: guardtest.ClientID, ClientSecret: guardtest.ClientSecret, Audiences: []string{orders},
					HTTPClient: &http.Client{Transport: m.Transport()},
				}, func() (mono, wall time.Duration) {
					mu.Lock()
					defer mu.Unlock()
					return time.Since(began), time.Since(began) + offset
				})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = g.Close() }()
				s := serviceOf(t, m, g)
				m.Settle(g)
				token, gone, soon := m.Token("billing", orders, "read"), m.Token("billing", orders, "read"), m.TokenFor(10*time.Minute, "billing", orders, "read")
				for _, c := range []string{token, gone, soon} {
					s.want("/read", c, http.StatusOK)
				}
				m.Revoke(gone)
				m.Settle(g)
				mu.Lock()
				offset = step
				mu.Unlock()
				for range 40 {
					s.want("/read", token, http.StatusOK)
					s.want("/read", soon, http.StatusOK)
					s.want("/read", gone, http.StatusUnauthorized)
					time.Sleep(50 * time.Millisecond)
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

// Keys that cannot be had keep no caller waiting for long: tokens are asked about. They are fetched once a minute at most.
func TestKeysCannotBeFetched(t *testing.T) {
	for name, fault := range map[string]func(*http.Request) (*http.Response, error){
		"500": answering(http.StatusInternalServerError, ""),
		"slow": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"10 MiB":                      answering(http.StatusOK, `{"keys":[`+strings.Repeat(" ", 10<<20)+`]}`),
		"the keys of another service": answering(http.StatusOK, `{"keys":[]}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := guardtest.NewLocal(t)
				network := &faults{next: m.Transport(), by: map[string]func(*http.Request) (*http.Response, error){keySet: fault}, count: map[string]int{}}
				s := serviceOf(t, m, m.Guard(guard.Config{Audiences: []string{orders}, HTTPClient: &http.Client{Transport: network}}))
				m.Settle(s.g)
				began := time.Now()
				for range 180 {
					s.want("/read", m.Token("billing", orders, "read"), http.StatusOK)
					time.Sleep(time.Second)
				}
				if took := time.Since(began); took > 4*time.Minute {
					t.Errorf("180 calls, one in a second, took %v", took)
				}
				if n := network.requests(keySet); n > 5 {
					t.Errorf("the keys were fetched %d times in %v", n, time.Since(began))
				}
				known := m.Token("billing", orders, "read")
				s.want("/read", known, http.StatusOK)
				for range 20 { // more than are asked about without a check of the signature
					s.get("/read", m.Token("billing", orders, "read"))
				}
				s.want("/read", m.Token("billing", orders, "read"), http.StatusServiceUnavailable)
				s.want("/read", known, http.StatusOK)
			})
		})
	}
}

// No token is rejected because the signing key is another one. The guard fetches the new key when it hears of it.
func TestSigningKeyIsReplaced(t *testing.T) {
	for _, compromised := range []bool{false, true} {
		t.Run(map[bool]string{false: "rotated", true: "compromised"}[compromised], func(t *testing.T) {
			bubble(t, func(t *testing.T, s *service, network *faults) {
				old, unseen := s.m.Token("billing", orders, "read"), s.m.Token("billing", orders, "read")
				s.want("/read", old, http.StatusOK)
				s.m.RotateSigningKey(compromised)
				for range 20 {
					s.want("/read", old, http.StatusOK)
					s.want("/read", s.m.Token("billing", orders, "read"), http.StatusOK)
					time.Sleep(100 * time.Millisecond)
				}
				s.want("/read", unseen, http.StatusOK)
				if n := network.requests(keySet); n > 3 {
					t.Errorf("the keys were fetched %d times", n)
				}
				before := s.m.AskedInAll()
				good := s.m.Token("billing", orders, "read")
				s.want("/read", good[:len(good)-4]+"AAAA", http.StatusUnauthorized)
				if s.m.AskedInAll() != before {
					t.Error("the new key is not known: a wrong signature was asked about")
				}
			})
		})
	}
}

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

// A stream whose credential a small guard has forgotten meanwhile still ends with it, and so does one whose credential was
// revoked while it was asked about.
func TestStreamOfAForgottenCredential(t *testing.T) {
	for name, revoke := range map[string]func(s *service, token string){
		"token revoked":   func(s *service, token string) { s.m.Revoke(token) },
		"client disabled": func(s *service, _ string) { s.m.DisableClient("billing", true) },
	} {
		open := func(t *testing.T, s *service, token string) context.Context {
			t.Helper()
			c, err := s.g.Check(t.Context(), guard.Presented{Authorization: []string{"Bearer " + token}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := s.g.Watch(t.Context(), c)
			t.Cleanup(stop)
			return ctx
		}
		ends := func(t *testing.T, ctx context.Context) {
			t.Helper()
			time.Sleep(1100 * time.Millisecond)
			if cause := context.Cause(ctx); !errors.Is(cause, guard.ErrRevoked) {
				t.Errorf("a second after the revocation the stream has the cause %v", cause)
			}
		}
		t.Run("forgotten, "+name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *service, _ *faults) {
				token := s.m.Token("billing", orders, "read")
				ctx := open(t, s, token)
				for range 3 {
					s.want("/read", s.m.Token("other", orders, "read"), http.StatusOK)
				}
				time.Sleep(time.Minute)
				if err := context.Cause(ctx); err != nil {
					t.Fatalf("the stream has ended with %v", err)
				}
				revoke(s, token)
				ends(t, ctx)
			}, func(c *guard.Config) { c.MaxEntries = 1 })
		})
		t.Run("on its way, "+name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *service, _ *faults) {
				token, opened := s.m.Token("billing", orders, "read"), make(chan context.Context)
				release := s.m.Hold()
				go func() { opened <- open(t, s, token) }()
				synctest.Wait()
				revoke(s, token)
				s.m.Settle(s.g)
				release()
				ends(t, <-opened)
			})
		})
	}
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

// Each use of an API key that memory answered is reported once, also if the feed was away meanwhile.
func TestUsesAreReported(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, network *faults) {
		reported := 0
		network.set(feed, func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			answer, err := network.next.RoundTrip(r)
			var q struct{ Used [][]any }
			if err == nil && answer.StatusCode == http.StatusOK && json.Unmarshal(body, &q) == nil {
				for _, used := range q.Used {
					reported += int(used[1].(float64))
				}
			}
			return answer, err
		})
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
		if reported != 200 {
			t.Errorf("%d uses of 200 were reported", reported)
		}
	})
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
