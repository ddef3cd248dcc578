package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestRevocation is RFC 7009, but for an outage of Redis.
func TestRevocation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		rs, _ := introspectors(t, s)
		for _, format := range []string{"jwt", "opaque"} {
			t.Run(format, func(t *testing.T) {
				c1 := s.Register(t, servertest.M{"scope": "read write", "access_token_format": format})
				c2 := s.Register(t, servertest.M{"scope": "read"})
				revoke := func(t *testing.T, form string, edits ...servertest.Edit) servertest.Response {
					t.Helper()
					return s.Post(t, "/oauth/revoke", form, edits...)
				}
				t.Run("at once, at every replica, and again", func(t *testing.T) {
					token, another := s.Token(t, c1), s.Token(t, c1)
					if !other.Active(t, rs, token) {
						t.Fatal("the token never lived")
					}
					for range 2 {
						got := s.Revoke(t, c1, token).Want(t, http.StatusOK, "")
						if got.Body != "" {
							t.Errorf("the body is %q", got.Body)
						}
						wantInactive(t, other, rs, token, "at the other replica")
						wantInactive(t, s, c1, token, "to its own client")
					}
					if !s.Active(t, rs, another) {
						t.Error("the other token died too")
					}
				})
				t.Run("unknown tokens are 200", func(t *testing.T) {
					for _, unknown := range []string{"asdf", "a.b.c", credential.NewToken("mk"), c1.Secret, strings.Repeat("x", 32<<10)} {
						if got := s.Revoke(t, c1, unknown).Want(t, http.StatusOK, ""); got.Body != "" {
							t.Errorf("the body is %q", got.Body)
						}
					}
				})
				t.Run("other clients, wrong credentials and GET revoke nothing", func(t *testing.T) {
					token := s.Token(t, c1)
					revoke(t, "token="+token).Want(t, http.StatusUnauthorized, "invalid_client")
					revoke(t, "token="+token, servertest.Bearer(token)).Want(t, http.StatusUnauthorized, "invalid_client")
					wrong := servertest.Client{ID: c1.ID, Secret: credential.NewSecret("mk")}
					s.Revoke(t, wrong, token).Want(t, http.StatusUnauthorized, "invalid_client")
					for _, stranger := range []servertest.Client{c2, rs} { // the error tells owner from stranger
						s.Revoke(t, stranger, token).Want(t, http.StatusBadRequest, "invalid_grant")
					}
					got := s.Get(t, "/oauth/revoke?token="+token, c1.Basic()).Want(t, http.StatusMethodNotAllowed, "method_not_allowed")
					if got.Header.Get("Allow") != http.MethodPost {
						t.Errorf("Allow: %q", got.Header.Get("Allow"))
					}
					s.Post(t, "/oauth/revoke?token="+token, "", c1.Basic()).Want(t, http.StatusBadRequest, "invalid_request")
					if !s.Active(t, rs, token) {
						t.Error("the token is inactive")
					}
				})
				t.Run("no token is 400", func(t *testing.T) {
					for _, form := range []string{"", "token=", "token_type_hint=access_token", "token=a&token=b"} {
						revoke(t, form, c1.Basic()).Want(t, http.StatusBadRequest, "invalid_request")
					}
				})
				t.Run("any token_type_hint", func(t *testing.T) {
					for _, hint := range []string{"", "access_token", "refresh_token", "bar", "%F0%9F%94%91"} {
						token := s.Token(t, c1)
						revoke(t, "token="+token+"&token_type_hint="+hint, c1.Basic()).Want(t, http.StatusOK, "")
						wantInactive(t, s, rs, token, "hint "+hint)
					}
				})
				t.Run("an expired token is 200", func(t *testing.T) {
					token := s.Token(t, c1)
					b.Clock.Advance(time.Hour + time.Second)
					s.Revoke(t, c1, token).Want(t, http.StatusOK, "")
				})
				t.Run("concurrent revocations and introspections", func(t *testing.T) {
					b.Clock.Advance(time.Second) // which brings more revocations of what is not found
					revokedConcurrently(t, s, other, c1, rs)
				})
				t.Run("nothing is left in Redis", func(t *testing.T) {
					b.Clock.Advance(2 * time.Hour) // what earlier rows left has expired
					s.Store.Flush(t.Context())
					before := b.Dump(t)
					token := s.Token(t, c1)
					if diff := cmp.Diff(before, b.Dump(t)); diff == "" {
						t.Fatal("a live token has no trace")
					}
					s.Revoke(t, c1, token).Want(t, http.StatusOK, "")
					after, digest := b.Dump(t), store.DigestOf(token)
					delete(before, "mk:feed") // which has half of the digest, for guards
					delete(after, "mk:feed")
					if diff := cmp.Diff(before, after); diff != "" {
						t.Errorf("(-before +after):\n%s", diff)
					}
					if keys := append(after.Find(token), after.Find(string(digest[:]))...); len(keys) > 0 {
						t.Errorf("traces under %q", keys)
					}
				})
			})
		}
	})
}

// revokedConcurrently has 50 callers revoke a token and 50 introspect it: an introspection that begins after the first
// 200 is inactive.
func revokedConcurrently(t *testing.T, s, other *servertest.Server, owner, rs servertest.Client) {
	token := s.Token(t, owner)
	form := url.Values{"token": {token}}.Encode()
	var revoked atomic.Bool
	var late atomic.Int32
	var all sync.WaitGroup
	for i := range 100 {
		replica := s
		if i%4 > 1 {
			replica = other
		}
		all.Go(func() {
			for range 3 {
				if i%2 == 0 {
					replica.Post(t, "/oauth/revoke", form, owner.Basic()).Want(t, http.StatusOK, "")
					revoked.Store(true)
					continue
				}
				ended := revoked.Load()
				got := replica.Post(t, "/oauth/introspect", form, rs.Basic()).Want(t, http.StatusOK, "")
				if ended && got.Body != inactiveBody {
					late.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := late.Load(); n > 0 {
		t.Errorf("%d answers after the first 200 call the token active", n)
	}
	wantInactive(t, other, rs, token, "in the end")
}
