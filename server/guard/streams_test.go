//go:build go1.25

package guard_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
)

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
