package store_test

import (
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// connectionsOf are the ids of the connections to a server: the one that waits for an entry of the feed, and the others.
func connectionsOf(t *testing.T, srv *storetest.Server) (look string, others []string) {
	t.Helper()
	eventually(t, "a look", func() bool {
		list, err := srv.Client().ClientList(t.Context()).Result()
		must(t, err)
		look, others = "", nil
		for line := range strings.Lines(list) {
			var id string
			fields := map[string]string{}
			for field := range strings.FieldsSeq(line) {
				name, value, _ := strings.Cut(field, "=")
				fields[name] = value
			}
			if id = fields["id"]; fields["name"] != "mintkeep" {
				continue
			}
			if fields["cmd"] == "xread" {
				look = id
			} else {
				others = append(others, id)
			}
		}
		return look != ""
	})
	return look, others
}

// The connections of the feed lead to the former primary still, and those of the pool to the new one. A former primary
// that has become a replica proves nothing. One that is cut off, and takes writes, is found out by the next beat. Both are
// left.
func TestFeedOfTheOldPrimary(t *testing.T) {
	t.Parallel()
	for name, demoted := range map[string]bool{"it is a replica": true, "it is cut off": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := storetest.Redis(t), storetest.Redis(t)
			follow(t, two, one)
			b, a := one.Backend(t), newAddress(t, one.Addr())
			s := runFeed(t, b, func(o *store.Options) { o.URL = "redis://" + a.listener.Addr().String() })
			create(t, s, "a")
			g := settled(t, s)
			d := issue(t, b, s, "a", "token")
			g.remember(feed.OfCredential(d))
			catchUp(t, two, one)
			_, pool := connectionsOf(t, one)
			must2(t)(two.Do("REPLICAOF", "NO", "ONE"))
			to := two.Addr()
			a.to.Store(&to)
			if demoted {
				must2(t)(one.Do("REPLICAOF", "127.0.0.1", "1"))
			}
			for _, id := range pool {
				must2(t)(one.Do("CLIENT", "KILL", "ID", id))
			}
			eventually(t, "a revocation", func() bool { return s.RevokeToken(t.Context(), d, store.Cause{}) == nil })
			awaitBeats(t, two)
			g.acks.revoked(feed.OfCredential(d))
			g.catchUp()
			if g.reset < 2 {
				t.Error("the guard was not reset")
			}
		})
	}
}
