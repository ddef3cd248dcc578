package store_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// countMarks is how many entries of the feed are marks.
func countMarks(t *testing.T, srv *storetest.Server) (marks int) {
	t.Helper()
	entries, err := srv.Client().XRange(t.Context(), feedKey, "-", "+").Result()
	must(t, err)
	for _, e := range entries {
		if _, isMark := e.Values["m"]; isMark {
			marks++
		}
	}
	return marks
}

// Where the ACL denies INFO, it is not known whether a new connection leads to another Redis: each connection resets the
// guards, and nothing else does.
func TestFeedWithoutInfo(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	grant(t, srv, leastRights()+" -info")
	b := srv.Backend(t)
	one, two := runFeed(t, b, asMint), runFeed(t, b, asMint)
	create(t, one, "a")
	g := settled(t, one, two)
	marks := countMarks(t, srv)
	for i, s := range []*store.Store{two, one, two, one} {
		d := issue(t, b, one, "a", string(rune('a'+i)))
		g.remember(feed.OfCredential(d))
		must(t, one.RevokeToken(t.Context(), d, store.Cause{}))
		g.acks.revoked(feed.OfCredential(d))
		g.s = s
		g.catchUp()
	}
	g.wantReset("on the same connections", 1)
	if got := countMarks(t, srv); got != marks {
		t.Errorf("on the same connections %d marks were appended", got-marks)
	}
	must2(t)(srv.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
	g.pollUntil("a reset", 0, func(a *feed.Answer) bool { return a.Reset })
	g.catchUp()
}

// Where the ACL denies XADD, a revocation deletes the feed instead, and no guard is answered: it asks at each call.
func TestFeedWithoutAppending(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	grant(t, srv, leastRights())
	b := srv.Backend(t)
	s := runFeed(t, b, asMint)
	create(t, s, "a")
	g := settled(t, s)
	d := issue(t, b, s, "a", "token")
	g.remember(feed.OfCredential(d))
	grant(t, srv, leastRights()+" -xadd")
	must(t, s.RevokeToken(t.Context(), d, store.Cause{}))
	g.acks.revoked(feed.OfCredential(d))
	if live(t, s, "a", d) {
		t.Error("the token is active")
	}
	if b.Do("EXISTS", feedKey) != int64(0) {
		t.Error("the feed is there")
	}
	g.wantNoAnswer("what is revoked is not appended")
	grant(t, srv, leastRights())
	g.catchUp()
	g.wantReset("at last", 2)
}

// A look at a Redis that rejects its write proves nothing: it may not be the primary.
func TestFeedOfARedisThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		rejects, takes func(t *testing.T, srv *storetest.Server)
	}{
		"its replicas are gone": {
			func(t *testing.T, srv *storetest.Server) {
				must2(t)(srv.Do("CONFIG", "SET", "min-replicas-to-write", "1"))
			},
			func(t *testing.T, srv *storetest.Server) {
				must2(t)(srv.Do("CONFIG", "SET", "min-replicas-to-write", "0"))
			},
		},
		"it is a replica": {
			func(t *testing.T, srv *storetest.Server) { must2(t)(srv.Do("REPLICAOF", "127.0.0.1", "1")) },
			func(t *testing.T, srv *storetest.Server) { must2(t)(srv.Do("REPLICAOF", "NO", "ONE")) },
		},
		"its snapshot failed": {
			func(t *testing.T, srv *storetest.Server) { failSnapshot(t, srv) },
			func(t *testing.T, srv *storetest.Server) {
				must2(t)(srv.Do("CONFIG", "SET", "stop-writes-on-bgsave-error", "no"))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := storetest.Redis(t)
			s := runFeed(t, srv.Backend(t))
			g := settled(t, s)
			of.rejects(t, srv)
			stop := time.Now()
			for g.known.Before(stop) {
				if _, err := g.ask(200 * time.Millisecond); err != nil {
					break
				}
			}
			if g.known.After(stop) {
				t.Error("a look counts though the Redis takes no writes")
			}
			g.wantNoAnswer("it takes no writes")
			of.takes(t, srv)
			g.catchUp()
		})
	}
}

// failSnapshot has a snapshot fail, after which Redis answers each write with MISCONF.
func failSnapshot(t *testing.T, srv *storetest.Server) {
	t.Helper()
	dir, err := srv.Client().ConfigGet(t.Context(), "dir").Result()
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir["dir"], "dump.rdb"), 0o700))
	must2(t)(srv.Do("CONFIG", "SET", "save", "3600 1000000"))
	must2(t)(srv.Do("BGSAVE"))
	srv.Await("a snapshot that failed", func(ctx context.Context, c *redis.Client) bool {
		return redis.HasErrorPrefix(c.Set(ctx, "x", "", 0).Err(), "MISCONF")
	})
}
