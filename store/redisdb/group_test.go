package redisdb_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Concurrent writes are confirmed together, each with its own answer. Those of callers who are not authenticated are
// confirmed apart. A caller who has no time left is told that nothing was sent.
func TestConfirmedTogether(t *testing.T) {
	var c trips
	server := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	db := open(t, redisdb.Options{
		URL: server.Backend(t).URL(), Durability: config.Durability{Fsync: true},
		Instrument: func(client redis.UniversalClient) { client.AddHook(&c) },
	})
	const calls = 200
	for i := range calls {
		put(t, db, fmt.Sprint("k", i))
	}
	if err := db.Client.Set(t.Context(), "wrong", "no hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	apply := func(ctx context.Context, args ...any) (int64, error) {
		cmd := redis.NewIntCmd(ctx, args...)
		err := db.Apply(ctx, "delete", []*redis.IntCmd{cmd})
		return cmd.Val(), err
	}
	waiting := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); db.WaitingForRound() != n; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d calls wait for a round, want %d", db.WaitingForRound(), n)
			}
		}
	}

	before, release := c.n.Load(), c.held()
	var wg sync.WaitGroup
	for i := range calls {
		ctx := t.Context()
		if i%2 == 0 {
			ctx = redisdb.Unauthenticated(ctx)
		}
		wg.Go(func() {
			if n, err := apply(ctx, "del", fmt.Sprint("k", i)); n != 1 || err != nil {
				t.Errorf("delete %d: got %d, %v; want 1", i, n, err)
			}
		})
	}
	const places = redisdb.MaxRounds + redisdb.MaxUnauthenticatedRounds
	waiting(calls - places)
	wg.Go(func() {
		if _, err := apply(t.Context(), "hdel", "wrong", "f"); redisdb.ErrorPrefix(err) != "WRONGTYPE" {
			t.Errorf("of the wrong type: got %v", err)
		}
	})
	wg.Go(func() {
		if err := db.Barrier(t.Context(), "confirm"); err != nil {
			t.Errorf("a barrier beside a rejected command of another caller: got %v", err)
		}
	})
	waiting(calls - places + 2)
	hurried, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := apply(hurried, "del", "wrong"); !redisdb.IsUnsent(err) || !errors.Is(err, redisdb.ErrUnavailable) {
		t.Errorf("without time: got %v, want that nothing was sent", err)
	}
	release()
	wg.Wait()
	// Each place has a connection, which begins with some of its own, and then each kind of caller takes one more round.
	if n := c.n.Load() - before; n > calls/4 {
		t.Errorf("%d calls took %d round trips", calls+1, n)
	}
}
