package store_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// beatsOf is how often the only replica has beaten.
func beatsOf(t *testing.T, srv *storetest.Server) int {
	t.Helper()
	for _, beat := range srv.Client().HGetAll(t.Context(), beatsKey).Val() {
		n, err := strconv.Atoi(beat)
		must(t, err)
		return max(n, -n)
	}
	return 0
}

// While a replica runs that does not append what it revokes, as one of an older version, no guard is answered. Some seconds
// after its end they are reset.
func TestFeedBesideAReplicaThatDoesNotAppend(t *testing.T) {
	t.Parallel()
	for name, killed := range map[string]bool{"stopped": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := storetest.Redis(t)
			b := srv.Backend(t)
			s := runFeed(t, b)
			create(t, s, "a")
			g := settled(t, s)
			d := issue(t, b, s, "a", "token")
			g.remember(feed.OfCredential(d))

			old := b.Open(t)
			stop := running(t, old)
			eventually(t, "the older version is noticed", func() bool {
				_, err := g.ask(0)
				return err != nil && strings.Contains(err.Error(), "MINTKEEP_FEED=off")
			})
			must(t, old.RevokeToken(t.Context(), d, store.Cause{}))
			g.acks.revoked(feed.OfCredential(d))
			for range 3 {
				g.wantNoAnswer("beside an older version")
			}
			if killed {
				must(t, old.Close())
			}
			stop()
			ended := beatsOf(t, srv)
			g.catchUp()
			g.wantReset("after the end of the older version", 2)
			if n := beatsOf(t, srv) - ended; n > 5 {
				t.Errorf("after the end of the older version the guard waited for %d seconds", n)
			}
		})
	}
}

// A replica that starts beside one that does not append resets the guards, however long both of them run.
func TestFeedBeginsAfterAReplicaThatDoesNotAppend(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	first := b.Open(t, feeding)
	stop := running(t, first)
	create(t, first, "a")
	g := settled(t, first)
	awaitContinuous(t, srv, 1)
	d := issue(t, b, first, "a", "token")
	g.remember(feed.OfCredential(d))
	stop()
	must(t, b.Open(t).RevokeToken(t.Context(), d, store.Cause{}))
	g.acks.revoked(feed.OfCredential(d))
	g.s = runFeed(t, b)
	g.catchUp()
	g.wantReset("after a time in which nothing was appended", 2)
}

// Replicas that are restarted one after the other reset no guard.
func TestFeedDuringARollingRestart(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	replicas, stops := make([]*store.Store, 3), make([]func(), 3)
	start := func(i int) {
		replicas[i] = b.Open(t, feeding)
		stops[i] = running(t, replicas[i])
	}
	for i := range replicas {
		start(i)
	}
	create(t, replicas[0], "a")
	g := settled(t, replicas...)
	awaitContinuous(t, srv, 3)
	marks := countMarks(t, srv)
	var want []feed.Handle
	for i := range replicas {
		stops[i]()
		must(t, replicas[i].Close())
		next := replicas[(i+1)%3]
		d := issue(t, b, next, "a", strconv.Itoa(i))
		g.remember(feed.OfCredential(d))
		must(t, next.RevokeToken(t.Context(), d, store.Cause{}))
		g.acks.revoked(feed.OfCredential(d))
		want = append(want, feed.OfCredential(d))
		start(i)
		for _, s := range replicas {
			g.s = s
			g.catchUp()
		}
		awaitContinuous(t, srv, 3)
	}
	g.poll(10 * time.Millisecond)
	g.wantVoid("at last", want...)
	g.wantReset("at last", 1)
	if got := countMarks(t, srv); got != marks {
		t.Errorf("the restarts have appended %d marks", got-marks)
	}
}
