package server_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Callers who authenticate by nothing have keys revoked that do not exist, and none of that is confirmed. All revocations of
// others are answered meanwhile: strangers have two confirmations at once, whatever they send.
func TestStrangersDelayNoRevocation(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	proxy := storetest.NewLateProxy(t, redis)
	// Without the feed, which takes ten such revocations a second.
	s := servertest.New(t, redis.Backend(t).Through(proxy).Patient(), "MINTKEEP_REVOKE_DURABILITY=fsync", "MINTKEEP_FEED=off", behindProxy)
	c := s.Register(t, servertest.M{"scope": "read"})
	var tokens []string
	for range 10 {
		tokens = append(tokens, s.Token(t, c))
	}

	const crowd, share = 200, 2
	var looked atomic.Int64 // for keys
	counted := proxy.Hold(func(piece [][]string) bool {
		for _, words := range piece {
			if words[0] == "get" && strings.HasPrefix(words[1], "mk:t:") {
				looked.Add(1)
			}
		}
		return false
	})
	var held []*storetest.Held
	for range 8 * share { // only a confirmation asks whether a credential exists
		held = append(held, proxy.Hold(storetest.Command("exists", "mk:t:")))
	}
	isHeld := func(h *storetest.Held) bool {
		select {
		case <-h.Arrived():
			return true
		default:
			return false
		}
	}

	var strangers sync.WaitGroup
	for i := range crowd {
		strangers.Go(func() {
			unknown := credential.NewKey("mk")
			s.Post(t, "/oauth/revoke", "token="+unknown, servertest.Bearer(unknown), address("192.0.2.%d", i)).Want(t, http.StatusOK, "")
		})
	}
	for _, h := range held[:share] {
		h.Await()
	}
	until(t, "each stranger's key is looked for", func() bool { return looked.Load() >= crowd })

	for _, token := range tokens {
		s.Revoke(t, c, token).Want(t, http.StatusOK, "")
	}
	s.Admin(t, http.MethodPost, clientsPath+"/"+c.ID+"/revoke-tokens", nil).Want(t, http.StatusNoContent, "")
	for i, h := range held {
		if got, want := isHeld(h), i < share; got != want {
			t.Errorf("confirmation %d for strangers is under way: %v, want %v", i+1, got, want)
		}
	}
	counted.Release()
	for _, h := range slices.Backward(held) { // first those that have not come, and shall hold nothing now
		h.Release()
	}
	strangers.Wait()
}

// A key that does not exist is a guess: an address may make so many, and no more are confirmed.
func TestSelfRevocationsAreCounted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b, behindProxy)
		owner := s.User(t, servertest.M{"email": "ada@example.com"})
		own := s.Key(t, owner, servertest.M{"scope": "read"})
		guess := func(i int) servertest.Response {
			key := credential.NewKey("mk")
			return s.Post(t, "/oauth/revoke", "token="+key, servertest.Bearer(key), address("192.0.2.1"))
		}
		for i := 1; i <= 300; i++ {
			if i%10 == 0 { // a second has so many
				b.Clock.Advance(time.Second)
			}
			guess(i).Want(t, http.StatusOK, "")
		}
		wantTooMany(t, guess(301))
		s.Post(t, "/oauth/revoke", "token="+own.Plain, servertest.Bearer(own.Plain), address("192.0.2.1")).Want(t, http.StatusOK, "")
		unknown := credential.NewKey("mk")
		s.Post(t, "/oauth/revoke", "token="+unknown, servertest.Bearer(unknown), address("192.0.2.2")).Want(t, http.StatusOK, "")
	})
}

// Who presents an access token as its own bearer is told the same whether it is active or not, and is counted.
func TestSelfRevocationIsNoOracle(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b, behindProxy)
		for n, format := range []string{"jwt", "opaque"} {
			c := s.Register(t, servertest.M{"scope": "read", "access_token_format": format})
			active, revoked, expired := s.Token(t, c), s.Token(t, c), s.Token(t, c)
			s.Revoke(t, c, revoked)
			if format == "opaque" {
				expired = credential.NewToken("mk") // which is unknown
			}
			ask := func(token string) servertest.Response {
				return s.Post(t, "/oauth/revoke", "token="+token, servertest.Bearer(token), address("192.0.2.%d", n))
			}
			for what, token := range map[string]string{"active": active, "revoked": revoked, "another": expired} {
				got := ask(token).Want(t, http.StatusUnauthorized, "invalid_client")
				if want := `Basic realm="mintkeep"`; got.Header.Get("WWW-Authenticate") != want {
					t.Errorf("%s %s: got the challenge %q, want %q", format, what, got.Header.Get("WWW-Authenticate"), want)
				}
			}
			if !s.Active(t, c, active) {
				t.Errorf("the %s token is inactive", format)
			}
			if got := firstOver(t, 300, func(i int) servertest.Response { return ask([]string{active, revoked}[i%2]) }); got != 298 {
				t.Errorf("%s: the first over the limit is %d, want %d", format, got, 298)
			}
		}
	})
}
