package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestClocksThatDiffer: replicas whose clocks differ from each other, or from that of Redis, accept each other's tokens,
// and what they write expires on time by Redis's clock.
func TestClocksThatDiffer(t *testing.T) {
	redis := storetest.Redis(t)
	one := servertest.New(t, redis.Backend(t))
	c := one.Register(t, servertest.M{"client_id": "traveller", "scope": "read"})
	for _, step := range []time.Duration{30 * time.Second, -30 * time.Second, 5 * time.Minute, -5 * time.Minute, -59 * time.Minute} {
		t.Run(step.String(), func(t *testing.T) {
			b := redis.Backend(t)
			b.Clock = storetest.NewClock(t) // it ages no record when it moves: it is wrong
			other := servertest.New(t, b)
			b.Clock.Advance(step)

			before := b.Dump(t)
			here, there := one.Token(t, c), other.Token(t, c)
			for name, s := range map[string]*servertest.Server{"here": one, "there": other} {
				for _, token := range []string{here, there} {
					if got := s.Post(t, "/oauth/introspect", "token="+token, c.Basic()); !strings.Contains(got.Body, `"active":true`) {
						t.Errorf("%s: a token is %s, want it active", name, got.Body)
					}
				}
			}
			for _, key := range b.Dump(t).Keys() {
				if _, old := before[key]; old || !strings.HasPrefix(key, "mk:t:") {
					continue
				}
				if left := b.Do("PTTL", key).(int64); left > time.Hour.Milliseconds() || left < 59*time.Minute.Milliseconds() {
					t.Errorf("a token of an hour lives %d ms in Redis", left)
				}
			}
			other.Post(t, "/oauth/revoke", "token="+here, c.Basic()).Want(t, http.StatusOK, "")
			one.Post(t, "/oauth/revoke", "token="+there, c.Basic()).Want(t, http.StatusOK, "")
			wantInactive(t, one, c, here, "what the other revoked")
			wantInactive(t, other, c, there, "what the other revoked")
		})
	}
}
