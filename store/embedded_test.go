package store_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func openEmbedded(t *testing.T) (*storetest.Backend, redis.UniversalClient) {
	t.Helper()
	var rdb redis.UniversalClient
	b := storetest.Embedded(t)
	b.Open(t, func(o *store.Options) {
		o.Instrument = func(c redis.UniversalClient) { rdb = c }
	})
	return b, rdb
}

func TestEmbeddedAges(t *testing.T) {
	b, rdb := openEmbedded(t)
	ctx := t.Context()
	rdb.Set(ctx, "mk:key", 1, 5*time.Second)
	rdb.Set(ctx, "mk:keeps", 1, 0)
	rdb.Do(ctx, "HSETEX", "mk:hash", "PX", 5000, "FIELDS", 1, "field", 1)
	rdb.Do(ctx, "HSETEX", "mk:hash", "PXAT", b.Clock.Now().Add(7*time.Second).UnixMilli(), "FIELDS", 1, "later", 1)

	for _, tt := range []struct {
		advance     time.Duration
		keys, field int64
	}{
		{4999 * time.Millisecond, 3, 2},
		{1 * time.Millisecond, 2, 1},
		{2 * time.Second, 1, 0},
	} {
		b.Clock.Advance(tt.advance)
		if keys, fields := b.Do("DBSIZE").(int64), b.Do("HLEN", "mk:hash").(int64); keys != tt.keys || fields != tt.field {
			t.Errorf("after another %v: %d keys and %d fields, want %d and %d", tt.advance, keys, fields, tt.keys, tt.field)
		}
	}
}

// Without a call of Age, as in production: by the ticker, on the real clock.
func TestEmbeddedAgesByItself(t *testing.T) {
	var rdb redis.UniversalClient
	s, err := store.Open(store.Options{Instrument: func(c redis.UniversalClient) { rdb = c }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rdb.Set(t.Context(), "mk:key", 1, 300*time.Millisecond)
	await(t, "expiry", func() error {
		if n := rdb.DBSize(t.Context()).Val(); n != 0 {
			return fmt.Errorf("%d keys", n)
		}
		return nil
	})
}

// TIME, stream ids and absolute expiry use our clock too.
func TestEmbeddedClock(t *testing.T) {
	b, rdb := openEmbedded(t)
	b.Clock.Advance(1000 * time.Hour)
	now := b.Clock.Now()
	if got := rdb.Time(t.Context()).Val(); !got.Equal(now) {
		t.Errorf("TIME is %v, want %v", got, now)
	}
	id := rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "mk:s", Values: []string{"a", "b"}}).Val()
	if want := fmt.Sprint(now.UnixMilli(), "-"); !strings.HasPrefix(id, want) {
		t.Errorf("stream id is %s, want %s…", id, want)
	}
	rdb.Set(t.Context(), "mk:k", 1, 0)
	rdb.PExpireAt(t.Context(), "mk:k", now.Add(time.Minute))
	if got := rdb.PTTL(t.Context(), "mk:k").Val(); got != time.Minute {
		t.Errorf("PTTL is %v, want 1m", got)
	}
}

// net.Pipe, and a pair of sockets, would lock up here.
func TestEmbeddedTakesLargePipelines(t *testing.T) {
	_, rdb := openEmbedded(t)
	value := strings.Repeat("v", 1000)
	_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range 5000 {
			p.Set(t.Context(), fmt.Sprint("mk:", i%10), value, 0)
			p.Get(t.Context(), fmt.Sprint("mk:", i%10))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// alone is set in the process of a test that runs itself.
const alone = "MINTKEEP_TEST_ALONE"

// The embedded store does not grow. The shape is that of its tokens: fields that expire, in hashes whose names are few.
func TestEmbeddedDoesNotGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("it is one call after another: the race detector sees nothing in it")
	}
	if os.Getenv(alone) == "" { // in a process of its own, whose heap has nothing of other tests
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestEmbeddedDoesNotGrow$")
		cmd.Env = append(os.Environ(), alone+"=1")
		out, err := cmd.CombinedOutput()
		if t.Logf("%s", out); err != nil || !strings.Contains(string(out), "--- PASS: TestEmbeddedDoesNotGrow") {
			t.Errorf("the process: %v", err)
		}
		return
	}
	const tokens, shards, batch = 100_000, 256, 500
	b, rdb := openEmbedded(t)
	ctx := t.Context()

	before := liveHeap()
	for i := 0; i < tokens; i += batch {
		_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for j := i; j < i+batch; j++ {
				p.Do(ctx, "HSETEX", fmt.Sprint("mk:token:", j%shards), "PX", 5000, "FIELDS", 1,
					fmt.Sprintf("%032d", j), strings.Repeat("r", 60))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Do("DBSIZE"); got != int64(shards) {
		t.Errorf("DBSIZE with %d tokens is %v, want %d", tokens, got, shards)
	}
	full := liveHeap()
	b.Clock.Advance(5 * time.Second)
	if got := b.Do("DBSIZE"); got != int64(0) {
		t.Errorf("DBSIZE after their time is %v, want 0", got)
	}
	after := liveHeap()
	t.Logf("live heap: %d KiB, full %d KiB, after %d KiB", before>>10, full>>10, after>>10)
	if full-before < 10<<20 {
		t.Errorf("%d tokens took %d KiB: did they get there?", tokens, (full-before)>>10)
	}
	if grown := after - before; grown > 2<<20 {
		t.Errorf("the live heap grew by %d KiB", grown>>10)
	}
}

// liveHeap is the live heap once it does not shrink any more: what the tests before have closed is still being freed.
func liveHeap() int64 {
	const still, enough = 64 << 10, 5
	read := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // for what the first left to finalizers and pools
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	least := read()
	for same := 0; same < enough; {
		time.Sleep(20 * time.Millisecond)
		if now := read(); now < least-still {
			least, same = now, 0
		} else {
			least, same = min(least, now), same+1
		}
	}
	return least
}
