package server_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestStrangersDelayNoRevocation: callers who authenticate by nothing have keys revoked that do not exist. With 150 ms to
// the replica each waits for its confirmation, and no revocation of the others is rejected meanwhile.
func TestStrangersDelayNoRevocation(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	link := storetest.NewProxy(t, redis.Addr())
	storetest.Replica(t, link.Addr())
	redis.AwaitReplicas(1)
	s := servertest.New(t, redis.Backend(t), "MINTKEEP_REVOKE_DURABILITY=replicas:1", behindProxy)
	c := s.Register(t, servertest.M{"scope": "read"})
	var tokens []string
	for range 10 {
		tokens = append(tokens, s.Token(t, c))
	}
	link.Delay(150*time.Millisecond, 0)

	var strangers sync.WaitGroup
	for i := range 200 { // one after another, 150 ms each, would keep 16 at once busy for 1.9 s
		strangers.Go(func() {
			unknown := credential.NewKey("mk")
			s.Post(t, "/oauth/revoke", "token="+unknown, servertest.Bearer(unknown), address("192.0.2.%d", i))
		})
	}
	var others sync.WaitGroup
	for _, token := range tokens {
		others.Go(func() { s.Revoke(t, c, token).Want(t, http.StatusOK, "") })
	}
	others.Go(func() {
		s.Admin(t, http.MethodPost, clientsPath+"/"+c.ID+"/revoke-tokens", nil).Want(t, http.StatusNoContent, "")
	})
	others.Wait()
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
