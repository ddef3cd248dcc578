package remotekeys_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/remotekeys"
	"github.com/mintkeep/mintkeep/store"
)

// A set in use is fetched again before its time is over, and no request waits for that.
func TestRenewal(t *testing.T) {
	b := local(t)
	server := serve(t, withKeys(keySet("old")))
	b.ask(t, server, "old", 1)
	b.clock.Advance(47 * time.Minute)
	b.ask(t, server, "old", 1)

	release := make(chan struct{})
	fresh := withKeys(keySet("new"))
	server.answers(func(w http.ResponseWriter, r *http.Request) { <-release; fresh(w, r) })
	b.clock.Advance(2 * time.Minute) // four fifths of an hour have passed
	for range 10 {
		if got := b.keys(t, server.URL); got != "old" {
			t.Fatalf("while the set is renewed: got %s", got)
		}
	}
	close(release)
	b.WaitIdle()
	b.ask(t, server, "new", 2)

	// Without a request at that moment the sweep does it, if the set was used since.
	server.answers(fresh)
	b.clock.Advance(50 * time.Minute)
	b.Sweep()
	b.WaitIdle()
	if got := server.requests.Load(); got != 3 {
		t.Errorf("a set in use: got %d requests, want 3", got)
	}
	b.clock.Advance(50 * time.Minute)
	b.Sweep()
	b.WaitIdle()
	if got := server.requests.Load(); got != 3 {
		t.Errorf("a set that was not used since: got %d requests, want 3", got)
	}
}

// ask asks for keys and compares them, and the requests that the key server had until now.
func (b *bench) ask(t *testing.T, server *keyServer, want string, requests int64) {
	t.Helper()
	if got := b.keys(t, server.URL); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := server.requests.Load(); got != requests {
		t.Errorf("the key server had %d requests, want %d", got, requests)
	}
}

// A key that was removed is not accepted once more, however long no request came.
func TestRemovedKey(t *testing.T) {
	b := local(t)
	server := serve(t, withKeys(keySet("a", "b")))
	b.ask(t, server, "a b", 1)
	server.answers(withKeys(keySet("b")))
	b.clock.Advance(time.Hour)
	b.ask(t, server, "b", 2)

	// An operator's refresh does not wait for that. One of another client with the same URL is not needed again.
	server.answers(withKeys(keySet("c")))
	for _, refreshed := range []int64{7, 7, 5} {
		if got := b.keysSince(t, server.URL, refreshed); got != "c" {
			t.Errorf("after a refresh: got %s, want c", got)
		}
	}
	b.ask(t, server, "c", 3)
	server.answers(raw(""))
	if got := b.keysSince(t, server.URL, 8); got != "c" {
		t.Errorf("after a refresh that failed: got %s, want c", got)
	}
	if got := b.keysSince(t, server.URL, 8); got != "c" || server.requests.Load() != 4 {
		t.Errorf("while the failure is remembered: got %s after %d requests", got, server.requests.Load())
	}
	server.answers(withKeys(keySet("d")))
	if got := b.keysSince(t, server.URL, 9); got != "d" {
		t.Errorf("another refresh: got %s, want d", got)
	}
}

// While the key server fails in any way, its last keys are used for a day.
func TestOutage(t *testing.T) {
	for name, failure := range map[string]http.HandlerFunc{
		"down":      raw(""),
		"an error":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"not found": http.NotFound,
		"HTML":      withKeys("<html>"),
		"no keys":   withKeys(`{"keys":[]}`),
	} {
		t.Run(name, func(t *testing.T) {
			b := local(t)
			server := serve(t, withKeys(keySet("k"), "Cache-Control: max-age=600"))
			b.ask(t, server, "k", 1)
			server.answers(failure)
			for range 10 * 60 / 15 { // ten minutes of requests
				b.clock.Advance(15 * time.Second)
				if got := b.keys(t, server.URL); got != "k" {
					t.Fatalf("got %s", got)
				}
				b.WaitIdle()
			}
			// From the eighth minute on: at once, and after 10, 20, 40 and 80 s, with the next request.
			if got := server.requests.Load(); got < 3 || got > 5 {
				t.Errorf("the key server had %d requests in an outage of two minutes", got-1)
			}
			if got := strings.Count(b.log.String(), "its previous keys stay in use"); got < 1 || got > 3 {
				t.Errorf("logged %d times in two minutes:\n%s", got, b.log)
			}
			b.clock.Advance(time.Hour)
			want := []string{"mintkeep_remote_key_oldest_seconds 4200", "mintkeep_remote_key_sets 1", "mintkeep_remote_key_sets_overdue 1"}
			for _, line := range want {
				if got := b.scrape(t); !strings.Contains(got, line) {
					t.Errorf("the metrics lack %q:\n%s", line, got)
				}
			}
			b.clock.Advance(23*time.Hour - time.Second)
			if got := b.keys(t, server.URL); got != "k" {
				t.Errorf("a second before a day after its time: got %s", got)
			}
			b.WaitIdle()
			b.clock.Advance(time.Second)
			if got := b.keys(t, server.URL); got != "503" {
				t.Errorf("a day after its time: got %s", got)
			}
			server.answers(withKeys(keySet("new")))
			b.clock.Advance(5 * time.Minute)
			if got := b.keys(t, server.URL); got != "new" {
				t.Errorf("after the outage: got %s", got)
			}
		})
	}
}

func (b *bench) scrape(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	b.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	var ours []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "mintkeep_remote_key") {
			ours = append(ours, line)
		}
	}
	return strings.Join(ours, "")
}

// No failure makes many requests a flood: one attempt for all, and longer and longer pauses.
func TestStampede(t *testing.T) {
	b := local(t)
	release := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { <-release; raw("")(w, r) })
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			_, err := b.Keys(context.WithoutCancel(t.Context()), server.URL, 0)
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		})
	}
	close(release)
	all.Wait()
	attempts := []int{0}
	for second := 1; second <= 700; second++ {
		b.clock.Advance(time.Second)
		before := server.requests.Load()
		b.keys(t, server.URL)
		if server.requests.Load() > before {
			attempts = append(attempts, second)
		}
	}
	if got, want := fmt.Sprint(attempts), "[0 10 30 70 150 310 610]"; got != want {
		t.Errorf("attempts at %s, want %s", got, want)
	}
	if got := server.requests.Load(); got != 7 {
		t.Errorf("got %d requests, want 7", got)
	}
	if got := strings.Count(b.log.String(), "answered 503"); got != 5 {
		t.Errorf("logged %d times, want 5:\n%s", got, b.log)
	}
	if got := b.scrape(t); !strings.Contains(got, `fetches_total{result="failed"} 7`) || !strings.Contains(got, "key_sets 0") {
		t.Errorf("the metrics have\n%s", got)
	}
}

// A signature that no key verifies may be one of a new key.
func TestUnknownKey(t *testing.T) {
	b := local(t)
	server := serve(t, withKeys(keySet("old")))
	b.ask(t, server, "old", 1)
	server.answers(withKeys(keySet("old", "new")))
	for range 1000 {
		if got := b.refetch(t, server.URL); got != "old new" {
			t.Fatalf("got %s", got)
		}
	}
	b.ask(t, server, "old new", 2)
	b.clock.Advance(time.Minute)
	server.answers(raw(""))
	for range 100 {
		if got := b.refetch(t, server.URL); got != "old new" {
			t.Fatalf("while the key server is down: got %s", got)
		}
	}
	b.ask(t, server, "old new", 3)
}

// Requests with unknown keys that come while the set is fetched get its answer; those after it do not wait.
func TestUnknownKeysAtOnce(t *testing.T) {
	b := local(t)
	server := serve(t, withKeys(keySet("old")))
	b.ask(t, server, "old", 1)
	release := make(chan struct{})
	fresh := withKeys(keySet("new"))
	server.answers(func(w http.ResponseWriter, r *http.Request) { <-release; fresh(w, r) })
	answers := make(chan string, 1000)
	for range 1000 {
		go func() { answers <- b.refetch(t, server.URL) }()
	}
	got := map[string]int{}
	for range 900 { // all but those that wait
		got[<-answers]++
	}
	close(release)
	for range 100 {
		got[<-answers]++
	}
	if got["old"] != 900 || got["new"] != 100 {
		t.Errorf("got %v, want 900 that had the old set at once, and 100 that waited", got)
	}
	b.ask(t, server, "new", 2)
}

// One that gives up leaves the fetch to the others.
func TestGivingUp(t *testing.T) {
	b := local(t)
	release := make(chan struct{})
	fresh := withKeys(keySet("k"))
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { <-release; fresh(w, r) })
	ctx, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := b.Keys(ctx, server.URL, 0); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("one that gives up: got %v", err)
	}
	close(release)
	b.ask(t, server, "k", 1)
}

// A request whose time is short does not wait for a fetch that is under way. The present set is used, but not where a newer
// one is needed.
func TestNoTimeToWait(t *testing.T) {
	b := local(t)
	release := make(chan struct{})
	server := serve(t, withKeys(keySet("old")))
	b.ask(t, server, "old", 1)
	fresh := withKeys(keySet("new"))
	server.answers(func(w http.ResponseWriter, r *http.Request) { <-release; fresh(w, r) })
	ctx, cancel := context.WithTimeout(t.Context(), remotekeys.StoreTime)
	defer cancel()
	b.clock.Advance(2 * time.Hour)
	for what, tt := range map[string]struct {
		got, want string
	}{
		"the set is due":             {ids(b.Keys(ctx, server.URL, 0)), "old"},
		"no key verifies":            {ids(b.Refetch(ctx, server.URL)), "503"},
		"an operator has refreshed":  {ids(b.Keys(ctx, server.URL, 7)), "503"},
		"the set of another is none": {ids(b.Keys(ctx, server.URL+"/another", 0)), "503"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %s, want %s", what, tt.got, tt.want)
		}
	}
	close(release)
	b.WaitIdle()
	b.ask(t, server, "new", 3)
}

// The sets of more URLs than are kept do not fill the memory, and all of them are found.
func TestManyURLs(t *testing.T) {
	b := local(t)
	set := keySet("k")
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, set) })
	for i := range 1100 {
		if got := b.keys(t, fmt.Sprintf("%s/%d", server.URL, i)); got != "k" {
			t.Fatalf("%d: got %s", i, got)
		}
		b.keys(t, server.URL+"/0")
	}
	if got := server.requests.Load(); got != 1100 {
		t.Errorf("got %d requests, want 1100: the set that was always used is kept", got)
	}
	if got := b.KeySets().Sets; got != 1000 {
		t.Errorf("got %d sets, want 1000", got)
	}
	b.clock.Advance(26 * time.Hour)
	b.Sweep()
	if got := b.scrape(t); !strings.Contains(got, "key_sets 0") {
		t.Errorf("sets that cannot be used any more are kept:\n%s", got)
	}
}

// A fetch that is under way does not keep the process from exiting.
func TestClose(t *testing.T) {
	b := local(t)
	arrived := make(chan struct{})
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() })
	answer := make(chan string)
	go func() { answer <- b.keys(t, server.URL) }()
	<-arrived
	ctx, stop := context.WithCancel(t.Context())
	stop()
	b.Run(ctx)
	if got := <-answer; got != "503" {
		t.Errorf("got %s", got)
	}
	if got := b.keys(t, server.URL+"/another"); got != "503" {
		t.Errorf("after that: got %s", got)
	}
}

// Doctor compares the clocks.
func TestProbe(t *testing.T) {
	b := local(t)
	server := serve(t, nil)
	for name, tt := range map[string]struct {
		date, age string
		ahead     time.Duration
		clock     bool
	}{
		"the same time":       {date: b.clock.Now().Format(http.TimeFormat), clock: true},
		"a minute ahead":      {date: b.clock.Now().Add(time.Minute).Truncate(time.Second).Format(http.TimeFormat), ahead: time.Minute, clock: true},
		"a minute behind":     {date: b.clock.Now().Add(-time.Minute).Format(http.TimeFormat), ahead: -time.Minute, clock: true},
		"from a cache":        {date: b.clock.Now().Add(-time.Minute).Format(http.TimeFormat), age: "60", clock: true},
		"a date that is none": {date: "today"},
	} {
		server.answers(withKeys(keySet("a", "b"), "Date: "+tt.date, "Age: "+tt.age))
		r, err := b.Probe(t.Context(), server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if r.Clock != tt.clock || (r.Ahead-tt.ahead).Abs() > time.Second || r.Keys != 2 {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}
