package store_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func TestOpenPingClose(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := s.Embedded(), b.Server == nil; got != want {
			t.Errorf("Embedded() = %v, want %v", got, want)
		}
		if p := s.PoolStats(); p.Total == 0 || p.Misses == 0 {
			t.Errorf("after a ping the pool is %+v", p)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if err := s.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("ping of a closed store: %v", err)
		}
	})
}

func TestContextIsHonoured(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Ping(ctx); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// A Store must leave nothing running behind, whatever it was doing.
func TestCloseStopsGoroutines(t *testing.T) {
	storetest.EachAlone(t, func(t *testing.T, b *storetest.Backend) {
		before := runtime.NumGoroutine()
		for range 5 {
			var rdb redis.UniversalClient
			s, err := store.Open(store.Options{URL: b.URL(), Instrument: func(c redis.UniversalClient) { rdb = c }})
			if err != nil {
				t.Fatal(err)
			}
			busy := make(chan struct{})
			for range 8 {
				go func() {
					for s.Ping(context.Background()) == nil {
					}
					busy <- struct{}{}
				}()
			}
			_, _ = rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
				p.Set(t.Context(), "mk:{x}", 1, time.Minute)
				return nil
			})
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			for range 8 {
				<-busy
			}
		}
		for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; <-time.After(time.Millisecond) {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

// plain is a revocation or a change without a cause.
func plain(do func(context.Context, string, store.Cause) error) func(context.Context, string) error {
	return func(ctx context.Context, id string) error { return do(ctx, id, store.Cause{}) }
}
