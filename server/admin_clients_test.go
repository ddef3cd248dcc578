package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const clientsPath = "/admin/clients"

// TestClientRegistration is RFC 7591 at /admin/clients.
func TestClientRegistration(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		t.Run("every member", func(t *testing.T) {
			metadata := servertest.M{
				"client_id": "Full.1~x_y-z", "client_name": "Ünïcode \"x\"", "scope": "read write", "grant_types": []string{"client_credentials"},
				"token_endpoint_auth_method": "client_secret_post", "access_token_ttl": 90, "access_token_format": "opaque",
				"audience": []string{"https://api.example.com", "urn:x:y"}, "software_id": "ignored",
			}
			answer := s.Admin(t, http.MethodPost, clientsPath, metadata).Want(t, http.StatusCreated, "")
			got := answer.JSON(t)
			secret, _ := got["client_secret"].(string)
			s.Secret(secret)
			if !strings.HasPrefix(secret, "mks_") || got["client_secret_expires_at"] != 0.0 || answer.Header.Get("Cache-Control") != "no-store" ||
				!strings.HasSuffix(answer.Header.Get("Location"), clientsPath+"/Full.1~x_y-z") || got["client_id_issued_at"] != float64(b.Clock.Now().Unix()) {
				t.Errorf("got %v %v", answer.Header, got)
			}
			for name, want := range metadata {
				if name == "software_id" {
					continue
				}
				if diff := cmp.Diff(generic(want), got[name]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			shown := s.Admin(t, http.MethodGet, clientsPath+"/Full.1~x_y-z", nil).Want(t, http.StatusOK, "")
			delete(got, "client_secret")
			delete(got, "client_secret_expires_at")
			if diff := cmp.Diff(got, shown.JSON(t)); diff != "" {
				t.Errorf("shown otherwise (-registered +shown):\n%s", diff)
			}
			for _, path := range []string{"", "?q=full", "/Full.1~x_y-z", "/Full.1~x_y-z/secrets"} {
				if strings.Contains(s.Admin(t, http.MethodGet, clientsPath+path, nil).Body, secret) {
					t.Errorf("%s shows the secret", path)
				}
			}
		})
		t.Run("other content types are 415", func(t *testing.T) {
			for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x"} {
				s.Do(t, http.MethodPost, clientsPath, strings.NewReader(`{"client_id":"typed"}`), servertest.Bearer(s.AdminToken),
					servertest.Header("Content-Type", contentType)).Want(t, http.StatusUnsupportedMediaType, "invalid_request")
			}
			s.Admin(t, http.MethodGet, clientsPath+"/typed", nil).Want(t, http.StatusNotFound, "not_found")
		})
		t.Run("an id that is taken is 409", func(t *testing.T) {
			first := s.Register(t, servertest.M{"client_id": "taken", "scope": "read"})
			for range 2 {
				s.Admin(t, http.MethodPost, clientsPath, servertest.M{"client_id": "taken", "scope": "write"}).Want(t, http.StatusConflict, "conflict")
			}
			if got := s.Introspect(t, first, s.Token(t, first))["scope"]; got != "read" {
				t.Errorf("the scope is %v", got)
			}
			s.Register(t, servertest.M{"client_id": "Taken", "scope": "write"}) // compared as bytes
		})
		t.Run("imported secrets have 32 characters or more", func(t *testing.T) {
			for _, bad := range []any{"a", strings.Repeat("a", 31), strings.Repeat("a", 257), strings.Repeat("é", 40), strings.Repeat("a", 40) + "\n", 7, ""} {
				got := s.Admin(t, http.MethodPost, clientsPath, servertest.M{"client_secret": bad}).Want(t, http.StatusBadRequest, "invalid_client_metadata")
				if !strings.Contains(got.Body, "client_secret") {
					t.Errorf("%v: %s", bad, got.Body)
				}
			}
			for _, good := range []string{`%+: &="\ ` + strings.Repeat("~", 24), strings.Repeat("z", 256)} {
				metadata := servertest.M{"client_secret": good, "scope": "read"}
				s.Secret(good)
				answer := s.Admin(t, http.MethodPost, clientsPath, metadata).Want(t, http.StatusCreated, "").JSON(t)
				if _, echoed := answer["client_secret"]; echoed {
					t.Error("the imported secret is echoed")
				}
				if last := answer["secrets"].([]any)[0].(servertest.M)["last_four"]; last != nil {
					t.Errorf("the last four of an imported secret are shown: %v", last)
				}
				s.Token(t, servertest.Client{ID: answer["client_id"].(string), Secret: good})
			}
		})
		t.Run("bad metadata names the member", func(t *testing.T) {
			for member, values := range map[string][]any{
				"client_id": {"usr_x", "key_x", "a b", strings.Repeat("a", 129), "é", 7, "a/b", "."}, "client_name": {7, "a\nb", strings.Repeat("n", 1000)},
				"scope": {"a  b", " a", `"`, "é", 7, []string{"a"}}, "grant_types": {"client_credentials", []string{"password"}, []any{1}},
				"token_endpoint_auth_method": {"none", "private_key_jwt", "tls_client_auth", 7}, "access_token_ttl": {0, -1, 1.5, "60", 86401, 1e300},
				"access_token_format": {"JWT", "saml", true}, "audience": {"https://x", []string{"relative"}, []string{"https://x#f"}, []string{""}, []any{1}, []string{"https://x", "https://x"}},
			} {
				for _, value := range values {
					got := s.Admin(t, http.MethodPost, clientsPath, servertest.M{member: value}).Want(t, http.StatusBadRequest, "invalid_client_metadata")
					if !strings.Contains(got.Body, member) {
						t.Errorf("%s %v: %s", member, value, got.Body)
					}
				}
			}
			for _, body := range []string{"", "[]", "null", "7", "{", `{"a":1} {}`, `{"scope":"a"`} {
				s.Do(t, http.MethodPost, clientsPath, strings.NewReader(body), servertest.Bearer(s.AdminToken),
					servertest.Header("Content-Type", "application/json")).Want(t, http.StatusBadRequest, "invalid_request")
			}
		})
	})
}

// generic is v as package json would give it back.
func generic(v any) any {
	switch v := v.(type) {
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list
	case int:
		return float64(v)
	}
	return v
}

// TestClientList is listing, searching and cursors.
func TestClientList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		for _, id := range []string{"a1", "a2", "a3", "b1", "b2"} {
			s.Register(t, servertest.M{"client_id": id, "client_name": "Name " + strings.ToUpper(id)})
		}
		list := func(t *testing.T, query string) (ids []string, next string) {
			t.Helper()
			page := s.Admin(t, http.MethodGet, clientsPath+"?"+query, nil).Want(t, http.StatusOK, "").JSON(t)
			for _, item := range page["items"].([]any) {
				ids = append(ids, item.(servertest.M)["client_id"].(string))
			}
			next, _ = page["next_cursor"].(string)
			return ids, next
		}
		for query, want := range map[string][]string{
			"": {"a1", "a2", "a3", "b1", "b2"}, "limit=2": {"a1", "a2", "a3", "b1", "b2"}, "q=a&limit=1": {"a1", "a2", "a3"},
			"q=NAME+B": nil, "q=name+b": {"b1", "b2"}, "q=zzz": nil, "q=*": nil,
		} {
			var got []string
			for cursor, rounds := "", 0; rounds == 0 || cursor != ""; rounds++ {
				var ids []string
				ids, cursor = list(t, query+"&cursor="+url.QueryEscape(cursor))
				if got = append(got, ids...); rounds > 10 {
					t.Fatalf("%q: without end", query)
				}
			}
			if query == "q=NAME+B" { // a search may or may not ignore case
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", query, diff)
			}
		}
		_, next := list(t, "limit=2")
		for _, query := range []string{
			"cursor=x", "cursor=" + next[:len(next)-2], "cursor=" + next + "AA", "q=a&cursor=" + next, "limit=0", "limit=201", "limit=x", "limit=-1",
			"cursor=" + next + "&cursor=" + next, "q=%00", "q=%ff",
		} {
			s.Admin(t, http.MethodGet, clientsPath+"?"+query, nil).Want(t, http.StatusBadRequest, "invalid_request")
		}
		s.Admin(t, http.MethodGet, "/admin/audit?cursor="+next, nil).Want(t, http.StatusBadRequest, "invalid_request")
	})
}

// TestClientChanges is changing, disabling and deleting clients.
func TestClientChanges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		rs, _ := introspectors(t, s)
		patch := func(t *testing.T, c servertest.Client, change servertest.M) servertest.M {
			t.Helper()
			return s.Admin(t, http.MethodPatch, clientsPath+"/"+c.ID, change).Want(t, http.StatusOK, "").JSON(t)
		}
		t.Run("merge patch", func(t *testing.T) {
			c := s.Register(t, servertest.M{"client_name": "n", "scope": "read", "access_token_ttl": 60, "audience": []string{"https://x"}, "token_endpoint_auth_method": "client_secret_basic"})
			if got := patch(t, c, servertest.M{"client_name": "m"}); got["client_name"] != "m" || got["scope"] != "read" || got["access_token_ttl"] != 60.0 {
				t.Errorf("got %v", got)
			}
			got := patch(t, c, servertest.M{"client_name": nil, "access_token_ttl": nil, "audience": nil, "token_endpoint_auth_method": nil, "scope": nil})
			_, ttl := got["access_token_ttl"]
			_, method := got["token_endpoint_auth_method"]
			if got["client_name"] != "" || got["scope"] != "" || ttl || method || len(got["audience"].([]any)) > 0 {
				t.Errorf("null: got %v", got)
			}
			for member, value := range map[string]any{"client_id": "x", "client_secret": strings.Repeat("x", 40), "access_token_ttl": 0, "disabled": "yes", "scope": "a  b"} {
				s.Admin(t, http.MethodPatch, clientsPath+"/"+c.ID, servertest.M{member: value, "client_name": "no"}).Want(t, http.StatusBadRequest, "invalid_client_metadata")
			}
			if got := patch(t, c, servertest.M{}); got["client_name"] != "" {
				t.Errorf("a refused patch was applied in part: %v", got)
			}
		})
		t.Run("narrowing revokes tokens, widening does not", func(t *testing.T) {
			for what, step := range map[string]struct {
				change servertest.M
				lives  bool
			}{
				"scope removed": {servertest.M{"scope": "read"}, false}, "audience removed": {servertest.M{"audience": []string{"https://a"}}, false},
				"scope added": {servertest.M{"scope": "read write more"}, true}, "name": {servertest.M{"client_name": "x"}, true},
			} {
				c := s.Register(t, servertest.M{"scope": "read write", "audience": []string{"https://a", "https://b"}})
				token := s.Token(t, c)
				patch(t, c, step.change)
				if got := other.Active(t, rs, token); got != step.lives {
					t.Errorf("%s: live %v, want %v", what, got, step.lives)
				}
				patch(t, c, servertest.M{"scope": "read write", "audience": []string{"https://a", "https://b"}})
				if got := other.Active(t, rs, token); got && !step.lives {
					t.Errorf("%s: revived by putting it back", what)
				}
			}
		})
		t.Run("disable and enable", func(t *testing.T) {
			c := s.Register(t, servertest.M{"scope": "read"})
			token := s.Token(t, c)
			if got := patch(t, c, servertest.M{"disabled": true}); got["disabled"] != true {
				t.Errorf("got %v", got)
			}
			wantInactive(t, other, rs, token, "disabled")
			other.Post(t, "/oauth/token", grantCC, c.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
			patch(t, c, servertest.M{"disabled": false})
			wantInactive(t, other, rs, token, "enabled again")
			if !other.Active(t, rs, s.Token(t, c)) {
				t.Error("a new token is inactive")
			}
		})
		t.Run("revoke-tokens", func(t *testing.T) {
			c := s.Register(t, servertest.M{"scope": "read"})
			token := s.Token(t, c)
			s.Admin(t, http.MethodPost, clientsPath+"/"+c.ID+"/revoke-tokens", nil).Want(t, http.StatusNoContent, "")
			wantInactive(t, other, rs, token, "revoked")
			if !other.Active(t, rs, other.Token(t, c)) {
				t.Error("a new token is inactive")
			}
			s.Admin(t, http.MethodPost, clientsPath+"/nobody/revoke-tokens", nil).Want(t, http.StatusNotFound, "not_found")
		})
		t.Run("delete, and register again", func(t *testing.T) {
			metadata := servertest.M{"client_id": "phoenix", "scope": "read", "client_secret": strings.Repeat("ashes ", 6)}
			c := s.Register(t, metadata)
			token := s.Token(t, c)
			path := clientsPath + "/phoenix"
			if got := s.Admin(t, http.MethodDelete, path, nil).Want(t, http.StatusNoContent, ""); got.Header.Get("Cache-Control") != "no-store" || got.Body != "" {
				t.Errorf("got %v %q", got.Header, got.Body)
			}
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				s.Admin(t, method, path, nil).Want(t, http.StatusNotFound, "not_found")
			}
			s.Admin(t, http.MethodPatch, path, servertest.M{"client_name": "x"}).Want(t, http.StatusNotFound, "not_found")
			wantInactive(t, other, rs, token, "deleted")
			s.Post(t, "/oauth/token", grantCC, c.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
			if keys := b.Dump(t).Find("mk:c:phoenix"); len(keys) > 0 {
				t.Errorf("left: %q", keys)
			}
			s.Register(t, metadata)
			b.Clock.Advance(time.Second)
			wantInactive(t, other, rs, token, "registered again")
		})
	})
}
