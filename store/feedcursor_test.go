package store_test

import (
	"encoding/base64"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A guard whose polls go to two replicas in turn is told everything once, in order, and is never reset.
func TestFeedCursorAtAnotherReplica(t *testing.T) {
	t.Parallel()
	together(t, map[string]func(testing.TB, ...string) *storetest.Server{
		"redis": storetest.Redis, "cluster": storetest.Cluster,
	}, func(t *testing.T, _ string, start func(testing.TB, ...string) *storetest.Server) {
		b := start(t).Backend(t)
		replicas := []*store.Store{runFeed(t, b), runFeed(t, b)}
		create(t, replicas[0], "a")
		g := settled(t, replicas...)
		var want []feed.Handle
		for i := range 100 {
			d := issue(t, b, replicas[0], "a", fmt.Sprint("token ", i))
			h := feed.OfCredential(d)
			g.remember(h)
			must(t, replicas[i/2%2].RevokeToken(t.Context(), d, store.Cause{}))
			g.acks.revoked(h)
			want = append(want, h)
			g.pollUntil("a void", time.Second, func(*feed.Answer) bool {
				g.s = replicas[i%2]
				return slices.Contains(g.void, h)
			})
		}
		g.s = replicas[1]
		g.catchUp()
		g.wantVoid("at last", want...)
		g.wantReset("at last", 1)
	})
}

// A cursor that continues nothing resets the guard, and is no error.
func TestFeedInvalidCursor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := runFeed(t, b)
		other := newGuard(t, runFeed(t, storetest.Embedded(t)))
		other.poll(0)
		g := newGuard(t, s)
		g.poll(0)
		id, err := base64.RawURLEncoding.DecodeString(g.after)
		must(t, err)
		with := func(at int) string { // another byte there
			changed := slices.Clone(id)
			changed[at] ^= 1
			return base64.RawURLEncoding.EncodeToString(changed)
		}
		var polled sync.WaitGroup
		for name, cursor := range map[string]string{
			"no cursor": "the newest", "zeros": string(slices.Repeat([]byte("A"), 32)),
			"cut off": g.after[:20], "longer": g.after + "AAAA", "not canonical": g.after + "=",
			"of another installation": other.after, "with another tag": with(20),
			"of an earlier entry": with(2), "of a later entry": with(0), "with another sequence number": with(15),
		} {
			polled.Go(func() {
				g := newGuard(t, s)
				g.after = cursor
				if a := g.poll(0); !a.Reset || len(a.Voids.Handles()) > 0 {
					t.Errorf("%s: the answer is %+v, want a reset", name, a)
				}
				g.catchUp()
				g.wantReset(name, 1)
			})
		}
		polled.Wait()
		g.catchUp()
		g.wantReset("the right one", 1)
		if b.Server == nil {
			return
		}
		must(t, s.RevokeToken(t.Context(), store.DigestOf("x"), store.Cause{}))
		b.Do("XTRIM", feedKey, "MAXLEN", "1")
		g.s = runFeed(t, b)
		g.catchUp()
		g.wantReset("of an entry that was trimmed, at a replica that has not read it", 2)
	})
}

// appendVoids appends entries of one handle each, all at once.
func appendVoids(t *testing.T, b *storetest.Backend, s *store.Store, from, n int) (handles []feed.Handle) {
	t.Helper()
	ctx := t.Context()
	_, err := b.Client().TxPipelined(ctx, func(p redis.Pipeliner) error {
		for i := range n {
			h := feed.OfCredential(store.DigestOf(fmt.Sprint("token ", from+i)))
			handles = append(handles, h)
			for _, cmd := range s.Feed().Void(ctx, []feed.Handle{h}, false) {
				_ = p.Process(ctx, cmd)
			}
		}
		return nil
	})
	must(t, err)
	return handles
}

// More than one look can read: no guard is told that it knows everything before it does.
func TestFeedOfManyEntriesAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := runFeed(t, b)
		g, late := newGuard(t, s), newGuard(t, s)
		g.poll(0)
		late.poll(0)
		all := appendVoids(t, b, s, 0, 5_000)
		g.remember(all...)
		for _, h := range all {
			g.acks.revoked(h)
		}
		g.catchUp() // and judges each answer
		g.wantVoid("at last", all...)
		g.wantReset("at last", 1)

		first := late.poll(0)
		if n := len(first.Voids.Handles()); n != 4_096 || !first.More || first.Fresh >= 0 {
			t.Errorf("of 5,000 handles the first answer has %d, and says more %v, fresh %v", n, first.More, first.Fresh)
		}
		second := late.poll(0)
		if n := len(second.Voids.Handles()); n != 904 || second.More {
			t.Errorf("of 5,000 handles the second answer has %d, and says more %v", n, second.More)
		}
		late.catchUp()
		late.wantVoid("in two answers", all...)
	})
}

var entries = flag.Int("entries", 24_000, "how many entries the test of the feed's size appends")

// The stream, and what a replica keeps of it, are bounded.
func TestFeedIsBounded(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s := runFeed(t, b)
	g, behind := newGuard(t, s), newGuard(t, s)
	g.poll(0)
	behind.poll(0)
	ctx, n := t.Context(), *entries
	for i := 0; i < n; i += 2_000 {
		appendVoids(t, b, s, i, 2_000)
		g.catchUp()
		g.void = nil
	}
	g.wantReset("a guard that polls", 1)
	length, err := b.Client().XLen(ctx, feedKey).Result()
	must(t, err)
	size, err := b.Client().MemoryUsage(ctx, feedKey, 0).Result()
	must(t, err)
	kept := s.Feed().Status().Entries
	t.Logf("%d entries: the stream has %d in %d bytes, the replica %d", n, length, size, kept)
	if length < 1<<14 || length > 17_000 || size > 4<<20 {
		t.Errorf("the stream has %d entries in %d bytes, want 16,384 to 17,000 in at most 4 MiB", length, size)
	}
	if kept > 20_480 {
		t.Errorf("the replica keeps %d entries", kept)
	}
	if n > kept {
		behind.catchUp()
		behind.wantReset("a guard that was away for more than there is", 2)
	}
	awaitContinuous(t, b.Server, 1)
	g.s = runFeed(t, b)
	g.catchUp()
	g.wantReset("at a replica that has not read the mark, which was trimmed", 1)
}
