package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// observed collects what Options.Observe is told, as "name" or "name!" after an error.
type observed struct {
	mu   sync.Mutex
	list []string
}

func (o *observed) observe(cmd string, d time.Duration, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		cmd += "!"
	}
	if d < 0 {
		cmd += "?"
	}
	o.list = append(o.list, cmd)
}

func (o *observed) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.list
	o.list = nil
	return list
}

func TestObserve(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		ctx, seen, rdb := t.Context(), &observed{}, redis.UniversalClient(nil)
		s := b.Open(t, func(o *store.Options) {
			o.Observe = seen.observe
			o.Instrument = func(c redis.UniversalClient) { rdb = c }
		})
		if err := s.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		seen.take() // with what it takes to connect

		rdb.Set(ctx, "mk:{x}", "v", 0)
		rdb.Get(ctx, "mk:absent") // an answer
		rdb.HGetAll(ctx, "mk:{x}")
		_, _ = rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Get(ctx, "mk:absent")
			p.Get(ctx, "mk:{x}")
			return nil
		})
		_, _ = rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Get(ctx, "mk:absent")
			p.HGetAll(ctx, "mk:{x}")
			return nil
		})
		_, _ = rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Del(ctx, "mk:{x}", "mk:{x}:2")
			return nil
		})
		want := []string{"set", "get", "hgetall!", "pipeline", "pipeline!", "multi"}
		got := slices.DeleteFunc(seen.take(), func(name string) bool {
			return name == "dial" || name == "cluster" // a client may connect, and look at the topology, at any time
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestObserveDial(t *testing.T) {
	seen := &observed{}
	s, err := store.Open(store.Options{URL: "redis://" + storetest.FreeAddr(t), Observe: seen.observe})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ping(context.Background()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"dial!", "dial!", "exists!"}, seen.take()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
