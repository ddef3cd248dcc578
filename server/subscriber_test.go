package server_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const (
	subscriberChallenge = `Bearer realm="mintkeep", error="invalid_token"`
	subscriberScope     = `Bearer realm="mintkeep", error="insufficient_scope", scope="mintkeep:introspect"`
)

// wantChallenge wants a rejection with this WWW-Authenticate.
func wantChallenge(t *testing.T, r servertest.Response, status int, code, challenge string) {
	t.Helper()
	r.Want(t, status, code)
	jsonNotStored(t, r)
	if got := r.Header.Get("WWW-Authenticate"); got != challenge {
		t.Errorf("WWW-Authenticate: got %q, want %q", got, challenge)
	}
}

// subscriberToken is an access token with mintkeep:introspect, for Mintkeep itself.
func subscriberToken(t *testing.T, s *servertest.Server, c servertest.Client) string {
	t.Helper()
	return s.Token(t, c, "scope=mintkeep:introspect&resource="+servertest.Issuer)
}

// A client may introspect with an access token that has mintkeep:introspect, instead of authenticating.
func TestIntrospectionByAccessToken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		c1 := s.Register(t, servertest.M{"scope": "read write"})
		token, opaque := s.Token(t, c1), s.Token(t, s.Register(t, servertest.M{"scope": "read", "access_token_format": "opaque"}))
		u1, _ := users(t, s)
		key := s.Key(t, u1, servertest.M{"scope": "read"})
		ask := func(t *testing.T, asked, with string, edits ...servertest.Edit) servertest.Response {
			t.Helper()
			return s.Post(t, "/oauth/introspect", url.Values{"token": {asked}}.Encode(), append(edits, servertest.Bearer(with))...)
		}
		for _, format := range []string{"jwt", "opaque"} {
			rs := s.Register(t, servertest.M{
				"scope": "read mintkeep:introspect", "audience": []string{servertest.Issuer, "https://api.example.com"}, "access_token_format": format,
			})
			t.Run("by a token in the format "+format, func(t *testing.T) {
				with := subscriberToken(t, s, rs)
				for what, asked := range map[string]string{"a JWT": token, "an opaque token": opaque, "a key": key.Plain, "itself": with, "an unknown token": "x"} {
					got, want := ask(t, asked, with), s.Post(t, "/oauth/introspect", url.Values{"token": {asked}}.Encode(), rs.Basic())
					if got.Status != http.StatusOK || got.Body != want.Body {
						t.Errorf("%s: got %d %s, want what client authentication gets: %s", what, got.Status, got.Body, want.Body)
					}
				}
				s.Post(t, "/oauth/introspect", "", servertest.Bearer(with)).Want(t, http.StatusBadRequest, "invalid_request")
				s.Revoke(t, rs, with).Want(t, http.StatusOK, "")
				wantChallenge(t, ask(t, token, with), http.StatusUnauthorized, "invalid_token", subscriberChallenge)
				wantChallenge(t, other.Post(t, "/oauth/introspect", "token=x", servertest.Bearer(with)), http.StatusUnauthorized, "invalid_token", subscriberChallenge)
			})
			t.Run("a token in the format "+format+" that may not", func(t *testing.T) {
				wantChallenge(t, ask(t, token, s.Token(t, rs, "scope=read&resource="+servertest.Issuer)), http.StatusUnauthorized, "insufficient_scope", subscriberScope)
				foreign := s.Token(t, rs, "scope=mintkeep:introspect&resource=https://api.example.com")
				wantChallenge(t, ask(t, token, foreign), http.StatusUnauthorized, "invalid_token", subscriberChallenge)
				with := subscriberToken(t, s, rs)
				b.Clock.Advance(time.Hour + time.Second)
				wantChallenge(t, ask(t, token, with), http.StatusUnauthorized, "invalid_token", subscriberChallenge)
				token = s.Token(t, c1)
			})
			t.Run("a client that was disabled, token in the format "+format, func(t *testing.T) {
				with := subscriberToken(t, s, rs)
				s.Admin(t, http.MethodPatch, "/admin/clients/"+rs.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
				wantChallenge(t, ask(t, token, with), http.StatusUnauthorized, "invalid_token", subscriberChallenge)
			})
		}
		t.Run("no access token", func(t *testing.T) {
			for _, with := range []string{s.AdminToken, "x", credential.NewToken("mk"), key.Plain} {
				wantChallenge(t, ask(t, token, with), http.StatusUnauthorized, "invalid_token", subscriberChallenge)
			}
			for _, header := range []string{"", "Bearer", "Bearer  ", "DPoP " + token} {
				got := s.Post(t, "/oauth/introspect", "token="+token, servertest.Header("Authorization", header))
				wantChallenge(t, got, http.StatusUnauthorized, "invalid_client", `Basic realm="mintkeep"`)
			}
		})
		t.Run("two methods at once", func(t *testing.T) {
			rs := s.Register(t, servertest.M{"scope": "mintkeep:introspect"})
			with := subscriberToken(t, s, rs)
			for _, more := range []string{"client_id=" + rs.ID, "client_secret=" + rs.Secret, "client_assertion=x", "client_assertion_type=x"} {
				s.Post(t, "/oauth/introspect", "token=x&"+more, servertest.Bearer(with)).Want(t, http.StatusBadRequest, "invalid_request")
			}
			twice := func(r *http.Request) {
				rs.Basic()(r)
				r.Header.Add("Authorization", "Bearer "+with)
			}
			s.Post(t, "/oauth/introspect", "token=x", twice).Want(t, http.StatusBadRequest, "invalid_request")
			s.Post(t, "/oauth/introspect?client_secret="+rs.Secret, "token=x", servertest.Bearer(with)).Want(t, http.StatusBadRequest, "invalid_request")
		})
	})
}
