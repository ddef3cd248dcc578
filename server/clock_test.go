package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// A replica whose clock or issuer is another one takes a token for expired or foreign that the others call active. It can
// be revoked there all the same, by its client alone, and reported as leaked.
func TestRevocationByAnotherClockOrIssuer(t *testing.T) {
	redis := storetest.Redis(t)
	one := servertest.New(t, redis.Backend(t))
	ahead := redis.Backend(t)
	ahead.Clock = storetest.NewClock(t)
	replicas := map[string]*servertest.Server{
		"another clock":  servertest.New(t, ahead),
		"another issuer": servertest.New(t, redis.Backend(t), "MINTKEEP_ISSUER=https://new.example.com"),
	}
	ahead.Clock.Advance(50 * time.Second)
	stranger := one.Register(t, servertest.M{"scope": "read"})
	for name, other := range replicas {
		for _, format := range []string{"jwt", "opaque"} {
			t.Run(name+", "+format, func(t *testing.T) {
				c := one.Register(t, servertest.M{"scope": "read", "access_token_ttl": 40, "access_token_format": format})
				revoked, leaked := one.Token(t, c), one.Token(t, c)
				other.Revoke(t, stranger, revoked).Want(t, http.StatusBadRequest, "invalid_grant")
				if !one.Active(t, c, revoked) || !one.Active(t, c, leaked) {
					t.Fatal("a token is inactive before its revocation")
				}
				other.Revoke(t, c, revoked).Want(t, http.StatusOK, "")
				wantInactive(t, one, c, revoked, "what the other revoked")
				other.Revoke(t, c, revoked).Want(t, http.StatusOK, "")

				report := servertest.M{"credentials": []string{leaked}}
				answer := other.Admin(t, http.MethodPost, "/admin/keys/report", report).Want(t, http.StatusOK, "").JSON(t)
				if answer["live"] != 1.0 {
					t.Errorf("the report of the token is answered %v", answer)
				}
				wantInactive(t, one, c, leaked, "what was reported at the other")
				want := []string{"client.created", "token.leaked"}
				if diff := cmp.Diff(want, actionsOn(t, one, "client:"+c.ID)); diff != "" {
					t.Errorf("the audit log (-want +got):\n%s", diff)
				}
			})
		}
	}
}
