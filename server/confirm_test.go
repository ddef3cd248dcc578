package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const confirmPath = "/oauth/confirm"

// keptAnswer is an answer of introspection that is kept.
type keptAnswer struct{ presented, state string }

func keep(t testing.TB, s *servertest.Server, rs servertest.Client, presented string) keptAnswer {
	t.Helper()
	return keptAnswer{presented, kept(t, s, rs, presented)["state"].(string)}
}

// groupOf is a group of a request: owner is "client" or "user".
func groupOf(owner, id string, verdicts ...keptAnswer) servertest.M {
	digests, states := make([]string, len(verdicts)), make([]string, len(verdicts))
	for i, v := range verdicts {
		digest := store.DigestOf(v.presented)
		digests[i], states[i] = base64.RawURLEncoding.EncodeToString(digest[:]), v.state
	}
	return servertest.M{owner: id, "digests": digests, "states": states}
}

// postConfirm sends a body to /oauth/confirm.
func postConfirm(t testing.TB, s *servertest.Server, body string, edits ...servertest.Edit) servertest.Response {
	t.Helper()
	edits = append([]servertest.Edit{servertest.Header("Content-Type", "application/json")}, edits...)
	return s.Do(t, http.MethodPost, confirmPath, strings.NewReader(body), edits...)
}

func groupsBody(t testing.TB, groups ...servertest.M) string {
	t.Helper()
	body, err := json.Marshal(servertest.M{"groups": groups})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// confirmed are the bits of each group, each as long as a byte string can be.
func confirmed(t testing.TB, s *servertest.Server, by servertest.Edit, groups ...servertest.M) (bits [][]bool) {
	t.Helper()
	answer := postConfirm(t, s, groupsBody(t, groups...), by).Want(t, http.StatusOK, "").JSON(t)
	active := answer["active"].([]any)
	if len(active) != len(groups) {
		t.Fatalf("%d bitmaps for %d groups", len(active), len(groups))
	}
	for i, text := range active {
		raw, err := base64.RawURLEncoding.DecodeString(text.(string))
		n := len(groups[i]["digests"].([]string))
		if err != nil || len(raw) != (n+7)/8 {
			t.Fatalf("%q is no bitmap of %d bits", text, n)
		}
		some := make([]bool, len(raw)*8)
		for j := range some {
			some[j] = raw[j/8]>>(j%8)&1 == 1
		}
		for _, padding := range some[n:] {
			if padding {
				t.Errorf("%q has more bits than digests", text)
			}
		}
		bits = append(bits, some[:n])
	}
	return bits
}

// confirmedOne is the one bit of one group.
func confirmedOne(t testing.TB, s *servertest.Server, by servertest.Edit, owner, id string, v keptAnswer) bool {
	t.Helper()
	return confirmed(t, s, by, groupOf(owner, id, v))[0][0]
}

// An owner is read once, however many groups name it: the record of one may be large.
func TestConfirmReadsAnOwnerOnce(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s := servertest.New(t, b)
	rs, _ := introspectors(t, s)
	c := s.Register(t, servertest.M{"scope": "read"})
	v := keep(t, s, rs, s.Token(t, c))
	groups := slices.Repeat([]servertest.M{groupOf("client", c.ID, v)}, 100)
	b.Do("CONFIG", "RESETSTAT")
	for _, bits := range confirmed(t, s, rs.Basic(), groups...) {
		if !bits[0] {
			t.Fatal("an active token is not confirmed")
		}
	}
	if stats := b.Do("INFO", "commandstats").(string); !strings.Contains(stats, "cmdstat_hgetall:calls=2,") { // it, and the caller
		t.Errorf("Redis was asked\n%s", stats)
	}
}

// What is confirmed is active, is its owner's, and says what it said.
func TestConfirm(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		rs, _ := introspectors(t, s)
		u1, u2 := users(t, s)
		wants := func(t *testing.T, owner, id string, v keptAnswer, want bool, what string) {
			t.Helper()
			for _, replica := range []*servertest.Server{s, other} {
				if got := confirmedOne(t, replica, rs.Basic(), owner, id, v); got != want {
					t.Errorf("%s: got %v, want %v", what, got, want)
				}
			}
		}
		for _, format := range []string{"jwt", "opaque"} {
			t.Run("tokens in the format "+format, func(t *testing.T) {
				register := func() servertest.Client {
					return s.Register(t, servertest.M{"scope": "read", "access_token_format": format})
				}
				c, another := register(), register()
				v, revoked := keep(t, s, rs, s.Token(t, c)), keep(t, s, rs, s.Token(t, c))
				wants(t, "client", c.ID, v, true, "active")
				wants(t, "client", another.ID, v, false, "another client's")
				wants(t, "client", "unknown", v, false, "an unknown client's")
				wants(t, "client", c.Secret, v, false, "a secret's")
				wants(t, "user", u1.ID, v, false, "a user's")
				wants(t, "user", c.ID, v, false, "its client as a user")
				both := groupOf("client", c.ID, v)
				for _, user := range []string{u1.ID, "unknown"} {
					both["user"] = user
					if confirmed(t, s, rs.Basic(), both)[0][0] {
						t.Errorf("also of user %s: got true, want false", user)
					}
				}
				wants(t, "client", c.ID, keptAnswer{v.presented, "AAAAAAAAAAA"}, false, "another state")
				wants(t, "client", c.ID, keptAnswer{"unknown", v.state}, false, "an unknown one")
				s.Revoke(t, c, revoked.presented).Want(t, http.StatusOK, "")
				wants(t, "client", c.ID, revoked, false, "revoked")
				wants(t, "client", c.ID, v, true, "another one was revoked")
				s.Admin(t, http.MethodPost, "/admin/clients/"+c.ID+"/revoke-tokens", nil).Want(t, http.StatusNoContent, "")
				wants(t, "client", c.ID, v, false, "revoked with all others")
				expiring := keep(t, s, rs, s.Token(t, another))
				b.Clock.Advance(2 * time.Hour)
				wants(t, "client", another.ID, expiring, false, "expired")
			})
		}
		t.Run("keys", func(t *testing.T) {
			key := func(scope string) keptAnswer {
				return keep(t, s, rs, s.Key(t, u1, servertest.M{"scope": scope}).Plain)
			}
			owner := s.Key(t, u1, servertest.M{"scope": "read mintkeep:keys"})
			v := key("read")
			wants(t, "user", u1.ID, v, true, "active")
			wants(t, "user", u2.ID, v, false, "another user's")
			wants(t, "client", u1.ID, v, false, "its user as a client")

			rotated := s.Key(t, u1, servertest.M{"scope": "read"})
			dated := keep(t, s, rs, rotated.Plain)
			s.API(t, http.MethodPost, apiKeysPath+"/"+rotated.ID+"/rotate", owner.Plain, servertest.M{"overlap": "1h"}).Want(t, http.StatusCreated, "")
			wants(t, "user", u1.ID, dated, false, "expires earlier")
			wants(t, "user", u1.ID, keep(t, s, rs, rotated.Plain), true, "asked about again")

			s.Admin(t, http.MethodPatch, "/admin/users/"+u1.ID, servertest.M{"role": "operator"}).Want(t, http.StatusOK, "")
			admin := key("read mintkeep:admin")
			wants(t, "user", u1.ID, admin, true, "an operator's")
			s.Admin(t, http.MethodPatch, "/admin/users/"+u1.ID, servertest.M{"role": "developer"}).Want(t, http.StatusOK, "")
			wants(t, "user", u1.ID, admin, false, "with fewer scopes since its user is no operator")
			wants(t, "user", u1.ID, v, true, "without those scopes")

			s.Admin(t, http.MethodPatch, "/admin/users/"+u1.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
			wants(t, "user", u1.ID, v, false, "its user is disabled")
			s.Admin(t, http.MethodPatch, "/admin/users/"+u1.ID, servertest.M{"disabled": false}).Want(t, http.StatusOK, "")
			wants(t, "user", u1.ID, v, true, "its user is enabled again")
			expiring := keep(t, s, rs, s.Key(t, u1, servertest.M{"scope": "read", "expires_at": b.Clock.Now().Add(time.Hour)}).Plain)
			b.Clock.Advance(time.Hour)
			wants(t, "user", u1.ID, expiring, false, "expired")
		})
		t.Run("a thousand of ten clients", func(t *testing.T) { confirmThousand(t, s, rs) })
	})
}

// confirmThousand asks about ten tokens of each of ten clients, ten times each: every third is revoked, and one client is
// disabled.
func confirmThousand(t *testing.T, s *servertest.Server, rs servertest.Client) {
	t.Helper()
	const clients, tokens, times = 10, 10, 10
	var groups []servertest.M
	var disabled servertest.Client
	for i := range clients {
		c := s.Register(t, servertest.M{"scope": "read", "access_token_format": []string{"jwt", "opaque"}[i%2]})
		var verdicts []keptAnswer
		for j := range tokens {
			v := keep(t, s, rs, s.Token(t, c))
			if (i*tokens+j)%3 == 0 {
				s.Revoke(t, c, v.presented).Want(t, http.StatusOK, "")
			}
			verdicts = append(verdicts, v)
		}
		for range times - 1 {
			verdicts = append(verdicts, verdicts[:tokens]...)
		}
		if groups = append(groups, groupOf("client", c.ID, verdicts...)); i == clients/2 {
			disabled = c
		}
	}
	s.Admin(t, http.MethodPatch, "/admin/clients/"+disabled.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
	for i, bits := range confirmed(t, s, rs.Basic(), groups...) {
		for j, got := range bits {
			if want := (i*tokens+j%tokens)%3 != 0 && groups[i]["client"] != disabled.ID; got != want {
				t.Fatalf("digest %d of client %d: got %v, want %v", j, i, got, want)
			}
		}
	}
	swapped := groups[0]
	swapped["client"], groups[1]["client"] = groups[1]["client"], swapped["client"]
	for _, bits := range confirmed(t, s, rs.Basic(), groups[:2]...) {
		for j, got := range bits {
			if got {
				t.Fatalf("digest %d is confirmed to be another client's", j)
			}
		}
	}
	groups[2]["digests"] = append(groups[2]["digests"].([]string), groups[2]["digests"].([]string)[0])
	groups[2]["states"] = append(groups[2]["states"].([]string), groups[2]["states"].([]string)[0])
	postConfirm(t, s, groupsBody(t, groups...), rs.Basic()).Want(t, http.StatusBadRequest, "invalid_request")
}

// A client that is registered for mintkeep:introspect may confirm, by any authentication method.
func TestConfirmAuthenticates(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		s := e.Server
		rs := s.Register(t, servertest.M{"scope": "read mintkeep:introspect", "audience": []string{servertest.Issuer}})
		c := s.Register(t, servertest.M{"scope": "read", "audience": []string{servertest.Issuer}})
		token := s.Token(t, c)
		v := keep(t, s, rs, token)
		body := groupsBody(t, groupOf("client", c.ID, v))
		with := func(members servertest.M) string { // in the body
			return strings.TrimSuffix(body, "}") + "," + strings.TrimPrefix(jsonOf(t, members), "{")
		}
		by := subscriberToken(t, s, rs)
		k := e.keyed(t)
		s.Admin(t, http.MethodPatch, "/admin/clients/"+k.id, servertest.M{"scope": "mintkeep:introspect"}).Want(t, http.StatusOK, "")
		assertion := servertest.M{"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": k.sign(t, nil, nil)}
		for what, got := range map[string]servertest.Response{
			"a secret in the header":  postConfirm(t, s, body, rs.Basic()),
			"a secret in the body":    postConfirm(t, s, with(servertest.M{"client_id": rs.ID, "client_secret": rs.Secret})),
			"an access token":         postConfirm(t, s, body, servertest.Bearer(by)),
			"an assertion, its first": postConfirm(t, s, with(assertion)),
		} {
			if got.Want(t, http.StatusOK, "").Body != `{"active":["AQ"]}` {
				t.Errorf("%s: got %s", what, got.Body)
			}
		}
		const basic = `Basic realm="mintkeep"`
		wantChallenge(t, postConfirm(t, s, with(assertion)), http.StatusUnauthorized, "invalid_client", basic)
		wantChallenge(t, postConfirm(t, s, body), http.StatusUnauthorized, "invalid_client", basic)
		wantChallenge(t, postConfirm(t, s, body, servertest.Client{ID: rs.ID, Secret: c.Secret}.Basic()), http.StatusUnauthorized, "invalid_client", basic)
		wantChallenge(t, postConfirm(t, s, with(servertest.M{"client_id": rs.ID, "client_secret": c.Secret})), http.StatusUnauthorized, "invalid_client", basic)
		wantChallenge(t, postConfirm(t, s, body, c.Basic()), http.StatusForbidden, "insufficient_scope", subscriberScope)
		wantChallenge(t, postConfirm(t, s, body, servertest.Bearer(token)), http.StatusForbidden, "insufficient_scope", subscriberScope)
		postConfirm(t, s, with(servertest.M{"client_id": 1, "client_secret": rs.Secret})).Want(t, http.StatusBadRequest, "invalid_request")
		for what, header := range map[string]func(*http.Request){"a token": servertest.Bearer(by), "a secret": rs.Basic()} {
			got := postConfirm(t, s, with(servertest.M{"client_id": rs.ID, "client_secret": rs.Secret}), header)
			if got.Want(t, http.StatusBadRequest, "invalid_request"); got.Status != http.StatusBadRequest {
				t.Errorf("%s in the header and another in the body", what)
			}
		}
		postConfirm(t, s, body, rs.Basic(), servertest.Header("Sec-Fetch-Site", "cross-site")).Want(t, http.StatusForbidden, "access_denied")
		s.Revoke(t, rs, by).Want(t, http.StatusOK, "")
		wantChallenge(t, postConfirm(t, s, body, servertest.Bearer(by)), http.StatusUnauthorized, "invalid_token", subscriberChallenge)

		by = subscriberToken(t, s, rs)
		s.Admin(t, http.MethodPatch, "/admin/clients/"+rs.ID, servertest.M{"scope": "read"}).Want(t, http.StatusOK, "")
		wantChallenge(t, postConfirm(t, s, body, servertest.Bearer(by)), http.StatusUnauthorized, "invalid_token", subscriberChallenge)
		wantChallenge(t, postConfirm(t, s, body, rs.Basic()), http.StatusForbidden, "insufficient_scope", subscriberScope)
	})
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A request that is not well-formed is told which member is wrong.
func TestConfirmRequest(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	rs, _ := introspectors(t, s)
	digest, state := strings.Repeat("A", 43), strings.Repeat("A", 11)
	one := func(digest, state string) string {
		return fmt.Sprintf(`{"groups":[{"client":"a","digests":[%s],"states":[%s]}]}`, digest, state)
	}
	q := func(text string) string { return `"` + text + `"` }
	many := func(n int) string {
		return one(strings.TrimSuffix(strings.Repeat(q(digest)+",", n), ","), strings.TrimSuffix(strings.Repeat(q(state)+",", n), ","))
	}
	postConfirm(t, s, many(1000), rs.Basic()).Want(t, http.StatusOK, "")
	postConfirm(t, s, `{"x":[],"groups":[{"client":null,"user":"b","more":1,"digests":["`+digest+`"],"states":["`+state+`"]}]}`, rs.Basic()).Want(t, http.StatusOK, "")
	for body, named := range map[string]string{
		"{": "JSON", "[]": "JSON", "null": "groups", "{}": "groups", `{"groups":[]}`: "groups", `{"groups":{}}`: "groups", `{"groups":[1]}`: "groups",
		`{"groups":[{}]}`: "digests", `{"groups":[null]}`: "digests", `{"groups":[{"client":"a","digests":[],"states":[]}]}`: "digests",
		`{"groups":[{"digests":["` + digest + `"],"states":["` + state + `"]}]}`: "client or user",
		one(q(digest), ""):                                         "states",
		one(q(digest), q(state)+","+q(state)):                      "states",
		one(q(digest[1:]), q(state)):                               "digests",
		one(q(digest+"A"), q(state)):                               "digests",
		one(q(digest+"="), q(state)):                               "digests",
		one(q(digest[:42]+"B"), q(state)):                          "digests", // two bits beyond the 256
		one(q(digest[:42]+"+"), q(state)):                          "digests",
		one(q(digest[:41]+`\n`), q(state)):                         "digests",
		one(q(digest[:42]+`\n`), q(state)):                         "digests",
		one("1", q(state)):                                         "digests",
		one("null", q(state)):                                      "digests",
		one(q(digest), q(state[1:])):                               "states",
		one(q(digest), q(state[:10]+"B")):                          "states",
		strings.Replace(many(1), `"a"`, `7`, 1):                    "client",
		strings.Replace(many(1), `a`, strings.Repeat("a", 257), 1): "client",
		many(1) + "{}":                                             "JSON",
		many(1001):                                                 "",
	} {
		got := postConfirm(t, s, body, rs.Basic())
		if got.Status != http.StatusBadRequest || got.Error() != "invalid_request" || !strings.Contains(got.Body, named) {
			t.Errorf("%.120s: got %d %s, want 400 that names %s", body, got.Status, got.Body, named)
		}
	}
	s.Post(t, confirmPath, "groups=x", rs.Basic()).Want(t, http.StatusUnsupportedMediaType, "invalid_request")
	postConfirm(t, s, many(1)+strings.Repeat(" ", 64<<10), rs.Basic()).Want(t, http.StatusRequestEntityTooLarge, "invalid_request")
	s.Get(t, confirmPath, rs.Basic()).Want(t, http.StatusMethodNotAllowed, "method_not_allowed")
}

// A record that cannot be read is not confirmed; that of an owner confirms nothing. What Redis does not answer is 503 for all
// groups.
func TestConfirmUnreadable(t *testing.T) {
	b := storetest.Redis(t).Backend(t)
	s := servertest.New(t, b)
	rs, _ := introspectors(t, s)
	c, lost := s.Register(t, servertest.M{"scope": "read"}), s.Register(t, servertest.M{"scope": "read"})
	good, hidden := keep(t, s, rs, s.Token(t, c)), keep(t, s, rs, s.Token(t, lost))
	newer, odd := keptAnswer{"newer", "AAAAAAAAAAA"}, keptAnswer{"odd", "AAAAAAAAAAA"}
	key := func(v keptAnswer) string { d := store.DigestOf(v.presented); return "mk:t:" + string(d[:]) }
	b.Do("set", key(newer), strings.Repeat("9", 17))
	b.Do("hset", "mk:c:"+lost.ID, "meta", "9{}")
	got := confirmed(t, s, rs.Basic(), groupOf("client", lost.ID, hidden), groupOf("client", c.ID, newer, good))
	if got[0][0] || got[1][0] || !got[1][1] {
		t.Errorf("got %v, want [[false] [false true]]", got)
	}
	b.Do("rpush", key(odd), "x")
	answer := postConfirm(t, s, groupsBody(t, groupOf("client", c.ID, good), groupOf("client", c.ID, odd)), rs.Basic())
	if answer.Want(t, http.StatusServiceUnavailable, "temporarily_unavailable").Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}

// BenchmarkConfirm is what 1,000 digests of ten clients cost, at most 3 ms of CPU with Redis.
func BenchmarkConfirm(b *testing.B) {
	s := servertest.New(b, storetest.Redis(b).Backend(b))
	s.HTTP = &http.Client{} // nothing is validated
	rs := s.Register(b, servertest.M{"scope": "mintkeep:introspect"})
	var groups []servertest.M
	for range 10 {
		c := s.Register(b, servertest.M{"scope": "read"})
		var verdicts []keptAnswer
		for range 100 {
			verdicts = append(verdicts, keep(b, s, rs, s.Token(b, c)))
		}
		groups = append(groups, groupOf("client", c.ID, verdicts...))
	}
	body := groupsBody(b, groups...)
	for b.Loop() {
		postConfirm(b, s, body, rs.Basic()).Want(b, http.StatusOK, "")
	}
}
