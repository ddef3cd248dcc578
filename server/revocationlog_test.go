package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// The log has each revocation of a token that failed, in a flood too.
func TestFailedTokenRevocationsAreLogged(t *testing.T) {
	redis := storetest.Redis(t)
	s := servertest.New(t, redis.Backend(t))
	c := s.Register(t, servertest.M{"scope": "read"})
	const n = 100
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = s.Token(t, c)
	}
	redis.Config("min-replicas-to-write", "1")
	for _, token := range tokens {
		s.Revoke(t, c, token).Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	logged := 0
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, `"route":"/oauth/revoke"`) && strings.Contains(line, `"status":503`) {
			logged++
		}
	}
	if logged != n {
		t.Errorf("%d of %d revocations are logged", logged, n)
	}
}
