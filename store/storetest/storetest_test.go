package storetest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func TestEachBeginsWithNothing(t *testing.T) {
	for _, name := range []string{"one", "another"} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
				if got := b.Dump(t); len(got) != 0 {
					t.Errorf("there is %v", got)
				}
				b.Do("SET", "left behind", "x")
			})
		})
	}
}

func TestAdvance(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		b.Do("SET", "short", "x", "PX", 60_000)
		b.Do("SET", "long", "x", "PX", 120_000)
		b.Do("SET", "endless", "x")

		before := b.Clock.Now()
		b.Clock.Advance(61 * time.Second)
		if got := b.Clock.Now().Sub(before); got != 61*time.Second {
			t.Errorf("the clock moved by %v", got)
		}
		if diff := cmp.Diff([]string{"endless", "long"}, b.Dump(t).Keys()); diff != "" {
			t.Errorf("after 61 s (-want +got)\n%s", diff)
		}
		if ttl := b.Do("PTTL", "long").(int64); ttl > 59_000 || ttl < 50_000 {
			t.Errorf("the long one has %d ms to live", ttl)
		}
		b.Clock.Advance(60 * time.Second)
		if diff := cmp.Diff([]string{"endless"}, b.Dump(t).Keys()); diff != "" {
			t.Errorf("after 121 s (-want +got)\n%s", diff)
		}
	})
}

func TestDump(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		b.Do("SET", "string", "a canary\x00\xff")
		b.Do("HSET", "hash", "f", "v")
		b.Do("RPUSH", "list", "1", "2")
		b.Do("SADD", "set", "m")
		b.Do("ZADD", "zset", 1, "m")
		b.Do("XADD", "stream", "1-1", "f", "canary")
		want := storetest.Dump{
			"string": {"a canary\x00\xff"}, "hash": {"f", "v"}, "list": {"1", "2"}, "set": {"m"}, "zset": {"m", "1"},
			"stream": {"1-1", "f", "canary"},
		}
		got := b.Dump(t)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]string{"stream", "string"}, got.Find("canary")); diff != "" {
			t.Errorf("canary (-want +got)\n%s", diff)
		}
		if got := got.Find("nowhere"); got != nil {
			t.Errorf("found in %v", got)
		}
		if got := b.Do("GET", "nothing"); got != nil {
			t.Errorf("an absent key is %v", got)
		}
	})
}

func TestOpenTwice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		one, two := b.Open(t), b.Open(t)
		if same := one == two; same != (b.Server == nil) {
			t.Errorf("the same store: %v", same)
		}
		for _, s := range []*store.Store{one, two} {
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestServerLife(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	get := func() any {
		t.Helper()
		v, err := srv.Do("GET", "k")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if _, err := srv.Do("SET", "k", "kept"); err != nil {
		t.Fatal(err)
	}
	addr := srv.Addr()
	for _, end := range []func(){srv.Kill, srv.Stop} {
		end()
		if _, err := srv.Do("PING"); err == nil {
			t.Error("an ended server answers")
		}
		srv.Start()
		if got := get(); got != "kept" || srv.Addr() != addr {
			t.Errorf("after the start at %s: %v, want what was there at %s", srv.Addr(), got, addr)
		}
	}
	srv.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := srv.Client().Ping(ctx).Err(); err == nil {
		t.Error("a frozen server answers")
	}
	srv.Thaw()
	if got := get(); got != "kept" {
		t.Errorf("after the thaw: %v", got)
	}
	t.Run("config", func(t *testing.T) { storetest.Redis(t).Config("maxmemory", "1mb") })
}

// complaints is a testing.TB that notes what it is told.
type complaints struct {
	testing.TB
	list []string
}

func (c *complaints) Helper()                   {}
func (c *complaints) Errorf(f string, a ...any) { c.list = append(c.list, fmt.Sprintf(f, a...)) }

func TestSlotWatch(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		do   func(redis.UniversalClient)
		want string // in the complaint; empty: none
	}{
		{"one key", func(c redis.UniversalClient) { c.Get(ctx, "a") }, ""},
		{"one tag", func(c redis.UniversalClient) { c.Del(ctx, "{a}1", "{a}2") }, ""},
		{"two slots", func(c redis.UniversalClient) { c.Del(ctx, "a", "b") }, "two slots"},
		{"mset", func(c redis.UniversalClient) { c.MSet(ctx, "a", 1, "b", 2) }, "two slots"},
		{"script", func(c redis.UniversalClient) { c.Eval(ctx, "return 1", []string{"a", "b"}) }, "two slots"},
		{"streams", func(c redis.UniversalClient) {
			c.XRead(ctx, &redis.XReadArgs{Streams: []string{"a", "b", "0", "0"}, Block: -1})
		}, "two slots"},
		{"keys", func(c redis.UniversalClient) { c.Keys(ctx, "*") }, "visits all keys"},
		{"scan", func(c redis.UniversalClient) { c.Scan(ctx, 0, "*", 10) }, "visits all keys"},
		{"unknown", func(c redis.UniversalClient) { c.Do(ctx, "FROBNICATE", "a") }, "not a command"},
		{"pipeline", func(c redis.UniversalClient) {
			_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "a"); p.Get(ctx, "b"); return nil })
		}, ""},
		{"pipeline with a bad command", func(c redis.UniversalClient) {
			_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "a"); p.Del(ctx, "a", "b"); return nil })
		}, "two slots"},
		{"transaction", func(c redis.UniversalClient) {
			_, _ = c.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "a"); p.Get(ctx, "b"); return nil })
		}, "two slots"},
		{"transaction after watch", func(c redis.UniversalClient) {
			_ = c.Watch(ctx, func(tx *redis.Tx) error {
				_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "a"); p.Get(ctx, "b"); return nil })
				return err
			}, "a")
		}, "two slots"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rdb redis.UniversalClient
			told := &complaints{TB: t}
			s := storetest.Redis(t).Backend(t)
			s.Open(told, func(o *store.Options) { o.Instrument = func(c redis.UniversalClient) { rdb = c } })
			tt.do(rdb)
			if got := strings.Join(told.list, "\n"); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
