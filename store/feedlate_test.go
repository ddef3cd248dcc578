package store_test

import (
	"fmt"
	"testing"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A look whose answer comes late says no more than was true when it was sent.
func TestFeedLookThatIsLate(t *testing.T) {
	t.Parallel()
	eachLate(t, func(t *testing.T, r twoReplicas) {
		s, other := runFeed(t, r.Through(r.p)), r.Open(t, feeding)
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
		late := r.Through(r.p).Open(t, feeding)
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

// A deletion of the feed, because Redis was out of memory, that arrives late, after the feed has begun again, resets the guards once.
func TestFeedDeletionThatIsLate(t *testing.T) {
	t.Parallel()
	eachLateAlive(t, func(t *testing.T, r twoReplicas) {
		late := r.Through(r.p).Open(t, feeding)
		s := runFeed(t, r.Backend)
		create(t, s, "a")
		g := settled(t, s)
		tokens := make([]store.Digest, 3)
		for i := range tokens {
			tokens[i] = issue(t, r.Backend, s, "a", fmt.Sprint("token ", i))
			g.remember(feed.OfCredential(tokens[i]))
		}
		revoke := func(d store.Digest) {
			t.Helper()
			must(t, s.RevokeToken(t.Context(), d, store.Cause{}))
			g.acks.revoked(feed.OfCredential(d))
		}
		empty := fillMemory(r.Server)
		held := r.p.Hold(storetest.Command("del", feedKey))
		wantErr(t, "a revocation without an answer", late.RevokeToken(request(t), tokens[0], store.Cause{}), store.ErrUnavailable)
		held.Await()
		revoke(tokens[0])
		empty()
		g.catchUp()
		g.wantReset("deleted", 2)
		revoke(tokens[1])
		delivered := held.Release()
		revoke(tokens[2])
		g.catchUp()
		want := 2
		if delivered {
			want = 3
		}
		g.wantReset(fmt.Sprintf("deleted late (%v)", delivered), want)
	})
}
