package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// kept is what a service that keeps the answer is told about an active credential.
func kept(t testing.TB, s *servertest.Server, rs servertest.Client, presented string) servertest.M {
	t.Helper()
	form := url.Values{"token": {presented}, "ties": {"true"}}.Encode()
	answer := s.Post(t, "/oauth/introspect", form, rs.Basic()).Want(t, http.StatusOK, "").JSON(t)
	if answer["active"] != true {
		t.Fatalf("got %v, want an active credential", answer)
	}
	return answer
}

// wantTies wants an answer that depends on the credential itself and on its owner.
func wantTies(t *testing.T, answer servertest.M, presented string, owner feed.Handle) {
	t.Helper()
	want := []any{feed.OfCredential(store.DigestOf(presented)).String(), owner.String()}
	if diff := cmp.Diff(want, answer["ties"]); diff != "" {
		t.Errorf("ties (-want +got)\n%s", diff)
	}
}

// A service that keeps answers learns what they depend on, how long they hold, and by what to confirm them.
func TestIntrospectionWithTies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		rs, stranger := introspectors(t, s)
		u1, u2 := users(t, s)
		for _, format := range []string{"jwt", "opaque"} {
			t.Run("a token in the format "+format, func(t *testing.T) {
				c := s.Register(t, servertest.M{"scope": "read", "access_token_format": format, "access_token_ttl": 600})
				token := s.Token(t, c)
				answer := kept(t, s, rs, token)
				wantTies(t, answer, token, feed.OfClient(c.ID))
				for _, member := range []string{"ties", "left", "state"} {
					if answer[member] == nil {
						t.Errorf("%s is missing", member)
					}
					delete(answer, member)
				}
				if diff := cmp.Diff(s.Introspect(t, rs, token), answer); diff != "" {
					t.Errorf("the other members (-without +with ties)\n%s", diff)
				}
				sameHandleInEachLife(t, s, rs, c)
			})
			t.Run("until a token expires, format "+format, func(t *testing.T) {
				c := s.Register(t, servertest.M{"scope": "read", "access_token_format": format, "access_token_ttl": 3600})
				token := s.Token(t, c)
				for _, left := range []time.Duration{3_599 * time.Second, 601_234 * time.Millisecond} {
					leave(t, b, kept(t, s, rs, token), left)
					if got := kept(t, other, rs, token)["left"]; got != float64(left.Milliseconds()) {
						t.Errorf("left: got %v, want %d", got, left.Milliseconds())
					}
				}
			})
		}
		t.Run("a key", func(t *testing.T) {
			forever, k := s.Key(t, u1, servertest.M{"scope": "read"}), s.Key(t, u1, servertest.M{"scope": "read", "expires_at": b.Clock.Now().Add(90 * time.Minute)})
			another := s.Key(t, u2, servertest.M{"scope": "read"})
			wantTies(t, kept(t, s, rs, k.Plain), k.Plain, feed.OfUser(u1.ID))
			wantTies(t, kept(t, s, rs, another.Plain), another.Plain, feed.OfUser(u2.ID))
			answer := kept(t, s, rs, forever.Plain)
			wantTies(t, answer, forever.Plain, feed.OfUser(u1.ID))
			if left, has := answer["left"]; has || answer["jti"] != forever.ID {
				t.Errorf("left %v, jti %v; want none, %s", left, answer["jti"], forever.ID)
			}
			b.Clock.Advance(time.Hour)
			if got := kept(t, s, rs, k.Plain)["left"]; got != float64(30*time.Minute/time.Millisecond) {
				t.Errorf("left: got %v, want half an hour", got)
			}
			s.Admin(t, http.MethodPatch, "/admin/users/"+u2.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
			withTiesInactive(t, s, rs, another.Plain)
		})
		t.Run("what is inactive to the caller", func(t *testing.T) {
			c := s.Register(t, servertest.M{"scope": "read"})
			token := s.Token(t, c)
			withTiesInactive(t, s, rs, "x")
			s.Revoke(t, c, token).Want(t, http.StatusOK, "")
			withTiesInactive(t, s, rs, token)
		})
		t.Run("a caller that may not keep answers", func(t *testing.T) {
			own := s.Token(t, stranger)
			for what, presented := range map[string]string{"its own token": own, "another's": s.Token(t, s.Register(t, servertest.M{"scope": "read"})), "junk": "x"} {
				form := url.Values{"token": {presented}, "ties": {"true"}}.Encode()
				if got := s.Post(t, "/oauth/introspect", form, stranger.Basic()).Want(t, http.StatusForbidden, "insufficient_scope"); !strings.Contains(got.Body, "mintkeep:introspect") {
					t.Errorf("%s: %s does not name the scope", what, got.Body)
				}
			}
			if got := s.Introspect(t, stranger, own); got["active"] != true {
				t.Errorf("without ties it is told %v of its own token", got)
			}
		})
		t.Run("other values", func(t *testing.T) {
			for _, value := range []string{"false", "TRUE", "1", "true ", "yes"} {
				got := s.Post(t, "/oauth/introspect", url.Values{"token": {"x"}, "ties": {value}}.Encode(), rs.Basic()).Want(t, http.StatusBadRequest, "invalid_request")
				if !strings.Contains(got.Body, "ties") {
					t.Errorf("ties=%s: %s does not name it", value, got.Body)
				}
			}
			s.Post(t, "/oauth/introspect", "token=x&ties=true&ties=true", rs.Basic()).Want(t, http.StatusBadRequest, "invalid_request")
		})
	})
}

// leave moves the clock to when so much is left of a token.
func leave(t *testing.T, b *storetest.Backend, answer servertest.M, left time.Duration) {
	t.Helper()
	b.Clock.Advance(time.Unix(int64(answer["exp"].(float64)), 0).Sub(b.Clock.Now()) - left)
}

// The time that is left of a credential is rounded down. One that is inactive has none.
func TestIntrospectionTellsWhatIsLeft(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	rs, _ := introspectors(t, s)
	c := s.Register(t, servertest.M{"scope": "read"})
	for _, left := range []time.Duration{3 * time.Second, time.Millisecond, 999 * time.Microsecond, time.Nanosecond} {
		token := s.Token(t, c)
		leave(t, b, kept(t, s, rs, token), left)
		if got := kept(t, s, rs, token)["left"]; got != float64(left.Milliseconds()) {
			t.Errorf("left: got %v, want %d", got, left.Milliseconds())
		}
		b.Clock.Advance(left)
		withTiesInactive(t, s, rs, token)
	}
}

func withTiesInactive(t *testing.T, s *servertest.Server, caller servertest.Client, presented string) {
	t.Helper()
	got := s.Post(t, "/oauth/introspect", url.Values{"token": {presented}, "ties": {"true"}}.Encode(), caller.Basic())
	if got.Status != http.StatusOK || got.Body != inactiveBody {
		t.Errorf("got %d %s, want 200 %s", got.Status, got.Body, inactiveBody)
	}
}

// sameHandleInEachLife disables, enables, deletes and registers a client again: its tokens depend on the same handle each time.
func sameHandleInEachLife(t *testing.T, s *servertest.Server, rs, c servertest.Client) {
	t.Helper()
	for _, disabled := range []bool{true, false} {
		s.Admin(t, http.MethodPatch, "/admin/clients/"+c.ID, servertest.M{"disabled": disabled}).Want(t, http.StatusOK, "")
	}
	token := s.Token(t, c)
	wantTies(t, kept(t, s, rs, token), token, feed.OfClient(c.ID))
	s.Admin(t, http.MethodDelete, "/admin/clients/"+c.ID, nil).Want(t, http.StatusNoContent, "")
	again := s.Register(t, servertest.M{"client_id": c.ID, "scope": "read"})
	token = s.Token(t, again)
	wantTies(t, kept(t, s, rs, token), token, feed.OfClient(c.ID))
}

// Without ties=true an answer has nothing of them.
func TestIntrospectionWithoutTies(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	s.HTTP = &http.Client{} // the schema does not have the parameters that are ignored
	rs, _ := introspectors(t, s)
	u1, _ := users(t, s)
	k := s.Key(t, u1, servertest.M{"scope": "read", "expires_at": b.Clock.Now().Add(time.Hour)})
	now := b.Clock.Now()
	for _, format := range []string{"jwt", "opaque"} {
		c := s.Register(t, servertest.M{"client_id": "billing-" + format, "scope": "read", "access_token_format": format, "audience": []string{"https://api.example.com"}})
		token := s.Token(t, c)
		want := fmt.Sprintf(`{"active":true,"scope":"read","client_id":%q,"token_type":"bearer","exp":%d,"iat":%d,"sub":%q,"aud":"https://api.example.com","iss":%q,"jti":%q}`,
			c.ID, now.Unix()+3600, now.Unix(), c.ID, servertest.Issuer, s.Introspect(t, rs, token)["jti"])
		for _, form := range []string{"", "&ties=", "&tie=true", "&Ties=true"} {
			if got := s.Post(t, "/oauth/introspect", "token="+token+form, rs.Basic()); got.Body != want {
				t.Errorf("%s: got %s, want %s", form, got.Body, want)
			}
		}
	}
	want := fmt.Sprintf(`{"active":true,"scope":"read","token_type":"api_key","exp":%d,"iat":%d,"sub":%q,"aud":%q,"iss":%q,"jti":%q,"name":"test"}`,
		now.Add(time.Hour).Unix(), now.Unix(), u1.ID, s.Config.Audience, servertest.Issuer, k.ID)
	if got := s.Post(t, "/oauth/introspect", "token="+k.Plain, rs.Basic()); got.Body != want {
		t.Errorf("a key: got %s, want %s", got.Body, want)
	}
}
