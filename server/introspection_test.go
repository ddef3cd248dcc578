package server_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const inactiveBody = `{"active":false}`

// jwtPart is the header (0) or the payload (1) of a JWT.
func jwtPart(t *testing.T, token string, part int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a JWT of %d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// wantInactive wants the caller to be told that the token is inactive and, byte for byte, no more.
func wantInactive(t *testing.T, s *servertest.Server, caller servertest.Client, token, what string) servertest.Response {
	t.Helper()
	answer := s.Post(t, "/oauth/introspect", url.Values{"token": {token}}.Encode(), caller.Basic())
	if answer.Status != http.StatusOK || answer.Body != inactiveBody {
		t.Errorf("%s: got %d %.200s, want 200 %s", what, answer.Status, answer.Body, inactiveBody)
	}
	return answer
}

// stableHeader is a header without what differs from answer to answer.
func stableHeader(h http.Header) http.Header {
	h = h.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	return h
}

// introspectors are a resource server that may introspect, and one that may not.
func introspectors(t *testing.T, s *servertest.Server) (rs1, rs2 servertest.Client) {
	t.Helper()
	return s.Register(t, servertest.M{"scope": "mintkeep:introspect", "grant_types": []string{}}),
		s.Register(t, servertest.M{"scope": "read"})
}

// TestIntrospection is RFC 7662, but for forged tokens and an outage of Redis.
func TestIntrospection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		rs1, rs2 := introspectors(t, s)
		c1 := s.Register(t, servertest.M{"scope": "read write"})
		token := s.Token(t, c1)
		post := func(t *testing.T, form string, edits ...servertest.Edit) servertest.Response {
			t.Helper()
			return s.Post(t, "/oauth/introspect", form, edits...)
		}

		for _, format := range []string{"jwt", "opaque"} {
			t.Run("an active "+format+" token", func(t *testing.T) {
				c := s.Register(t, servertest.M{
					"scope": "read write", "access_token_format": format, "access_token_ttl": 600,
					"audience": []string{"https://api.example.com", "https://other.example.com"},
				})
				token := s.Token(t, c, "resource=https://api.example.com&resource=https://other.example.com")
				answer := s.Introspect(t, rs1, token)
				now := float64(b.Clock.Now().Unix())
				want := servertest.M{
					"active": true, "scope": "read write", "client_id": c.ID, "sub": c.ID, "token_type": "bearer",
					"iss": servertest.Issuer, "iat": now, "exp": now + 600, "jti": answer["jti"],
					"aud": []any{"https://api.example.com", "https://other.example.com"},
				}
				if diff := cmp.Diff(want, answer); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if jti, _ := answer["jti"].(string); len(jti) < 22 {
					t.Errorf("jti %q has fewer than 128 bits", jti)
				}
				if diff := cmp.Diff(answer, s.Introspect(t, c, token)); diff != "" {
					t.Errorf("its own client is told otherwise (-rs +own):\n%s", diff)
				}
			})
		}
		t.Run("no credentials", func(t *testing.T) {
			got := post(t, "token="+token).Want(t, http.StatusUnauthorized, "invalid_client")
			if got.Header.Get("WWW-Authenticate") != `Basic realm="mintkeep"` || strings.Contains(got.Body, "active") {
				t.Errorf("got %v %s", got.Header, got.Body)
			}
		})
		t.Run("a wrong secret", func(t *testing.T) {
			wrong := servertest.Client{ID: rs1.ID, Secret: credential.NewSecret("mk")}
			post(t, "token="+token, wrong.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
			post(t, "token=", wrong.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
		})
		t.Run("no token", func(t *testing.T) {
			for _, form := range []string{"", "token=", "token_type_hint=access_token", "Token=" + token} {
				post(t, form, rs1.Basic()).Want(t, http.StatusBadRequest, "invalid_request")
			}
			post(t, "token="+token+"&token="+token, rs1.Basic()).Want(t, http.StatusBadRequest, "invalid_request")
		})
		t.Run("the query is not read", func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
				got := s.Do(t, method, "/oauth/introspect?token="+token, http.NoBody, rs1.Basic())
				got.Want(t, http.StatusMethodNotAllowed, "method_not_allowed")
				if allow := got.Header.Get("Allow"); allow != http.MethodPost {
					t.Errorf("%s: Allow: %q", method, allow)
				}
			}
			s.Post(t, "/oauth/introspect?token="+token, "", rs1.Basic()).Want(t, http.StatusBadRequest, "invalid_request")
			if strings.Contains(s.Log.String(), token) {
				t.Error("the token is in the log")
			}
		})
		t.Run("garbage is inactive", func(t *testing.T) {
			for _, garbage := range []string{
				"x", "total bs", ".", "..", "...", "a.b.c", "null", "{}", " " + token, token + " ", token + "x", token[:len(token)-1],
				token + "\n", strings.ToUpper(token), credential.NewToken("mk"), credential.NewSecret("mk"), c1.ID, c1.Secret,
				s.AdminToken, "é", "%", "\x7f",
			} {
				wantInactive(t, s, rs1, garbage, garbage)
			}
		})
		t.Run("revoked and expired tokens are inactive", func(t *testing.T) {
			garbage := wantInactive(t, s, rs1, credential.NewToken("mk"), "never issued")
			for _, format := range []string{"jwt", "opaque"} {
				short := s.Register(t, servertest.M{"scope": "read", "access_token_ttl": 600, "access_token_format": format})
				revoked, expiring := s.Token(t, short), s.Token(t, short)
				s.Revoke(t, short, revoked).Want(t, http.StatusOK, "")
				b.Clock.Advance(570 * time.Second)
				if !s.Active(t, rs1, expiring) {
					t.Errorf("%s: inactive before its end", format)
				}
				b.Clock.Advance(30 * time.Second)
				for what, dead := range map[string]string{"revoked": revoked, "expired": expiring} {
					got := wantInactive(t, s, rs1, dead, what)
					if diff := cmp.Diff(stableHeader(garbage.Header), stableHeader(got.Header)); diff != "" {
						t.Errorf("%s: another header (-garbage +it):\n%s", what, diff)
					}
				}
			}
			if h := garbage.Header; h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" {
				t.Errorf("headers: %v", h)
			}
		})
		t.Run("who may ask", func(t *testing.T) {
			wantInactive(t, s, rs2, token, "a stranger asks")
			if !s.Active(t, rs1, token) || !s.Active(t, c1, token) {
				t.Error("the entitled are told nothing")
			}
			s.Admin(t, http.MethodPatch, "/admin/clients/"+rs1.ID, servertest.M{"scope": ""}).Want(t, http.StatusOK, "")
			wantInactive(t, s, rs1, token, "the scope was taken away")
			s.Admin(t, http.MethodPatch, "/admin/clients/"+rs1.ID, servertest.M{"scope": "mintkeep:introspect"}).Want(t, http.StatusOK, "")
		})
		t.Run("other parameters are ignored", func(t *testing.T) {
			for _, form := range []string{"&scope=nobody-has-this", "&token_type_hint=refresh_token", "&token_type_hint=%00", "&x=y"} {
				got := post(t, "token="+token+form, rs1.Basic()).Want(t, http.StatusOK, "").JSON(t)
				if got["active"] != true || got["scope"] != "read write" {
					t.Errorf("%s: %v", form, got)
				}
			}
		})
		if b.Name == "redis" {
			t.Run("junk is not looked up", func(t *testing.T) { junkIsNotLookedUp(t, b, s, rs1) })
		}
		t.Run("a JWT whose record is gone is inactive", func(t *testing.T) {
			own := servertest.M{"client_id": "survivor", "client_secret": strings.Repeat("s3cr-t!", 6), "scope": "read mintkeep:introspect"}
			c := s.Register(t, own)
			lost := s.Token(t, c)
			if !s.Active(t, c, lost) {
				t.Fatal("the token never lived")
			}
			b.Do("FLUSHALL")
			s.Post(t, "/oauth/introspect", "token="+lost, c.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
			wantInactive(t, s, s.Register(t, own), lost, "after FLUSHALL and a new registration")
		})
	})
}

// junkIsNotLookedUp counts what Redis was asked.
func junkIsNotLookedUp(t *testing.T, b *storetest.Backend, s *servertest.Server, rs servertest.Client) {
	for what, junk := range map[string]string{
		"32 kB of letters": strings.Repeat("x", 32<<10), "32 kB of dots": strings.Repeat(".", 32<<10),
		"a large JWT": "e30." + strings.Repeat("A", 32<<10) + ".x", "a bad checksum": "mkt_" + strings.Repeat("0", 46),
		"another issuer": "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://x","exp":99999999999}`)) + ".x",
	} {
		fastest := time.Hour
		b.Do("CONFIG", "RESETSTAT")
		for range 5 {
			r := httptest.NewRequest(http.MethodPost, "/oauth/introspect", strings.NewReader("token="+junk))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			rs.Basic()(r)
			w, began := httptest.NewRecorder(), time.Now()
			s.Server.ServeHTTP(w, r)
			fastest = min(fastest, time.Since(began))
			if w.Code != http.StatusOK || w.Body.String() != inactiveBody {
				t.Errorf("%s: %d %s", what, w.Code, w.Body)
			}
		}
		if stats := b.Do("INFO", "commandstats").(string); strings.Contains(stats, "cmdstat_get:") || !strings.Contains(stats, "cmdstat_hgetall:") {
			t.Errorf("%s: want the client to be read and no token; Redis was asked\n%s", what, stats)
		}
		if fastest > 300*time.Millisecond { // 2 ms, and room for a busy machine
			t.Errorf("%s: the fastest of five took %v", what, fastest)
		}
	}
}

// TestErrorsRevealNothing: the errors of the OAuth endpoints do not tell which clients and tokens exist.
func TestErrorsRevealNothing(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	owner := s.Register(t, servertest.M{"scope": "read"})
	token := s.Token(t, owner)
	disabled := s.Register(t, servertest.M{"scope": "read"})
	s.Admin(t, http.MethodPatch, "/admin/clients/"+disabled.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
	pinned := s.Register(t, servertest.M{"scope": "read", "token_endpoint_auth_method": "client_secret_post"})
	deleted := s.Register(t, servertest.M{"scope": "read"})
	s.Admin(t, http.MethodDelete, "/admin/clients/"+deleted.ID, nil).Want(t, http.StatusNoContent, "")
	refused := map[string]servertest.Client{
		"unknown": {ID: "nobody", Secret: credential.NewSecret("mk")}, "wrong secret": {ID: owner.ID, Secret: credential.NewSecret("mk")},
		"malformed secret": {ID: owner.ID, Secret: "x"}, "an id that none may have": {ID: "a b/é", Secret: "x"},
		"disabled": disabled, "wrong method": pinned, "deleted": deleted,
	}
	t.Run("every failed authentication gets one answer", func(t *testing.T) {
		for path, form := range map[string]string{
			"/oauth/token": "grant_type=client_credentials", "/oauth/introspect": "token=" + token, "/oauth/revoke": "token=" + token,
		} {
			var want *servertest.Response
			for _, what := range slices.Sorted(maps.Keys(refused)) {
				got := s.Post(t, path, form, refused[what].Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
				got.Header = stableHeader(got.Header)
				if want == nil {
					want = &got
				}
				if diff := cmp.Diff(*want, got); diff != "" {
					t.Errorf("%s, %s (-others +it):\n%s", path, what, diff)
				}
			}
		}
		if !s.Active(t, owner, token) {
			t.Error("the token is inactive")
		}
	})
	t.Run("authentication comes before every other check", func(t *testing.T) {
		b := s.Clock
		b.Advance(time.Minute) // past the limit on failures
		token = s.Token(t, owner)
		for path, forms := range map[string][]string{
			"/oauth/token": {
				"", "grant_type=", "grant_type=password", "grant_type=client_credentials&scope=%22", "grant_type=client_credentials&scope=admin",
				"grant_type=client_credentials&resource=x",
			},
			"/oauth/introspect": {"", "token=", "token=x"}, "/oauth/revoke": {"", "token=", "token=x"},
		} {
			for _, form := range forms {
				for _, what := range []string{"unknown", "disabled"} {
					s.Post(t, path, form, refused[what].Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
				}
				b.Advance(time.Minute)
			}
		}
	})
	t.Run("errors echo no input", func(t *testing.T) {
		for _, evil := range []string{`a"b`, `a\b`, "<script>alert(1)</script>", "a\r\nSet-Cookie: x=y", "é\u2028"} {
			form := url.Values{"client_id": {evil}, "client_secret": {evil}, "grant_type": {evil}, "token": {evil}, "scope": {evil}}
			for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
				got := s.Post(t, path, form.Encode())
				if got.Status/100 != 4 || strings.Contains(got.Body, "alert") || got.Header.Get("Set-Cookie") != "" {
					t.Errorf("%q at %s: %d %v %s", evil, path, got.Status, got.Header, got.Body)
				}
			}
			got := s.Get(t, "/"+url.PathEscape(evil)+"?x="+url.QueryEscape(evil), servertest.Header("X-Request-Id", url.QueryEscape(evil)))
			if got.Status != http.StatusNotFound || strings.Contains(got.Body, "alert") || strings.Contains(got.Header.Get("X-Request-Id"), "%") {
				t.Errorf("%q as a path: %d %v %s", evil, got.Status, got.Header, got.Body)
			}
		}
	})
}
