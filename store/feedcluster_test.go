package store_test

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// shardOf is which master of three has a key.
func shardOf(key string) int { return redisdb.SlotOf(key) * 3 / redisdb.Slots }

// elsewhere makes a client and a token that the feed's shard does not have.
func elsewhere(t *testing.T, b *storetest.Backend, s *store.Store, name string) store.Digest {
	t.Helper()
	for i := 0; ; i++ {
		id := fmt.Sprint(name, i)
		if d := store.DigestOf(id); shardOf("mk:c:"+id) != shardOf(feedKey) && shardOf(recordKey(d)) != shardOf(feedKey) {
			create(t, s, id)
			return issue(t, b, s, id, id)
		}
	}
}

// The shard that has the feed fails over, and its slot moves to another shard: what was acknowledged is in the feed, and guards
// are reset.
func TestFeedShardFailsOver(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	t.Parallel()
	nodes := storetest.SixNodes(t)
	b := nodes.Masters[0].Backend(t)
	s := lasting(t, b, config.Durability{Replicas: 1}, feeding, func(o *store.Options) { o.URL = nodes.URL() })
	for _, m := range nodes.Masters {
		m.AwaitReplicas(1)
	}
	running(t, s)
	g := settled(t, s)
	revoke := func(token string) {
		t.Helper()
		d := elsewhere(t, b, s, token)
		g.remember(feed.OfCredential(d))
		eventually(t, "a revocation", func() bool { return s.RevokeToken(hurry(t), d, store.Cause{}) == nil })
		g.acks.revoked(feed.OfCredential(d))
	}
	revoke("first")
	g.catchUp()
	revoke("not read")
	shard := shardOf(feedKey)
	nodes.ExpectFailure()
	nodes.Masters[shard].Kill()
	g.wantNoAnswer("the master of the feed was killed")
	nodes.Replicas[shard].Promoted()
	g.catchUp()
	if g.reset < 2 {
		t.Error("there was no reset by the failover")
	}
	nodes.Masters[shard].Start() // as a replica of the new master
	nodes.Replicas[shard].AwaitReplicas(1)
	nodes.AwaitWell()
	revoke("after the failover")
	g.catchUp()

	resets := g.reset
	for what := range moveFeed(t, nodes.Replicas[shard], nodes.Masters[(shard+1)%3]) {
		revoke(what)
	}
	g.catchUp()
	if g.reset == resets {
		t.Error("there was no reset by the other shard")
	}
	revoke("last")
	g.catchUp()
}

// moveFeed gives the slot of the feed to another primary, and stops twice: when its keys are there and the slot is not, and at
// last.
func moveFeed(t *testing.T, from, to *storetest.Server) iter.Seq[string] {
	t.Helper()
	ctx, slot := t.Context(), redisdb.SlotOf(feedKey)
	id := func(s *storetest.Server) any { return s.Client().Do(ctx, "CLUSTER", "MYID").Val() }
	_, port, _ := strings.Cut(to.Addr(), ":")
	return func(yield func(string) bool) {
		must2(t)(to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", id(from)))
		must2(t)(from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", id(to)))
		for _, key := range from.Client().ClusterGetKeysInSlot(ctx, slot, 100).Val() {
			must2(t)(from.Do("MIGRATE", "127.0.0.1", port, key, 0, 1000))
		}
		if !yield("on its way") {
			return
		}
		must2(t)(to.Do("CLUSTER", "SETSLOT", slot, "NODE", id(to)))
		must2(t)(from.Do("CLUSTER", "SETSLOT", slot, "NODE", id(to)))
		yield("moved")
	}
}

// The shard that has the feed is down: what is revoked on another shard is revoked, though it is not acknowledged, and told to
// the guards when the feed is back.
func TestFeedShardIsDown(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	t.Parallel()
	nodes := storetest.SixNodes(t)
	b := nodes.Masters[0].Backend(t).Impatient()
	s := runFeed(t, b, func(o *store.Options) { o.URL = nodes.URL() })
	d := elsewhere(t, b, s, "a")
	h := feed.OfCredential(d)
	g := settled(t, s)
	g.remember(h)
	down := nodes.Masters[shardOf(feedKey)]
	down.Freeze()
	wantErr(t, "a revocation on another shard", s.RevokeToken(request(t), d, store.Cause{}), store.ErrUnconfirmed)
	_, err := s.Credential(hurry(t), d)
	wantErr(t, "the token", err, store.ErrNotFound)
	stopped := time.Now()
	g.wantNoAnswer("the feed is down")
	down.Thaw()
	if g.known.After(stopped) {
		t.Error("a look counts though the feed is down")
	}
	eventually(t, "the revocation is appended", func() bool { return s.Unannounced() == 0 })
	must(t, s.RevokeToken(t.Context(), d, store.Cause{}))
	g.acks.revoked(h)
	g.catchUp()
	if len(g.active) > 0 {
		t.Error("the guard was not told to forget the token")
	}
}
