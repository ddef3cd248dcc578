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
	"github.com/mintkeep/mintkeep/store/storetest"
)

// selfRevoke revokes a token or key, authenticated by the key alone.
func selfRevoke(t testing.TB, s *servertest.Server, key, token string) servertest.Response {
	t.Helper()
	return s.Post(t, "/oauth/revoke", url.Values{"token": {token}}.Encode(), servertest.Bearer(key))
}

// wrongMember wants a 400 that names the member.
func wrongMember(t testing.TB, r servertest.Response, code, member string) {
	t.Helper()
	if r.Want(t, 400, code); !strings.Contains(r.Body, `"error_description":"`+member+`: `) {
		t.Errorf("%s is not named: %s", member, r.Body)
	}
}

// TestKeyEscalation: a key gives neither itself nor another key more rights or time than it has.
func TestKeyEscalation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		u1, u2 := users(t, s)
		s.Admin(t, "PATCH", "/admin/users/"+u1.ID, servertest.M{"role": "operator"}).Want(t, 200, "")
		ends := b.Clock.Now().Add(24 * time.Hour)
		manager := s.Key(t, u1, servertest.M{"name": "manager", "scope": "read mintkeep:keys mintkeep:admin", "expires_at": ends})
		create := func(t *testing.T, m servertest.M) servertest.Response {
			t.Helper()
			return other.API(t, "POST", apiKeysPath, manager.Plain, m)
		}
		t.Run("scopes beyond its own", func(t *testing.T) {
			for _, scope := range []string{"write", "read write", "unheard-of", "admin"} {
				wrongMember(t, create(t, servertest.M{"name": "x", "scope": scope}), "invalid_scope", "scope")
			}
		})
		t.Run("Mintkeep's own scopes, even if it has them", func(t *testing.T) {
			for _, scope := range []string{"mintkeep:keys", "mintkeep:admin", "read mintkeep:admin", "mintkeep:introspect", "mintkeep:new", "mintkeep:"} {
				wrongMember(t, create(t, servertest.M{"name": "x", "scope": scope}), "invalid_scope", "scope")
			}
		})
		t.Run("a later expiry", func(t *testing.T) {
			for _, later := range []time.Duration{time.Second, time.Hour, 1000 * time.Hour} {
				wrongMember(t, create(t, servertest.M{"name": "x", "expires_at": ends.Add(later)}), "invalid_request", "expires_at")
			}
		})
		t.Run("by omission", func(t *testing.T) {
			for _, m := range []servertest.M{
				{"name": "x"}, {"name": "x", "expires_at": nil}, {"name": "x", "scope": ""}, {"name": "x", "expires_at": ends},
			} {
				made := create(t, m).Want(t, 201, "")
				s.NewKey(t, made)
				got := made.JSON(t)
				if got["scope"] != "read" || got["expires_at"] != ends.Format(time.RFC3339Nano) {
					t.Errorf("%v: got the scope %v until %v", m, got["scope"], got["expires_at"])
				}
			}
		})
		t.Run("another user's key is 404", func(t *testing.T) {
			theirs := s.Key(t, u2, servertest.M{"name": "theirs"})
			for _, id := range []string{theirs.ID, "key_nothing", theirs.ID + "x", "%00", url.PathEscape(u2.ID)} {
				var bodies []string
				for method, path := range map[string]string{"GET": "", "DELETE": "", "POST": "/rotate"} {
					r := other.API(t, method, apiKeysPath+"/"+id+path, manager.Plain, nil).Want(t, 404, "not_found")
					bodies = append(bodies, r.Body)
				}
				for _, body := range bodies {
					if body != bodies[0] {
						t.Errorf("%s: %q differs from %q", id, body, bodies[0])
					}
				}
			}
			s.Me(t, theirs.Plain).Want(t, 200, "")
			if r := other.API(t, "GET", apiKeysPath+"?q="+theirs.ID, manager.Plain, nil).Want(t, 200, ""); strings.Contains(r.Body, theirs.ID) {
				t.Errorf("listed: %s", r.Body)
			}
			other.API(t, "GET", apiKeysPath+"?user="+u2.ID, manager.Plain, nil) // which is no parameter here
		})
		t.Run("rotating one with more rights", func(t *testing.T) {
			mighty := s.Key(t, u1, servertest.M{"name": "mighty", "scope": "read write"})
			r := other.API(t, "POST", apiKeysPath+"/"+mighty.ID+"/rotate", manager.Plain, nil).Want(t, 403, "insufficient_scope")
			if strings.Contains(r.Body, "mk_") {
				t.Errorf("a key comes with it: %s", r.Body)
			}
			s.Me(t, mighty.Plain).Want(t, 200, "")
		})
		t.Run("rotating one with a longer lifetime, and itself", func(t *testing.T) {
			lasting := s.Key(t, u1, servertest.M{"name": "lasting", "scope": "read mintkeep:keys mintkeep:admin"})
			for _, id := range []string{lasting.ID, manager.ID} {
				r := other.API(t, "POST", apiKeysPath+"/"+id+"/rotate", manager.Plain, servertest.M{"overlap": "1h"}).Want(t, 201, "")
				k, got := s.NewKey(t, r), r.JSON(t)
				if got["scope"] != "read" || got["expires_at"] != ends.Format(time.RFC3339Nano) {
					t.Errorf("the successor has the scope %v until %v", got["scope"], got["expires_at"])
				}
				want := servertest.M{"id": id, "expires_at": b.Clock.Now().Add(time.Hour).Format(time.RFC3339Nano)}
				if diff := cmp.Diff(want, got["previous"]); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				s.Get(t, "/admin/clients", servertest.Bearer(k.Plain)).Want(t, 403, "insufficient_scope")
				challenged(t, s.API(t, "GET", apiKeysPath, k.Plain, nil), 403, "insufficient_scope", insufficientScope)
				other.API(t, "POST", apiKeysPath+"/"+id+"/rotate", manager.Plain, nil).Want(t, 409, "conflict")
			}
		})
		t.Run("a rate limit above its own", func(t *testing.T) {
			limited := s.Key(t, u2, servertest.M{"scope": "read mintkeep:keys", "rate_limit": "600/m"})
			free := s.Key(t, u2, servertest.M{"scope": "read"})
			for _, rate := range []any{"601/m", "11/s", "36001/h"} {
				wrongMember(t, other.API(t, "POST", apiKeysPath, limited.Plain, servertest.M{"name": "x", "rate_limit": rate}), "invalid_request", "rate_limit")
				wrongMember(t, other.API(t, "PATCH", apiKeysPath+"/"+limited.ID, limited.Plain, servertest.M{"rate_limit": rate}), "invalid_request", "rate_limit")
			}
			wrongMember(t, other.API(t, "PATCH", apiKeysPath+"/"+limited.ID, limited.Plain, servertest.M{"rate_limit": nil}), "invalid_request", "rate_limit")
			for rate, want := range map[any]string{nil: "600/m", "10/s": "10/s", "1/h": "1/h"} {
				r := other.API(t, "POST", apiKeysPath, limited.Plain, servertest.M{"name": "x", "rate_limit": rate}).Want(t, 201, "")
				if s.NewKey(t, r); r.JSON(t)["rate_limit"] != want {
					t.Errorf("%v: the new key has %v", rate, r.JSON(t)["rate_limit"])
				}
			}
			r := other.API(t, "POST", apiKeysPath+"/"+free.ID+"/rotate", limited.Plain, nil).Want(t, 201, "")
			if s.NewKey(t, r); r.JSON(t)["rate_limit"] != "600/m" {
				t.Errorf("the successor of a key without a limit has %v", r.JSON(t)["rate_limit"])
			}
		})
		t.Run("a former operator's", func(t *testing.T) {
			k := s.Key(t, u1, servertest.M{"name": "admin", "scope": "read mintkeep:admin"})
			enters := func(status int, code string) {
				t.Helper()
				other.Get(t, "/admin/clients", servertest.Bearer(k.Plain)).Want(t, status, code)
			}
			enters(200, "")
			s.Admin(t, "PATCH", "/admin/users/"+u1.ID, servertest.M{"role": "developer"}).Want(t, 200, "")
			enters(403, "insufficient_scope")
			credentialOf := other.Me(t, k.Plain).Want(t, 200, "").JSON(t)["credential"].(servertest.M)
			if credentialOf["scope"] != "read" {
				t.Errorf("it says that it has the scope %v", credentialOf["scope"])
			}
			s.Admin(t, "PATCH", "/admin/users/"+u1.ID, servertest.M{"role": "operator"}).Want(t, 200, "")
			enters(403, "insufficient_scope")
		})
	})
}

func TestKeyInput(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	u, _ := users(t, s)
	manager := s.Key(t, u, servertest.M{"scope": "read write mintkeep:keys"})
	for member, bad := range map[string][]any{
		"name":       {nil, "", " ", "\t\n", 7, []string{"x"}, strings.Repeat("x", 101), strings.Repeat("x", 10_000), "a\x00b", "a\nb", "a\u202eb", "a\u2028b"},
		"expires_at": {7, "tomorrow", "2020-01-01T00:00:00Z", "2026-02-30T00:00:00Z", s.Clock.Now(), s.Clock.Now().Add(-time.Hour), "2999-01-01T00:00:00Z", "2030-01-01"},
	} {
		for _, value := range bad {
			m := servertest.M{"name": "x", "scope": "read"}
			m[member] = value
			wrongMember(t, s.API(t, "POST", apiKeysPath, manager.Plain, m), "invalid_request", member)
		}
	}
	for _, scope := range []string{"nobody", "read nobody", " read", "read  write", `re"ad`, "réad", "read\twrite", strings.Repeat("x", 5000)} {
		wrongMember(t, s.API(t, "POST", apiKeysPath, manager.Plain, servertest.M{"name": "x", "scope": scope}), "invalid_scope", "scope")
	}
	wrongMember(t, s.API(t, "POST", apiKeysPath, manager.Plain, servertest.M{"name": "x", "scope": []string{"read"}}), "invalid_request", "scope")
	for _, overlap := range []any{"x", "-1s", "721h", 7, "1"} {
		wrongMember(t, s.API(t, "POST", apiKeysPath+"/"+manager.ID+"/rotate", manager.Plain, servertest.M{"overlap": overlap}), "invalid_request", "overlap")
	}
	wrongMember(t, s.API(t, "DELETE", apiKeysPath+"/"+manager.ID+"?reason="+strings.Repeat("x", 201), manager.Plain, nil), "invalid_request", "reason")
	wrongMember(t, s.API(t, "DELETE", apiKeysPath+"/"+manager.ID+"?reason=a%0Ab", manager.Plain, nil), "invalid_request", "reason")
	for _, query := range []string{"state=dead", "limit=0", "limit=201", "limit=x", "cursor=x", "q=a&q=b", "q=%00", "q=%ff", "q=%zz"} {
		s.API(t, "GET", apiKeysPath+"?"+query, manager.Plain, nil).Want(t, 400, "invalid_request")
	}
	for _, body := range []string{"", "x", "[]", "null", `{"name":"x"`, `{"name":"x"}{}`} {
		s.Do(t, "POST", apiKeysPath, strings.NewReader(body), servertest.Bearer(manager.Plain), servertest.Header("Content-Type", "application/json")).
			Want(t, 400, "invalid_request")
	}
	t.Run("other content types are 415", func(t *testing.T) {
		for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/json-patch+json"} {
			s.Do(t, "POST", apiKeysPath, strings.NewReader(`{"name":"x"}`), servertest.Bearer(manager.Plain), servertest.Header("Content-Type", contentType)).
				Want(t, 415, "invalid_request")
		}
	})
	if items := s.API(t, "GET", apiKeysPath, manager.Plain, nil).JSON(t)["items"].([]any); len(items) != 1 {
		t.Errorf("what was refused has made %d keys", len(items)-1)
	}
}

// TestKeyRevocation is RFC 7009 for API keys, which revoke themselves.
func TestKeyRevocation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		rs, rs2 := introspectors(t, s)
		u1, u2 := users(t, s)
		c := s.Register(t, servertest.M{"scope": "read"})
		newKey := func() servertest.Key {
			k := s.Key(t, u1, servertest.M{"scope": "read"})
			other.Secret(k.Plain)
			return k
		}
		t.Run("a key revokes itself, at once, at every replica, and again", func(t *testing.T) {
			k, spared := newKey(), newKey()
			for range 2 {
				if r := selfRevoke(t, s, k.Plain, k.Plain).Want(t, 200, ""); r.Body != "" || r.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%v %q", r.Header, r.Body)
				}
				rejected(t, other, rs, k.Plain)
			}
			alive(t, other, rs, spared.Plain)
			got := s.Admin(t, "GET", "/admin/keys/"+k.ID, nil).Want(t, 200, "").JSON(t)
			want := servertest.M{"at": b.Clock.Now().Format(time.RFC3339Nano), "by": "user:" + u1.ID, "reason": "revoked by itself"}
			if diff := cmp.Diff(want, got["ended"]); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
		t.Run("unknown and expired keys are 200", func(t *testing.T) {
			k := s.Key(t, u1, servertest.M{"expires_at": b.Clock.Now().Add(time.Minute)})
			b.Clock.Advance(time.Minute)
			for _, key := range []string{k.Plain, credential.NewKey("mk"), "junk", strings.Repeat("x", 9000)} {
				selfRevoke(t, s, key, key).Want(t, 200, "")
			}
		})
		t.Run("misuse", func(t *testing.T) {
			k, friend := newKey(), s.Key(t, u2, servertest.M{})
			token := s.Token(t, c)
			post := func(form string, edits ...servertest.Edit) servertest.Response {
				return s.Post(t, "/oauth/revoke", form, edits...)
			}
			both := "token=" + k.Plain
			selfRevoke(t, s, k.Plain, friend.Plain).Want(t, 400, "invalid_request")
			selfRevoke(t, s, k.Plain, token).Want(t, 400, "invalid_request")
			selfRevoke(t, s, k.Plain, caseFlipped(k.Plain)).Want(t, 400, "invalid_request")
			selfRevoke(t, s, token, token).Want(t, 401, "invalid_client")
			post("", servertest.Bearer(k.Plain)).Want(t, 400, "invalid_request")
			post("token="+k.Plain+"&token="+k.Plain, servertest.Bearer(k.Plain)).Want(t, 400, "invalid_request")
			post(both+"&client_id="+c.ID, servertest.Bearer(k.Plain)).Want(t, 400, "invalid_request")
			post(both+"&client_id="+c.ID+"&client_secret="+c.Secret, servertest.Bearer(k.Plain)).Want(t, 400, "invalid_request")
			post(both).Want(t, 401, "invalid_client")
			post(both, servertest.Header("Authorization", "Bearer ")).Want(t, 401, "invalid_client")
			post(both, servertest.Header("Authorization", "Basic "+k.Plain)).Want(t, 401, "invalid_client")
			post(both, func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + k.Plain, "Bearer " + k.Plain} }).Want(t, 400, "invalid_request")
			s.Post(t, "/oauth/revoke?token="+k.Plain, "", servertest.Bearer(k.Plain)).Want(t, 400, "invalid_request")
			s.Post(t, "/oauth/revoke?token="+k.Plain, both, servertest.Bearer(k.Plain)).Want(t, 400, "invalid_request")
			s.Get(t, "/oauth/revoke?token="+k.Plain, servertest.Bearer(k.Plain)).Want(t, 405, "method_not_allowed")
			for _, presented := range []string{k.Plain, friend.Plain} {
				alive(t, other, rs, presented)
			}
			if !s.Active(t, rs, token) {
				t.Error("the token is inactive")
			}
			post(both+"&token_type_hint=refresh_token&foo=bar", servertest.Header("Authorization", "bearer  "+k.Plain)).Want(t, 200, "")
			rejected(t, other, rs, k.Plain)
		})
		t.Run("a client cannot revoke a user's key", func(t *testing.T) {
			k := newKey()
			for _, caller := range []servertest.Client{c, rs, rs2} {
				s.Revoke(t, caller, k.Plain).Want(t, 400, "invalid_grant")
			}
			alive(t, other, rs, k.Plain)
		})
		t.Run("of a disabled user", func(t *testing.T) {
			k := newKey()
			s.Admin(t, "PATCH", "/admin/users/"+u1.ID, servertest.M{"disabled": true}).Want(t, 200, "")
			selfRevoke(t, s, k.Plain, k.Plain).Want(t, 200, "")
			s.Admin(t, "PATCH", "/admin/users/"+u1.ID, servertest.M{"disabled": false}).Want(t, 200, "")
			rejected(t, other, rs, k.Plain)
		})
		t.Run("whose description was lost", func(t *testing.T) {
			k := newKey()
			b.Do("DEL", "mk:k:"+k.ID)
			alive(t, other, rs, k.Plain)
			selfRevoke(t, s, k.Plain, k.Plain).Want(t, 200, "")
			rejected(t, other, rs, k.Plain)
			if trail := s.Admin(t, "GET", "/admin/audit?target=key:"+k.ID, nil); !strings.Contains(trail.Body, "key.revoked") {
				t.Errorf("the audit log does not have the revocation: %s", trail.Body)
			}
		})
		t.Run("concurrent revocations and uses", func(t *testing.T) { keyRevokedConcurrently(t, s, other, newKey(), rs) })
	})
}

// keyRevokedConcurrently has 8 callers revoke a key and 8 use it: a use that begins after the first 200 is rejected.
func keyRevokedConcurrently(t *testing.T, s, other *servertest.Server, k servertest.Key, rs servertest.Client) {
	var revoked atomic.Bool
	var late atomic.Int32
	var all sync.WaitGroup
	for i := range 16 {
		replica := s
		if i%4 > 1 {
			replica = other
		}
		all.Go(func() {
			for range 5 {
				if i%2 == 0 {
					selfRevoke(t, replica, k.Plain, k.Plain).Want(t, 200, "")
					revoked.Store(true)
					continue
				}
				ended := revoked.Load()
				if r := replica.Me(t, k.Plain); ended && r.Status != 401 {
					late.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := late.Load(); n > 0 {
		t.Errorf("%d uses after the first 200 were let in", n)
	}
	rejected(t, other, rs, k.Plain)
	entries := other.Admin(t, "GET", "/admin/audit?target=key:"+k.ID, nil).Want(t, 200, "").JSON(t)["items"].([]any)
	if len(entries) != 2 {
		t.Errorf("the audit log has %d entries, want its creation and its revocation", len(entries))
	}
}
