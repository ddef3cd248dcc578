package server_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestHostileKeys presents malformed keys, at /api and at introspection.
func TestHostileKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		rs, _ := introspectors(t, s)
		u, _ := users(t, s)
		k := s.Key(t, u, servertest.M{"name": "genuine", "scope": "read mintkeep:keys"})
		c := s.Register(t, servertest.M{"scope": "read"})
		link := s.Invite(t, u)
		digest := store.DigestOf(k.Plain)
		body := k.Plain[3:]

		for row, tokens := range map[string][]string{
			"large tokens": {
				strings.Repeat("x", 60<<10), strings.Repeat(".", 60<<10), "mk_" + strings.Repeat("0", 60<<10), strings.Repeat(k.Plain, 1000),
			},
			"internal names": {
				"mk:p:" + u.ID, "mk:k:" + k.ID, "mk:c:" + c.ID, "mk:t:" + hex.EncodeToString(digest[:]), "mk:secrets", "mk:signing-keys", "mk:e:",
				"*", "mk:*", "mk_*", "{}", "usr_*", "[a-z]", "lock", "session:x", "ratelimit:x",
			},
			"other secrets and names": {
				s.AdminToken + "x", c.Secret, credential.NewSecret("mk"), credential.NewToken("mk"), credential.NewKey("mk"), credential.NewKey("ab"),
				link, link[strings.LastIndexByte(link, '/')+1:], u.ID, k.ID, u.Email, "genuine", c.ID,
				hex.EncodeToString(digest[:]), base64.StdEncoding.EncodeToString(digest[:]), base64.RawURLEncoding.EncodeToString([]byte(k.Plain)),
			},
			"another spelling of the genuine key": {
				body, "MK_" + body, "Mk_" + body, "mks_" + body, "mkt_" + body, "mk-" + body, "mk_" + body[1:], "mk__" + body, "_" + body,
				k.Plain + "=", k.Plain + ".", "." + k.Plain, k.Plain + "," + k.Plain, k.Plain + " " + k.Plain, `"` + k.Plain + `"`, "<" + k.Plain + ">",
				strings.ToLower(k.Plain), strings.ToUpper(k.Plain), caseFlipped(k.Plain), k.Plain[:len(k.Plain)-1], k.Plain + "0", k.Plain + "%00",
				k.Plain + "\u200b", "m\u212a_" + body, strings.Replace(k.Plain, "mk", "ｍｋ", 1), body + "_mk", k.Plain[:48] + "\t" + k.Plain[48:],
			},
		} {
			t.Run(row, func(t *testing.T) {
				for _, token := range tokens {
					wantInactive(t, s, rs, token, token)
					challenged(t, s.Me(t, token), 401, "invalid_token", invalidToken)
				}
				b.Clock.Advance(time.Minute)
			})
		}
		alive(t, s, rs, k.Plain)
	})
}

// TestKeyErrorsRevealNothing: an error does not tell why a key was rejected.
func TestKeyErrorsRevealNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b, behindProxy), servertest.New(t, b, behindProxy)
		rs, rs2 := introspectors(t, s)
		u, gone := users(t, s)
		disabled := s.User(t, servertest.M{"email": "disabled@example.com"})
		living := s.Key(t, u, servertest.M{"scope": "read"})
		refused := map[string]string{
			"unknown": credential.NewKey("mk"), "of another brand": credential.NewKey("other"), "junk": "junk", "flipped": caseFlipped(living.Plain),
			"revoked": s.Key(t, u, servertest.M{}).Plain, "disabled owner": s.Key(t, disabled, servertest.M{}).Plain,
			"deleted owner": s.Key(t, gone, servertest.M{}).Plain, "expired": s.Key(t, u, servertest.M{"expires_at": b.Clock.Now().Add(time.Minute)}).Plain,
			"a client's secret": rs.Secret, "an unknown token": credential.NewToken("mk"),
		}
		selfRevoke(t, s, refused["revoked"], refused["revoked"]).Want(t, 200, "")
		s.Admin(t, "PATCH", "/admin/users/"+disabled.ID, servertest.M{"disabled": true}).Want(t, 200, "")
		s.Admin(t, "DELETE", "/admin/users/"+gone.ID, nil).Want(t, 204, "")
		b.Clock.Advance(time.Minute)

		t.Run("one answer to every failure", func(t *testing.T) {
			for path, ask := range map[string]func(string) servertest.Response{
				mePath: func(p string) servertest.Response { return other.Me(t, p).Want(t, 401, "invalid_token") },
				apiKeysPath: func(p string) servertest.Response {
					return other.API(t, "GET", apiKeysPath, p, nil).Want(t, 401, "invalid_token")
				},
				apiKeysPath + "/x": func(p string) servertest.Response {
					return s.API(t, "DELETE", apiKeysPath+"/x", p, nil).Want(t, 401, "invalid_token")
				},
				"/oauth/introspect": func(p string) servertest.Response { return wantInactive(t, other, rs, p, p) },
				"/oauth/revoke":     func(p string) servertest.Response { return s.Revoke(t, rs2, credential.NewKey("mk")).Want(t, 200, "") },
			} {
				var want *servertest.Response
				for _, what := range slices.Sorted(maps.Keys(refused)) {
					got := ask(refused[what])
					if got.Header = stableHeader(got.Header); want == nil {
						want = &got
					}
					if diff := cmp.Diff(*want, got); diff != "" {
						t.Errorf("%s, %s (-others +it):\n%s", path, what, diff)
					}
				}
			}
		})
		t.Run("a client learns that a key is a user's, and no more", func(t *testing.T) {
			first := s.Revoke(t, rs, living.Plain).Want(t, 400, "invalid_grant")
			second := s.Revoke(t, rs2, living.Plain).Want(t, 400, "invalid_grant")
			if diff := cmp.Diff(first.Body, second.Body); diff != "" || strings.Contains(first.Body, u.ID) {
				t.Errorf("%s\n%s", first.Body, diff)
			}
			alive(t, other, rs, living.Plain)
		})
		t.Run("scanning for keys is 429", func(t *testing.T) {
			from := address("192.0.2.9")
			both := func(i int) *servertest.Server { return []*servertest.Server{s, other}[i%2] }
			if got := firstOver(t, 302, func(i int) servertest.Response {
				return both(i).Get(t, mePath, servertest.Bearer(credential.NewKey("mk")), from)
			}); got != 301 {
				t.Errorf("the first over the limit is %d, want 301", got)
			}
			// An active key is accepted, and junk counts against no client.
			s.Get(t, mePath, servertest.Bearer(living.Plain), from).Want(t, 200, "")
			s.Get(t, mePath, servertest.Bearer("junk"), from).Want(t, 401, "invalid_token")
			other.Get(t, mePath, servertest.Bearer(credential.NewKey("mk")), address("192.0.2.10")).Want(t, 401, "invalid_token")
			b.Clock.Advance(time.Minute)
			s.Get(t, mePath, servertest.Bearer(credential.NewKey("mk")), from).Want(t, 401, "invalid_token")
		})
	})
}

// TestKeysDoNotLeak: keys and invites are only in the answer that created them. Every test checks the log and Redis at
// its end.
func TestKeysDoNotLeak(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		stop := func() string { return "" }
		if b.Server != nil {
			stop = monitor(t, b.Server)
		}
		s := servertest.New(t, b)
		rs, _ := introspectors(t, s)
		u, _ := users(t, s)
		manager := s.Key(t, u, servertest.M{"scope": "read mintkeep:keys"})
		child := s.NewKey(t, s.API(t, "POST", apiKeysPath, manager.Plain, servertest.M{"name": "child"}).Want(t, 201, ""))
		next := s.NewKey(t, s.API(t, "POST", apiKeysPath+"/"+child.ID+"/rotate", manager.Plain, nil).Want(t, 201, ""))
		invite := s.Invite(t, u)
		canaries := map[string]string{
			"the manager": manager.Plain[3:], "the child": child.Plain[3:], "the next": next.Plain[3:], "an invite": invite[len(invite)-26:],
		}
		for _, key := range []servertest.Key{manager, child, next} {
			alive(t, s, rs, key.Plain)
			s.Get(t, "/admin/clients", servertest.Bearer(key.Plain)).Want(t, 403, "insufficient_scope")
			s.Get(t, mePath+"?access_token="+key.Plain).Want(t, 401, "invalid_token")
			s.Get(t, "/"+key.Plain).Want(t, 404, "not_found")
			s.Post(t, "/oauth/token", "grant_type="+key.Plain+"&scope="+key.Plain, rs.Basic())
			s.Get(t, mePath, servertest.Bearer(caseFlipped(key.Plain))).Want(t, 401, "invalid_token")
			b.Clock.Advance(time.Minute)
		}
		s.Admin(t, "POST", "/admin/keys/report", servertest.M{"credentials": []string{next.Plain, child.Plain + "x"}}).Want(t, 200, "")
		selfRevoke(t, s, child.Plain, child.Plain).Want(t, 200, "")
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Error(err)
		}

		commands := stop()
		// A key in the place of an id is searched for, and no more.
		for _, key := range []servertest.Key{manager, child, next} {
			s.Get(t, apiKeysPath+"/"+key.Plain, servertest.Bearer(manager.Plain)).Want(t, 404, "not_found")
			s.Post(t, "/oauth/token", grantCC, servertest.Client{ID: key.Plain, Secret: key.Plain}.Basic()).Want(t, 401, "invalid_client")
		}

		places := map[string]string{"the commands to Redis": commands, "Redis": fmt.Sprint(b.Dump(t)), "the log": s.Log.String()}
		for _, path := range []string{"/admin/audit?limit=200", "/admin/audit?refusals=true", "/admin/keys", "/admin/users/" + u.ID, "/admin/stats"} {
			places[path] = s.Admin(t, http.MethodGet, path, nil).Body
		}
		w := httptest.NewRecorder()
		s.Metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		places["the metrics"] = w.Body.String()
		for what, canary := range canaries {
			for place, text := range places {
				for _, form := range []string{canary, canary[:16], base64.RawStdEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary))} {
					if strings.Contains(text, form) {
						t.Errorf("%s is in %s", what, place)
					}
				}
			}
		}
	})
}
