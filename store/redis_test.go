package store_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const (
	// budget is what the server gives the store for one request.
	budget = 1500 * time.Millisecond
	// answerWithin is when the request must have its 503.
	answerWithin = 2 * time.Second
)

// wantOutage pings s, which must not be able to answer and say so within limit. A busy machine may be late, so one try
// of three is enough.
func wantOutage(t *testing.T, s *store.Store, patience, limit time.Duration) {
	t.Helper()
	took := outage(t, s, patience)
	for range 2 {
		if took > limit {
			took = outage(t, s, patience)
		}
	}
	if took > limit {
		t.Errorf("with %v for it, it took %v, want at most %v", patience, took, limit)
	}
}

// outage pings s, which must not be able to answer, and returns how long it took to say so.
func outage(t *testing.T, s *store.Store, patience time.Duration) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	start := time.Now()
	err := s.Ping(ctx)
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	return time.Since(start)
}

func await(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// TestOutages takes each kind of server, each time one of its own, through what may happen to it. All at the
// same time, whatever -parallel says, because mostly they wait: a cluster's node for two seconds at each start.
func TestOutages(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, outage := range []struct {
		name string
		f    func(*testing.T, *storetest.Server)
	}{
		{"frozen", testFrozen}, {"gone", testGone}, {"restarted", testRestarted}, {"starts later", testStartsLater},
	} {
		wg.Go(func() {
			t.Run(outage.name+"/redis", func(t *testing.T) { outage.f(t, storetest.Redis(t)) })
		})
		wg.Go(func() {
			t.Run(outage.name+"/cluster", func(t *testing.T) { outage.f(t, storetest.Cluster(t)) })
		})
	}
}

func testFrozen(t *testing.T, srv *storetest.Server) {
	s := srv.Backend(t).Impatient().Open(t)
	ping := func() error { return s.Ping(t.Context()) }
	await(t, "ping", ping)

	srv.Freeze()
	wantOutage(t, s, 50*time.Millisecond, 500*time.Millisecond) // the client alone would wait for 600 ms
	wantOutage(t, s, budget, answerWithin)
	wantOutage(t, s, time.Hour, 5*time.Second)
	srv.Thaw()
	await(t, "ping after the thaw", ping)
}

func testGone(t *testing.T, srv *storetest.Server) {
	s := srv.Backend(t).Open(t)
	ping := func() error { return s.Ping(t.Context()) }
	await(t, "ping", ping)

	srv.Kill()
	for range 50 { // more than the pool holds, so that it stops dialling and only looks now and then
		wantOutage(t, s, budget, answerWithin)
	}
	srv.Start()
	await(t, "ping after the restart", ping)
}

// A restart leaves the pool full of dead connections, which the next request must survive.
func testRestarted(t *testing.T, srv *storetest.Server) {
	s := srv.Backend(t).Open(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	srv.Stop()
	srv.Start()
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func testStartsLater(t *testing.T, srv *storetest.Server) {
	srv.Stop()
	s := srv.Backend(t).Open(t)
	outage(t, s, budget)
	srv.Start()
	await(t, "ping", func() error { return s.Ping(t.Context()) })
}

// Nobody answers at all: the address swallows connections, as a firewall does.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	for _, scheme := range []string{"redis://", "redis+cluster://", "redis+sentinel://", "rediss://"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			url := scheme + ln.Addr().String()
			if strings.Contains(scheme, "sentinel") {
				url += "/mymaster"
			}
			s, err := store.Open(store.Options{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			wantOutage(t, s, budget, answerWithin)
		})
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	if _, err := srv.Do("ACL", "SETUSER", "mint", "on", ">hunter2/@", "~mk:*", "+@all", "-@admin", "-@dangerous"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		userinfo string
		ok       bool
	}{
		{"mint:hunter2%2F%40@", true},
		{"mint:hunter2-wrong@", false},
	} {
		s, err := store.Open(store.Options{URL: strings.Replace(srv.URL(), "://", "://"+tt.userinfo, 1)})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Ping(t.Context())
		if (err == nil) != tt.ok || err != nil && (!errors.Is(err, store.ErrUnavailable) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v", tt.userinfo, err)
		}
		_ = s.Close()
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	primary := storetest.Redis(t)
	sentinel := storetest.Sentinel(t, primary)
	var rdb redis.UniversalClient
	b := sentinel.Backend(t).Impatient()
	s := b.Open(t, func(o *store.Options) {
		o.URL += "?db=3"
		o.Instrument = func(c redis.UniversalClient) { rdb = c }
	})
	await(t, "ping", func() error { return s.Ping(t.Context()) })
	if err := rdb.Set(t.Context(), "mk:x", "there", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := primary.Do("INFO", "keyspace"); err != nil || !strings.Contains(got.(string), "db3:keys=1") {
		t.Errorf("keyspace of the primary: %v, %v", got, err)
	}
	primary.Freeze()
	wantOutage(t, s, budget, answerWithin)
}

// What Redis rejects is an outage, and no verdict.
func TestRejectionsByRedisAreOutages(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	var rdb redis.UniversalClient
	s := srv.Backend(t).Open(t, func(o *store.Options) {
		o.Instrument = func(c redis.UniversalClient) { rdb = c }
	})
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.Config("maxmemory", "1")
	if err := rdb.Set(t.Context(), "mk:x", 1, 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "OOM") {
		t.Errorf("a write without memory: %v", err)
	}
	if err := rdb.Del(t.Context(), "mk:x").Err(); err != nil {
		t.Errorf("a DEL without memory: %v", err)
	}
	if _, err := srv.Do("ACL", "SETUSER", "default", "-exists"); err != nil {
		t.Fatal(err)
	}
	outage(t, s, budget)
}
