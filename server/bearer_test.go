package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const (
	mePath      = "/api/v1/users/me"
	apiKeysPath = "/api/v1/keys"
	// challenge is what RFC 6750 §3 and RFC 9728 §5.1 make of a request without a credential.
	challenge = `Bearer realm="mintkeep", resource_metadata="` + servertest.Issuer + `/.well-known/oauth-protected-resource"`
)

// What RFC 6750 §3.1 adds to the challenge.
const (
	noError           = ""
	invalidToken      = `, error="invalid_token"`
	invalidRequest    = `, error="invalid_request"`
	insufficientScope = `, error="insufficient_scope", scope="mintkeep:keys"`
)

// challenged holds a rejection by the API to RFC 6750 §3.
func challenged(t testing.TB, r servertest.Response, status int, code, more string) servertest.Response {
	t.Helper()
	r.Want(t, status, code)
	jsonNotStored(t, r)
	if got := r.Header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != challenge+more {
		t.Errorf("WWW-Authenticate: got %q, want %q", got, challenge+more)
	}
	if got := r.Header.Get("Vary"); got != "Authorization" {
		t.Errorf("Vary: got %q, want Authorization", got)
	}
	return r
}

// rejected holds a server to rejecting a credential, at /api as at introspection.
func rejected(t testing.TB, s *servertest.Server, rs servertest.Client, presented string) {
	t.Helper()
	challenged(t, s.Me(t, presented), 401, "invalid_token", invalidToken)
	if s.Active(t, rs, presented) {
		t.Error("a dead credential is active at introspection")
	}
}

func alive(t testing.TB, s *servertest.Server, rs servertest.Client, presented string) {
	t.Helper()
	s.Me(t, presented).Want(t, 200, "")
	if !s.Active(t, rs, presented) {
		t.Error("a live credential is not active at introspection")
	}
}

// users are two developers.
func users(t testing.TB, s *servertest.Server) (u1, u2 servertest.User) {
	t.Helper()
	return s.User(t, servertest.M{"email": "u1@example.com", "name": "U One"}), s.User(t, servertest.M{"email": "u2@example.com", "name": "U Two"})
}

// TestBearer is RFC 6750 at /api: what holds for the bearer of any credential.
func TestBearer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		rs, _ := introspectors(t, s)
		u1, _ := users(t, s)
		k1 := s.Key(t, u1, servertest.M{"name": "K1", "scope": "read"})
		other.Secret(k1.Plain)

		t.Run("an API key gets its user", func(t *testing.T) {
			expires := b.Clock.Now().Add(time.Hour)
			for _, tt := range []struct {
				key     servertest.Key
				expires any
			}{
				{k1, nil},
				{s.Key(t, u1, servertest.M{"name": "K1", "scope": "read", "expires_at": expires}), expires.Format(time.RFC3339Nano)},
			} {
				me := other.Me(t, tt.key.Plain).Want(t, 200, "").JSON(t)
				want := servertest.M{
					"type": "user", "id": u1.ID, "email": "u1@example.com", "name": "U One", "role": "developer",
					"created_at": b.Clock.Now().Format(time.RFC3339Nano),
					"credential": servertest.M{"type": "api_key", "id": tt.key.ID, "name": "K1", "scope": "read", "expires_at": tt.expires},
				}
				if diff := cmp.Diff(want, me); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
		t.Run("no credential", func(t *testing.T) {
			for _, edit := range []servertest.Edit{
				func(*http.Request) {}, servertest.Header("Authorization", ""), servertest.Header("Authorization", "Bearer"),
				servertest.Header("Authorization", "Bearer  "), servertest.Header("Authorization", "Basic "+k1.Plain),
				servertest.Header("Authorization", k1.Plain), servertest.Header("Authorization", "DPoP "+k1.Plain),
				servertest.Header("X-Api-Key", k1.Plain), rs.Basic(),
			} {
				challenged(t, s.Get(t, mePath, edit), 401, "invalid_token", noError)
				challenged(t, s.Get(t, apiKeysPath, edit), 401, "invalid_token", noError)
			}
		})
		t.Run("revoked, expired and disabled keys are rejected at once, at every replica", func(t *testing.T) { revokedEverywhere(t, b, s, other, rs) })
		t.Run("without the scope", func(t *testing.T) {
			for method, path := range map[string]string{
				http.MethodGet: apiKeysPath, http.MethodPost: apiKeysPath, http.MethodDelete: apiKeysPath + "/" + k1.ID, http.MethodHead: apiKeysPath,
			} {
				r := s.API(t, method, path, k1.Plain, nil)
				if method == http.MethodPost {
					r = s.API(t, method, path, k1.Plain, servertest.M{"name": "x"})
				}
				if method == http.MethodHead {
					r.Body = `{"error":"insufficient_scope"}`
				}
				challenged(t, r, 403, "insufficient_scope", insufficientScope)
			}
			alive(t, s, rs, k1.Plain)
		})
		t.Run("the scheme in any case", func(t *testing.T) {
			for _, scheme := range []string{"bearer", "BEARER", "bEaReR", "Bearer  "} {
				s.Get(t, mePath, servertest.Header("Authorization", scheme+" "+k1.Plain)).Want(t, 200, "")
			}
		})
		t.Run("only the header is read", func(t *testing.T) {
			for _, r := range []servertest.Response{
				s.Get(t, mePath+"?access_token="+k1.Plain), s.Get(t, mePath+"?key="+k1.Plain+"&token="+k1.Plain),
				s.Get(t, mePath, servertest.Header("Cookie", "access_token="+k1.Plain+"; session="+k1.Plain)),
				s.Get(t, apiKeysPath+"?access_token="+k1.Plain),
				s.Do(t, http.MethodPost, apiKeysPath, strings.NewReader(`{"name":"x","access_token":"`+k1.Plain+`"}`), servertest.Header("Content-Type", "application/json")),
			} {
				challenged(t, r, 401, "invalid_token", noError)
			}
			// A form is not what the route takes, and a body is what a GET does not.
			s.Post(t, apiKeysPath, "access_token="+k1.Plain).Want(t, 415, "invalid_request")
			if strings.Contains(s.Log.String(), k1.Plain) {
				t.Error("the key is in the log")
			}
		})
		t.Run("two headers", func(t *testing.T) {
			for _, second := range []string{"Bearer " + k1.Plain, "Bearer x", "Basic eDp5", ""} {
				twice := func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + k1.Plain, second} }
				challenged(t, s.Get(t, mePath, twice), 400, "invalid_request", invalidRequest)
			}
			challenged(t, s.Get(t, mePath, servertest.Header("Authorization", "Bearer "+k1.Plain+", Bearer "+k1.Plain)), 401, "invalid_token", invalidToken)
		})
		for _, format := range []string{"jwt", "opaque"} {
			t.Run("a client's access token, "+format, func(t *testing.T) {
				c := s.Register(t, servertest.M{
					"client_name": "C One", "scope": "read write", "access_token_format": format, "access_token_ttl": 600,
					"audience": []string{servertest.Issuer, "https://elsewhere.example"},
				})
				token := s.Token(t, c, "scope=read")
				me := other.Me(t, token).Want(t, 200, "").JSON(t)
				want := servertest.M{
					"type": "client", "id": c.ID, "name": "C One",
					"credential": servertest.M{
						"type": "access_token", "id": s.Introspect(t, rs, token)["jti"], "scope": "read",
						"expires_at": b.Clock.Now().Add(10 * time.Minute).Truncate(time.Second).Format(time.RFC3339),
					},
				}
				if diff := cmp.Diff(want, me); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				elsewhere := s.Token(t, c, "resource=https://elsewhere.example")
				challenged(t, s.Me(t, elsewhere), 401, "invalid_token", invalidToken)
				if !s.Active(t, rs, elsewhere) {
					t.Error("a token for elsewhere is not active")
				}
				s.Revoke(t, c, token).Want(t, 200, "")
				rejected(t, other, rs, token)
			})
		}
		t.Run("clients have no keys", func(t *testing.T) {
			c := s.Register(t, servertest.M{"scope": "mintkeep:keys", "audience": []string{servertest.Issuer}})
			token := s.Token(t, c, "scope=mintkeep:keys")
			challenged(t, s.API(t, "GET", apiKeysPath, token, nil), 403, "insufficient_scope", insufficientScope)
		})
		t.Run("answers are not stored", func(t *testing.T) {
			for _, path := range []string{mePath, apiKeysPath} {
				r := s.Get(t, path, servertest.Bearer(s.Key(t, u1, servertest.M{"scope": "mintkeep:keys"}).Plain)).Want(t, 200, "")
				if jsonNotStored(t, r); r.Header.Get("Vary") != "Authorization" {
					t.Errorf("%s: Vary is %q", path, r.Header.Get("Vary"))
				}
			}
		})
		t.Run("a use writes nothing", func(t *testing.T) { usesAreWrittenBehind(t, b, s, u1) })
		t.Run("HEAD, OPTIONS and other methods", func(t *testing.T) {
			if r := s.Do(t, http.MethodHead, mePath, http.NoBody, servertest.Bearer(k1.Plain)).Want(t, 200, ""); r.Body != "" || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("HEAD: %v %q", r.Header, r.Body)
			}
			s.Do(t, http.MethodHead, mePath, http.NoBody).Want(t, 401, "")
			for path, allow := range map[string]string{mePath: "GET, HEAD", apiKeysPath: "GET, HEAD, POST", apiKeysPath + "/x": "DELETE, GET, HEAD, PATCH", apiKeysPath + "/x/rotate": "POST"} {
				for method, status := range map[string]int{http.MethodOptions: 204, http.MethodPut: 405, http.MethodPatch: 405, "FOO": 405} {
					if strings.Contains(allow, method) {
						continue
					}
					r := s.Do(t, method, path, http.NoBody, servertest.Bearer(k1.Plain))
					got := strings.Split(r.Header.Get("Allow"), ", ")
					if diff := cmp.Diff(strings.Split(allow, ", "), slices.Sorted(slices.Values(got))); r.Status != status || diff != "" {
						t.Errorf("%s %s: %d (-want +got)\n%s", method, path, r.Status, diff)
					}
				}
			}
			s.API(t, http.MethodPost, mePath, k1.Plain, servertest.M{}).Want(t, 405, "method_not_allowed")
		})
	})
}

// revokedEverywhere revokes keys in every way at one replica: the very next request at the other is rejected.
func revokedEverywhere(t *testing.T, b *storetest.Backend, s, other *servertest.Server, rs servertest.Client) {
	person := func(what string) servertest.User {
		return s.User(t, servertest.M{"email": strings.ReplaceAll(what, " ", ".") + "@example.com"})
	}
	patch := func(u servertest.User, m servertest.M) {
		s.Admin(t, "PATCH", "/admin/users/"+u.ID, m).Want(t, 200, "")
	}
	for what, end := range map[string]func(u servertest.User, k servertest.Key){
		"revoked by an operator": func(_ servertest.User, k servertest.Key) {
			s.Admin(t, "DELETE", "/admin/keys/"+k.ID, nil).Want(t, 204, "")
		},
		"revoked by its owner": func(u servertest.User, k servertest.Key) {
			s.API(t, "DELETE", apiKeysPath+"/"+k.ID, s.Key(t, u, servertest.M{"scope": "mintkeep:keys"}).Plain, nil).Want(t, 204, "")
		},
		"revoked by itself": func(_ servertest.User, k servertest.Key) { selfRevoke(t, s, k.Plain, k.Plain).Want(t, 200, "") },
		"reported": func(_ servertest.User, k servertest.Key) {
			s.Admin(t, "POST", "/admin/keys/report", servertest.M{"credentials": []string{k.Plain}}).Want(t, 200, "")
		},
		"rotated without overlap": func(u servertest.User, k servertest.Key) {
			by := s.Key(t, u, servertest.M{"scope": "read write mintkeep:keys"})
			s.NewKey(t, s.API(t, "POST", apiKeysPath+"/"+k.ID+"/rotate", by.Plain, servertest.M{"overlap": "0s"}).Want(t, 201, ""))
		},
		"disabled": func(_ servertest.User, k servertest.Key) {
			s.Admin(t, "PATCH", "/admin/keys/"+k.ID, servertest.M{"disabled": true}).Want(t, 200, "")
		},
		"revoked with others": func(u servertest.User, k servertest.Key) {
			ids := []string{k.ID, s.Key(t, u, servertest.M{}).ID}
			s.Admin(t, "POST", "/admin/keys/revoke", servertest.M{"ids": ids}).Want(t, 200, "")
		},
		"expired after its expiry was brought forward": func(_ servertest.User, k servertest.Key) {
			s.Admin(t, "PATCH", "/admin/keys/"+k.ID, servertest.M{"expires_at": b.Clock.Now().Add(10 * time.Minute)}).Want(t, 200, "")
			alive(t, other, rs, k.Plain)
			b.Clock.Advance(10 * time.Minute)
		},
		"of a disabled person": func(u servertest.User, _ servertest.Key) { patch(u, servertest.M{"disabled": true}) },
		"of a deleted person": func(u servertest.User, _ servertest.Key) {
			s.Admin(t, "DELETE", "/admin/users/"+u.ID, nil).Want(t, 204, "")
		},
		"expired": func(servertest.User, servertest.Key) { b.Clock.Advance(2 * time.Hour) },
		"expired after a rotation": func(u servertest.User, k servertest.Key) {
			by := s.Key(t, u, servertest.M{"scope": "read write mintkeep:keys"})
			s.NewKey(t, s.API(t, "POST", apiKeysPath+"/"+k.ID+"/rotate", by.Plain, servertest.M{"overlap": "10m"}).Want(t, 201, ""))
			b.Clock.Advance(9 * time.Minute)
			alive(t, other, rs, k.Plain)
			b.Clock.Advance(time.Minute)
		},
	} {
		t.Run(what, func(t *testing.T) {
			u := person(what)
			k := s.Key(t, u, servertest.M{"scope": "read write", "expires_at": b.Clock.Now().Add(2 * time.Hour)})
			alive(t, other, rs, k.Plain)
			end(u, k)
			rejected(t, other, rs, k.Plain)
			rejected(t, s, rs, k.Plain)
			if what == "disabled" {
				s.Admin(t, "PATCH", "/admin/keys/"+k.ID, servertest.M{"disabled": false}).Want(t, 200, "")
				alive(t, other, rs, k.Plain)
			}
			if strings.HasPrefix(what, "of a disabled") {
				patch(u, servertest.M{"disabled": false})
				alive(t, other, rs, k.Plain)
			}
		})
	}
}

// usesAreWrittenBehind holds a key's use to its two round trips, of which none writes.
func usesAreWrittenBehind(t *testing.T, b *storetest.Backend, s *servertest.Server, u servertest.User) {
	k := s.Key(t, u, servertest.M{"scope": "mintkeep:keys"})
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := b.Dump(t)
	e := tokenEndpoint{s}
	cost := e.trips(t, func() {
		for range 100 {
			s.Me(t, k.Plain).Want(t, 200, "")
		}
	})
	if total(cost) != 200 {
		t.Errorf("100 uses cost %v, want 200 round trips", cost)
	}
	if diff := cmp.Diff(before, b.Dump(t)); diff != "" {
		t.Errorf("uses have written (-before +after)\n%s", diff)
	}
	lastUsed := func() any {
		return s.API(t, "GET", apiKeysPath+"/"+k.ID, k.Plain, nil).Want(t, 200, "").JSON(t)["last_used"]
	}
	if got := lastUsed(); got != nil {
		t.Errorf("last used: %v, want nothing yet", got)
	}
	flushed := e.trips(t, func() {
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
	want := servertest.M{"at": b.Clock.Now().Truncate(time.Second).Format(time.RFC3339), "from": "127.0.0.1"}
	if diff := cmp.Diff(want, lastUsed()); diff != "" || total(flushed) > 4 {
		t.Errorf("101 uses are written by %v (-want +got)\n%s", flushed, diff)
	}
}
