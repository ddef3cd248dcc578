package server_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestKeyIntrospection is RFC 7662 for API keys.
func TestKeyIntrospection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b, "MINTKEEP_AUDIENCE=https://api.example.com"), servertest.New(t, b, "MINTKEEP_AUDIENCE=https://api.example.com")
		rs, rs2 := introspectors(t, s)
		u1, _ := users(t, s)
		t.Run("an active key", func(t *testing.T) {
			expires := b.Clock.Now().Add(time.Hour)
			for _, tt := range []struct {
				metadata servertest.M
				exp      any
			}{{servertest.M{"scope": "read mintkeep:keys"}, nil}, {servertest.M{"scope": "read mintkeep:keys", "expires_at": expires}, float64(expires.Unix())}} {
				k := s.Key(t, u1, tt.metadata)
				want := servertest.M{
					"active": true, "scope": "read mintkeep:keys", "token_type": "api_key", "sub": u1.ID, "iss": servertest.Issuer,
					"aud": "https://api.example.com", "iat": float64(b.Clock.Now().Unix()), "jti": k.ID, "name": "test",
				}
				if tt.exp != nil {
					want["exp"] = tt.exp
				}
				if diff := cmp.Diff(want, other.Introspect(t, rs, k.Plain)); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
		k := s.Key(t, u1, servertest.M{"scope": "read"})
		t.Run("who may ask", func(t *testing.T) {
			wantInactive(t, other, rs2, k.Plain, "a stranger asks")
			// The key itself is no client, and nor is its owner.
			form := url.Values{"token": {k.Plain}}.Encode()
			s.Post(t, "/oauth/introspect", form, servertest.Bearer(k.Plain)).Want(t, 401, "invalid_token")
			s.Post(t, "/oauth/introspect", form+"&client_id="+u1.ID+"&client_secret="+k.Plain).Want(t, 401, "invalid_client")
			s.Post(t, "/oauth/introspect", form+"&client_id="+k.ID+"&client_secret="+k.Plain).Want(t, 401, "invalid_client")
		})
		t.Run("any token_type_hint", func(t *testing.T) {
			for _, hint := range []string{"access_token", "api_key", "refresh_token", "%00"} {
				r := s.Post(t, "/oauth/introspect", "token="+k.Plain+"&token_type_hint="+hint, rs.Basic()).Want(t, 200, "").JSON(t)
				if r["active"] != true {
					t.Errorf("%s: %v", hint, r)
				}
			}
		})
		t.Run("a key whose record is gone is inactive", func(t *testing.T) {
			lost := s.Key(t, u1, servertest.M{"scope": "read"})
			d := store.DigestOf(lost.Plain)
			if b.Server == nil {
				b.Do("HDEL", fmt.Sprintf("mk:t:%02x", d[0]), string(d[:]))
			} else {
				b.Do("DEL", "mk:t:"+string(d[:]))
			}
			rejected(t, other, rs, lost.Plain)
			view := s.Admin(t, "GET", "/admin/keys/"+lost.ID, nil).Want(t, 200, "").JSON(t)
			want := servertest.M{"at": nil, "by": "", "reason": "not recorded"}
			if diff := cmp.Diff(want, view["ended"]); diff != "" || view["state"] != "revoked" {
				t.Errorf("%v (-want +got)\n%s", view["state"], diff)
			}
		})
		t.Run("used through an introspecting client", func(t *testing.T) {
			if err := s.Store.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.Clock.Advance(time.Minute)
			s.Active(t, rs2, k.Plain) // which is told nothing, and so has not used it
			s.Active(t, rs, k.Plain)
			if err := s.Store.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			view := other.Admin(t, "GET", "/admin/keys/"+k.ID, nil).Want(t, 200, "").JSON(t)
			want := servertest.M{"at": b.Clock.Now().Truncate(time.Second).Format(time.RFC3339), "from": "client:" + rs.ID}
			if diff := cmp.Diff(want, view["last_used"]); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	})
}
