//go:build go1.25

package guard_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
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

// watch opens a stream for a credential.
func (s *service) watch(credential string) context.Context {
	s.t.Helper()
	c, err := s.g.Check(s.t.Context(), guard.Presented{Authorization: []string{"Bearer " + credential}})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := s.g.Watch(s.t.Context(), c)
	s.t.Cleanup(stop)
	return ctx
}

// A thousand streams cost some questions a second while the feed is away, and one or two when everything is forgotten: with one
// credential, and with one each.
func TestThousandStreams(t *testing.T) {
	for name, many := range map[string]int{"one credential": 1, "one each": 1_000} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *service, network *faults) {
				var tokens []string
				for range many {
					tokens = append(tokens, s.m.Opaque("billing", orders, "read"))
				}
				var streams []context.Context
				for i := range 1_000 {
					streams = append(streams, s.watch(tokens[i%many]))
				}
				goOn := func(when string) {
					t.Helper()
					for _, ctx := range streams {
						if cause := context.Cause(ctx); cause != nil {
							t.Fatalf("%s a stream ended with %v", when, cause)
						}
					}
				}
				s.m.Reset()
				time.Sleep(time.Second)
				if n := network.requests(confirming); n > 10 {
					t.Errorf("%d requests after a reset", n)
				}
				goOn("after a reset")
				before := network.requests(confirming)
				s.m.FeedDown()
				time.Sleep(10 * time.Second)
				if n := network.requests(confirming) - before; n < 5 || n > 100 {
					t.Errorf("%d requests in 10 s", n)
				}
				goOn("without the feed")
				s.m.RevokeTokens("billing")
				time.Sleep(1100 * time.Millisecond)
				for _, ctx := range streams {
					if cause := context.Cause(ctx); !errors.Is(cause, guard.ErrRevoked) {
						t.Fatalf("after the revocation a stream has the cause %v", cause)
					}
				}
			})
		})
	}
}

// An error alone ends no stream: it goes on while the feed answers again in time, and as long as one question may take.
func TestStreamAndErrors(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, network *faults) {
		token := s.m.Token("billing", orders, "read")
		kept := s.watch(token)
		away := func(path string, long time.Duration) {
			network.set(path, answering(http.StatusServiceUnavailable, ""))
			time.Sleep(long)
			network.set(path, nil)
			time.Sleep(2 * time.Second)
			if cause := context.Cause(kept); cause != nil {
				t.Errorf("%s was away for %v, and the stream ended with %v", path, long, cause)
			}
		}
		away(confirming, time.Minute)
		network.set(confirming, answering(http.StatusServiceUnavailable, ""))
		away(feed, 1500*time.Millisecond) // which is longer than the lease
		network.set(confirming, answering(http.StatusServiceUnavailable, ""))
		s.m.Reset()
		time.Sleep(2 * time.Second)
		s.want("/read", token, http.StatusOK) // which introspection confirms
		away(confirming, time.Second)
		network.set(confirming, answering(http.StatusServiceUnavailable, ""))
		network.set(feed, answering(http.StatusServiceUnavailable, ""))
		time.Sleep(4200 * time.Millisecond) // the poll that waits is answered after half a second
		if cause := context.Cause(kept); !errors.Is(cause, guard.ErrStale) {
			t.Errorf("when neither answers the stream has the cause %v", cause)
		}
	})
}

// Credentials of many owners with long names are confirmed, in requests that Mintkeep takes. One that it never takes keeps no other
// from it.
func TestManyOwnersAreConfirmed(t *testing.T) {
	var log bytes.Buffer
	bubble(t, func(t *testing.T, s *service, network *faults) {
		tokens := make([]string, 600)
		for i := range tokens {
			tokens[i] = s.m.Opaque(fmt.Sprintf("%s-%d", strings.Repeat("a", 100), i), orders, "read")
			s.want("/read", tokens[i], http.StatusOK)
		}
		taken := 0
		poison := sha256.Sum256([]byte(tokens[0]))
		network.set(confirming, func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if len(body) > 64<<10 || bytes.Contains(body, []byte(base64.RawURLEncoding.EncodeToString(poison[:]))) {
				return answering(http.StatusRequestEntityTooLarge, "")(r)
			}
			taken++
			return nil, nil
		})
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		asked := s.m.AskedInAll()
		for _, token := range tokens {
			s.want("/read", token, http.StatusOK)
		}
		if n := s.m.AskedInAll() - asked; taken == 0 || n == 0 || n > len(tokens)*2/3 {
			t.Errorf("%d requests were taken, and %d of %d credentials asked about; want those of one request", taken, n, len(tokens))
		}
		if n := strings.Count(log.String(), "cannot be confirmed"); n != 1 {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
	}, func(c *guard.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
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
