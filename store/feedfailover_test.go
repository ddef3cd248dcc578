package store_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// entryOf is the id of the entry that a cursor names, and its tag.
func entryOf(t *testing.T, cursor string) (id, tag string) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	must(t, err)
	return fmt.Sprintf("%d-%d", binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])), string(b[16:])
}

// tagAt is the tag of the entry that a server has under this id; empty: it has none.
func tagAt(t *testing.T, srv *storetest.Server, id string) string {
	t.Helper()
	entries, err := srv.Client().XRange(t.Context(), feedKey, id, id).Result()
	must(t, err)
	if len(entries) == 0 {
		return ""
	}
	return entries[0].Values["t"].(string)
}

// revokeAll revokes tokens one after the other, until stop is closed or there are no more, and tells which were
// acknowledged.
func revokeAll(t *testing.T, s *store.Store, acks *acknowledged, tokens []store.Digest, stop <-chan struct{}) {
	for _, d := range tokens {
		select {
		case <-stop:
			return
		default:
		}
		if err := s.RevokeToken(t.Context(), d, store.Cause{}); err == nil {
			acks.revoked(feed.OfCredential(d))
		}
	}
}

// A Redis that writes down each command loses nothing when it is killed: guards are reset once, and miss nothing.
func TestFeedOfARedisThatRestarts(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	b := srv.Backend(t)
	s := runFeed(t, b)
	create(t, s, "a")
	g := settled(t, s)
	var tokens []store.Digest
	for i := range 200 {
		tokens = append(tokens, issue(t, b, s, "a", fmt.Sprint("token ", i)))
		g.remember(feed.OfCredential(tokens[i]))
	}
	stop, revoked := make(chan struct{}), make(chan struct{})
	go func() { defer close(revoked); revokeAll(t, s, g.acks, tokens, stop) }()
	g.pollUntil("some voids", time.Second, func(*feed.Answer) bool { return len(g.void) > 5 })
	killed := time.Now()
	srv.Kill()
	close(stop)
	<-revoked
	g.wantNoAnswer("Redis was killed")
	srv.Start()
	g.catchUp()
	away := time.Since(killed)
	g.catchUp()
	if want := 2; away < time.Second || g.reset < want { // a replica that was away for longer has seen too little
		g.wantReset("after the restart", want)
	}
}

// newPrimary is a primary whose replica takes its place without what was appended last.
type newPrimary struct {
	primary, replica *storetest.Server
	b                *storetest.Backend
	road             *road
	g                *guard
	s                *store.Store
}

func newNewPrimary(t *testing.T) *newPrimary {
	t.Helper()
	n := &newPrimary{primary: storetest.Redis(t), replica: storetest.Redis(t)}
	follow(t, n.replica, n.primary)
	n.road = newRoad(t, n.primary)
	n.b = n.primary.Backend(t)
	n.s = n.run(t)
	create(t, n.s, "a")
	n.g = settled(t, n.s)
	awaitContinuous(t, n.primary, 1)
	return n
}

func (n *newPrimary) run(t *testing.T) *store.Store {
	t.Helper()
	return runFeed(t, n.b, func(o *store.Options) { o.URL = "redis://" + n.road.Addr().String() })
}

// promote ends the replication: what comes now is not on the replica.
func (n *newPrimary) promote(t *testing.T) {
	t.Helper()
	catchUp(t, n.replica, n.primary)
	must2(t)(n.replica.Do("REPLICAOF", "NO", "ONE"))
}

// revoke revokes a token that the guard remembers.
func (n *newPrimary) revoke(t *testing.T, token string) {
	t.Helper()
	d := issue(t, n.b, n.s, "a", token)
	n.g.remember(feed.OfCredential(d))
	must(t, n.s.RevokeToken(t.Context(), d, store.Cause{}))
	n.g.acks.revoked(feed.OfCredential(d))
}

// A failover that loses entries which no guard has read: the mark of the new primary resets the guards, at a replica that has
// read the entries and at one that has not. If the entry of the cursor is lost, its tag does so, though another entry has the id.
func TestFeedFailoverThatLosesEntries(t *testing.T) {
	t.Parallel()
	for name, cursorLost := range map[string]bool{"the cursor's entry survives": false, "the cursor's entry is lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNewPrimary(t)
			if cursorLost {
				n.promote(t)
			}
			n.revoke(t, "first")
			n.g.catchUp()
			id, tag := entryOf(t, n.g.after)
			if cursorLost {
				must2(t)(n.replica.Do("XADD", feedKey, id, "t", "another.", "v", strings.Repeat("x", 16)))
			} else {
				n.promote(t)
			}
			n.revoke(t, "last")
			n.road.lead(n.replica)
			if got := tagAt(t, n.replica, id); got == "" || (got != tag) != cursorLost {
				t.Fatalf("the new primary has the tag %q at the cursor, which has %q", got, tag)
			}
			elsewhere := newGuard(t, n.run(t))
			elsewhere.after, elsewhere.acks = n.g.after, n.g.acks
			for h, asked := range n.g.active {
				elsewhere.active[h] = asked
			}
			elsewhere.catchUp()
			elsewhere.wantReset("at a replica that has not read what was lost", 1)
			n.g.catchUp()
			if n.g.reset < 2 {
				t.Error("at the replica that has read what was lost there was no reset")
			}
			if d := store.DigestOf("last"); live(t, n.s, "a", d) {
				t.Error("what was revoked is active")
			}
		})
	}
}

// A failover under load, planned or after the primary was killed: guards are reset, and miss nothing.
func TestFeedFailover(t *testing.T) {
	t.Parallel()
	type failover struct {
		begin func(*storetest.Watched)
		most  int // resets, by each replica
	}
	together(t, map[string]failover{
		"planned": {(*storetest.Watched).Failover, 1},
		// A replica that has seen nothing for seconds resets them once more.
		"the primary is killed": {func(w *storetest.Watched) { w.ExpectFailure(); w.Primary.Kill() }, 2},
	}, func(t *testing.T, _ string, f failover) {
		w := storetest.Sentinels(t)
		b := w.Primary.Backend(t)
		at := func(o *store.Options) { o.URL = w.URL() }
		replicas := []*store.Store{runFeed(t, b, at), runFeed(t, b, at)}
		await(t, "ping", func() error { return replicas[0].Ping(t.Context()) })
		create(t, replicas[0], "a")
		settled(t, replicas...)
		awaitContinuous(t, w.Primary, 2)
		tokens := make([]store.Digest, 300)
		for i := range tokens {
			tokens[i] = issue(t, b, replicas[0], "a", fmt.Sprint("token ", i))
		}
		catchUp(t, w.Replica, w.Primary)
		guards, stop := pollAll(t, replicas, tokens)
		acks := guards[0].acks
		revokeAll(t, replicas[0], acks, tokens[:100], nil)
		f.begin(w)
		w.AwaitFailover()
		for _, s := range replicas {
			eventually(t, "a revocation", func() bool { return s.RevokeToken(t.Context(), tokens[100], store.Cause{}) == nil })
		}
		awaitBeats(t, w.Replica) // a look at the old primary counts until then
		acks.revoked(feed.OfCredential(tokens[100]))
		revokeAll(t, replicas[1], acks, tokens[101:], nil)
		stop()
		for _, g := range guards {
			g.catchUp()
			if n, most := g.reset-1, f.most*len(replicas); n < 1 || n > most {
				t.Errorf("a guard was reset %d times by the failover, want 1 to %d", n, most)
			}
		}
	})
}

// pollAll has two guards of each replica poll, until stop is called. They remember all tokens.
func pollAll(t *testing.T, replicas []*store.Store, tokens []store.Digest) (guards []*guard, stop func()) {
	t.Helper()
	acks, over := &acknowledged{}, make(chan struct{})
	var polling sync.WaitGroup
	for i := range 2 * len(replicas) {
		g := newGuard(t, replicas[i%len(replicas)])
		g.acks = acks
		g.catchUp()
		for _, d := range tokens {
			g.remember(feed.OfCredential(d))
		}
		guards = append(guards, g)
		polling.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					_, _ = g.ask(100 * time.Millisecond)
				}
			}
		})
	}
	return guards, func() { close(over); polling.Wait() }
}
