package store_test

import (
	"fmt"
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

// A look whose answer comes late says no more than was true when it was sent.
func TestFeedLookThatIsLate(t *testing.T) {
	t.Parallel()
	eachLate(t, func(t *testing.T, r twoReplicas) {
		s, other := runFeed(t, r.Backend.Through(r.p)), r.Backend.Open(t, feeding)
		create(t, other, "a")
		g := settled(t, s)
		var want []feed.Handle
		for i := range 3 {
			d := issue(t, r.Backend, other, "a", fmt.Sprint("token ", i))
			h := feed.OfCredential(d)
			g.remember(h)
			want = append(want, h)
			held := r.p.HoldAnswer(storetest.Command("xdel", feedKey))
			polled := make(chan struct{})
			go func() { // it waits for a look that is sent after it arrived: the one that is held
				defer close(polled)
				_, _ = g.ask(0) // and judges the answer
			}()
			held.Await()
			must(t, other.RevokeToken(t.Context(), d, store.Cause{}))
			g.acks.revoked(h)
			held.Release()
			<-polled
			g.catchUp()
		}
		g.wantVoid("at last", want...)
	})
}

// ofFeed matches an entry of this field.
func ofFeed(field string) storetest.Match {
	return func(piece [][]string) bool {
		for _, words := range piece {
			if words[0] == "xadd" && words[1] == feedKey && len(words) > 8 && words[8] == field {
				return true
			}
		}
		return false
	}
}

// A void that arrives late, after the revocation was repeated and acknowledged, is told twice.
func TestFeedVoidThatIsLate(t *testing.T) {
	t.Parallel()
	eachLateAlive(t, func(t *testing.T, r twoReplicas) {
		late := r.Backend.Through(r.p).Open(t, feeding)
		s := runFeed(t, r.Backend)
		create(t, s, "a")
		g := settled(t, s)
		d := issue(t, r.Backend, s, "a", "token")
		h := feed.OfCredential(d)
		g.remember(h)
		held := r.p.Hold(ofFeed("v"))
		err := late.RevokeToken(request(t), d, store.Cause{})
		held.Await()
		wantErr(t, "a revocation without an answer", err, store.ErrUnavailable)
		must(t, s.RevokeToken(t.Context(), d, store.Cause{}))
		g.acks.revoked(h)
		g.catchUp()
		held.Release()
		g.catchUp()
		g.wantVoid("at last", h)
		g.wantReset("at last", 1)
	})
}

// A deletion of the feed that arrives late, after the feed was begun again, resets the guards once.
func TestFeedDeletionThatIsLate(t *testing.T) {
	t.Parallel()
	eachLateAlive(t, func(t *testing.T, r twoReplicas) {
		late := r.Backend.Through(r.p).Open(t, feeding)
		s := runFeed(t, r.Backend)
		create(t, s, "a")
		g := settled(t, s)
		revoke := func(token string) {
			t.Helper()
			d := issue(t, r.Backend, s, "a", token)
			g.remember(feed.OfCredential(d))
			must(t, s.RevokeToken(t.Context(), d, store.Cause{}))
			g.acks.revoked(feed.OfCredential(d))
		}
		held := r.p.Hold(storetest.Command("del", feedKey))
		deleted := make(chan error, 1)
		go func() { deleted <- store.DeleteFeed(request(t), late) }()
		held.Await()
		r.Do("DEL", feedKey) // by the repetition
		g.catchUp()
		g.wantReset("deleted", 2)
		revoke("before")
		delivered := held.Release()
		revoke("after")
		g.catchUp()
		want := 2
		if delivered {
			want = 3
		}
		g.wantReset(fmt.Sprintf("deleted late (%v)", delivered), want)
		<-deleted
	})
}
