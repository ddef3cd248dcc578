package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// More polls than a replica may hold are told to come again.
func TestChangesTooManyWaiting(t *testing.T) {
	s := watchedServer(t, storetest.Embedded(t), "MINTKEEP_FEED_WAITING=2")
	after := s.first(t)
	ctx, stop := context.WithCancel(t.Context())
	var held sync.WaitGroup
	for range 2 {
		held.Go(func() {
			for ctx.Err() == nil {
				s.abandoned(ctx, t, after)
			}
		})
	}
	eventually(t, func() bool {
		r := s.send(t, servertest.M{"after": after, "wait": 0})
		return r.Status == http.StatusServiceUnavailable && r.Header.Get("Retry-After") == "1" && strings.Contains(r.Body, "Too many polls")
	})
	stop()
	held.Wait()
	eventually(t, func() bool { return s.send(t, servertest.M{"after": after, "wait": 0}).Status == http.StatusOK })
}

// abandoned sends a poll whose caller goes away when ctx is done.
func (s watched) abandoned(ctx context.Context, t testing.TB, after string) {
	t.Helper()
	s.unchecked(ctx, t, after)
}

// unchecked sends a poll that waits for two seconds. It is false if there is no answer, and closed if the server closes the
// connection.
func (s watched) unchecked(ctx context.Context, t testing.TB, after string) (c changes, closed, ok bool) {
	t.Helper()
	body, err := json.Marshal(pollBody(servertest.M{"after": after, "wait": 2000}))
	if err != nil {
		t.Error(err)
		return c, false, false
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/oauth/changes", strings.NewReader(string(body)))
	if err != nil {
		t.Error(err)
		return c, false, false
	}
	r.Header.Set("Content-Type", "application/json")
	s.guard.Basic()(r)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return c, false, false
	}
	defer answer.Body.Close()
	err = json.NewDecoder(answer.Body).Decode(&c)
	return c, answer.Close, err == nil && answer.StatusCode == http.StatusOK
}

// A caller who goes away while it waits leaves nothing.
func TestChangesCallersGoAway(t *testing.T) {
	s := watchedServer(t, storetest.Embedded(t))
	after := s.first(t)
	const rounds, callers = 10, 100
	before := 0
	for range rounds {
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for ctx.Err() == nil {
					s.abandoned(ctx, t, after)
				}
			})
		}
		waiting(t, s.Server, callers)
		leave()
		all.Wait()
		waiting(t, s.Server, 0)
		http.DefaultClient.CloseIdleConnections()
		if before == 0 {
			before = runtime.NumGoroutine()
		}
	}
	eventually(t, func() bool { return runtime.NumGoroutine() <= before+callers/10 })
	if log := s.Log.String(); !strings.Contains(log, `"status":499`) || strings.Contains(log, `"level":"ERROR"`) {
		t.Error("the log does not have them, at debug")
	}
}

// When the server drains, the polls that wait are answered, and their connections closed. One that comes during the drain is
// served.
func TestChangesDrain(t *testing.T) {
	one := servertest.New(t, storetest.Embedded(t))
	drained := make(chan struct{})
	one.Server.DrainUntil(drained)
	served := serve(t, one)
	s := watched{served.Server, one.Register(t, servertest.M{"client_id": "orders", "scope": "mintkeep:introspect"})}
	after := s.first(t)
	const pollers = 50
	early := make(chan bool, pollers)
	for range pollers {
		go func() {
			for {
				c, closed, ok := s.unchecked(t.Context(), t, after)
				if !ok {
					t.Error("a poll has no answer")
				}
				if closed || !ok {
					early <- ok && (c.Fresh == nil || *c.Fresh < 1500)
					return
				}
			}
		}()
	}
	waiting(t, s.Server, pollers)
	done := make(chan error, 1)
	go func() { done <- served.stop() }()
	n := 0
	for range pollers {
		if <-early {
			n++
		}
	}
	if n == 0 {
		t.Error("none was answered before its wait was over")
	}
	if c := s.poll(t, servertest.M{"after": after, "wait": 100}); c.Reset || c.Fresh == nil {
		t.Errorf("during the drain the answer is %+v", c)
	}
	close(drained)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A poll is logged at debug alone, and counted.
func TestChangesLogAndMetrics(t *testing.T) {
	s := watchedServer(t, storetest.Embedded(t))
	s.Register(t, servertest.M{"client_id": "billing"})
	after := s.first(t)
	s.poll(t, servertest.M{"after": "junk", "wait": 0})
	s.poll(t, servertest.M{"after": strings.Repeat("A", 32), "wait": 0})
	s.Admin(t, http.MethodPatch, "/admin/clients/billing", servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
	for c := (changes{}); len(c.Void) == 0; {
		c = s.poll(t, servertest.M{"after": after, "wait": 2000})
	}
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, `"route":"/oauth/changes","status":200`) && !strings.Contains(line, `"level":"DEBUG"`) {
			t.Errorf("logged %s", line)
		}
	}
	w := httptest.NewRecorder()
	s.Metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	for _, want := range []string{
		`mintkeep_http_requests_total{method="POST",route="/oauth/changes",status="200"} `,
		`mintkeep_feed_resets_total{reason="first"} `, `mintkeep_feed_resets_total{reason="malformed"} 1`, `mintkeep_feed_resets_total{reason="broken"} 1`,
		`mintkeep_feed_voids_total{kind="client"} `, "mintkeep_feed_propagation_seconds_count 1", "mintkeep_feed_subscribers 0",
		"mintkeep_feed_look_age_seconds ", `mintkeep_feed_broken_total{reason="unreachable"} 0`,
	} {
		if !strings.Contains(w.Body.String(), "\n"+want) {
			t.Errorf("the scrape lacks %s", want)
		}
	}
}
