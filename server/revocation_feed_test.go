package server_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// inFeed is how often each handle is in the feed.
func inFeed(t *testing.T, b *storetest.Backend) map[feed.Handle]int {
	t.Helper()
	voids := map[feed.Handle]int{}
	entries, _ := b.Do("XRANGE", "mk:feed", "-", "+").([]any)
	for _, e := range entries {
		values := e.([]any)[1].([]any)
		if values[2] != "v" && values[2] != "l" {
			t.Errorf("the feed has a %v", values[2])
			continue
		}
		for text := values[3].(string); text != ""; text = text[16:] {
			voids[feed.Handle([]byte(text[:16]))]++
		}
	}
	return voids
}

// wantInFeed is that the feed has these handles, each once, and nothing else. It is empty then.
func wantInFeed(t *testing.T, b *storetest.Backend, what string, want ...feed.Handle) {
	t.Helper()
	got := inFeed(t, b)
	for _, h := range want {
		if got[h] != 1 {
			t.Errorf("%s: %v is in the feed %d times", what, h, got[h])
		}
		delete(got, h)
	}
	if len(got) > 0 {
		t.Errorf("%s: the feed has %v as well", what, got)
	}
	b.Do("DEL", "mk:feed")
}

func ofCredential(text string) feed.Handle { return feed.OfCredential(store.DigestOf(text)) }

// A revocation of what is revoked already tells guards again, if it may have been a credential of this caller's.
func TestRevokingAgainIsInTheFeed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		jwt := s.Register(t, servertest.M{"scope": "read"})
		opaque := s.Register(t, servertest.M{"scope": "read", "access_token_format": "opaque"})
		key := s.Key(t, s.User(t, servertest.M{"email": "ada@example.com"}), servertest.M{"scope": "read"})
		own := map[string]string{"a JWT": s.Token(t, jwt), "an opaque token": s.Token(t, opaque)}
		claims := func(clientID, issuer string, lifetime time.Duration) string {
			payload, err := json.Marshal(servertest.M{"iss": issuer, "client_id": clientID, "exp": b.Clock.Now().Add(lifetime).Unix()})
			if err != nil {
				t.Fatal(err)
			}
			token, err := s.Ring.Sign(payload)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		b.Do("DEL", "mk:feed")
		for what, token := range own {
			c := map[bool]servertest.Client{true: jwt, false: opaque}[what == "a JWT"]
			for range 2 {
				s.Revoke(t, c, token).Want(t, http.StatusOK, "")
				wantInFeed(t, b, what, ofCredential(token))
			}
		}
		for range 2 {
			s.Post(t, "/oauth/revoke", "token="+key.Plain, servertest.Bearer(key.Plain)).Want(t, http.StatusOK, "")
			wantInFeed(t, b, "an API key by itself", ofCredential(key.Plain))
		}
		signed := claims(jwt.ID, servertest.Issuer, time.Hour)
		forged := signed[:len(signed)-8] + "AAAAAAAA"
		for what, test := range map[string]struct {
			token    string
			appended bool
		}{
			"an unknown opaque token":   {credential.NewToken("mk"), true},
			"an unknown JWT":            {signed, true},
			"a JWT of another client's": {claims(opaque.ID, servertest.Issuer, time.Hour), false},
			"a JWT with no signature":   {forged, false},
			"an expired JWT":            {claims(jwt.ID, servertest.Issuer, -time.Second), true},
			"a JWT of another issuer":   {claims(jwt.ID, "https://other.example.com", time.Hour), true},
			"a wrong checksum":          {key.Plain[:len(key.Plain)-1] + "-", false},
			"no token at all":           {"asdf", false},
		} {
			s.Revoke(t, jwt, test.token).Want(t, http.StatusOK, "")
			var want []feed.Handle
			if test.appended {
				want = append(want, ofCredential(test.token))
			}
			wantInFeed(t, b, what, want...)
		}
	})
}

// Callers without client authentication cannot push voids out of the feed: their revocations of unknown credentials are
// limited. Other revocations are not.
func TestUnknownRevocationsAreLimited(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s := servertest.New(t, b, behindProxy)
	c := s.Register(t, servertest.M{"scope": "read"})
	token := s.Token(t, c)
	stranger := func(s *servertest.Server, i int) servertest.Response {
		key := credential.NewKey("mk")
		return s.Post(t, "/oauth/revoke", "token="+key, servertest.Bearer(key), address("192.0.2.%d", i))
	}
	b.Do("DEL", "mk:feed")
	for range 2 {
		b.Clock.Advance(time.Second)
		for i := range 10 {
			stranger(s, i).Want(t, http.StatusOK, "")
		}
		rejected := stranger(s, 10).Want(t, http.StatusTooManyRequests, "too_many_requests")
		if got := rejected.Header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After: %q", got)
		}
		s.Revoke(t, c, credential.NewToken("mk")).Want(t, http.StatusOK, "")
	}
	s.Revoke(t, c, token).Want(t, http.StatusOK, "")
	if n := len(inFeed(t, b)); n != 23 {
		t.Errorf("the feed has %d voids", n)
	}
	off := servertest.New(t, b, behindProxy, "MINTKEEP_FEED=off")
	for i := range 20 {
		stranger(off, i).Want(t, http.StatusOK, "")
	}
	if n := len(inFeed(t, b)); n != 23 {
		t.Errorf("with the feed off it has %d voids", n)
	}
}

// A change that an earlier attempt has made already is appended to the feed again.
func TestChangesAreInTheFeed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		c := s.Register(t, servertest.M{"scope": "read write", "audience": []string{"https://a.example.com", "https://b.example.com"}})
		u := s.User(t, servertest.M{"email": "ada@example.com"})
		key := s.Key(t, u, servertest.M{"scope": "read write"})
		s.Token(t, c)
		b.Do("DEL", "mk:feed")
		client, user := feed.OfClient(c.ID), feed.OfUser(u.ID)
		admin := func(what, method, path string, body any, status int, want ...feed.Handle) {
			t.Helper()
			for _, times := range []string{"", ", again"} {
				s.Admin(t, method, path, body).Want(t, status, "")
				wantInFeed(t, b, what+times, want...)
			}
		}
		ofClient, ofUser := clientsPath+"/"+c.ID, "/admin/users/"+u.ID
		patch := func(what, path string, body servertest.M, want ...feed.Handle) {
			t.Helper()
			admin(what, http.MethodPatch, path, body, http.StatusOK, want...)
		}
		patch("a name", ofClient, servertest.M{"client_name": "Another"})
		patch("a scope taken away", ofClient, servertest.M{"scope": "read"}, client)
		patch("an audience taken away", ofClient, servertest.M{"audience": []string{"https://a.example.com"}}, client)
		patch("a client disabled", ofClient, servertest.M{"disabled": true}, client)
		patch("a client enabled", ofClient, servertest.M{"disabled": false}, client)
		admin("tokens revoked", http.MethodPost, ofClient+"/revoke-tokens", nil, http.StatusNoContent, client)
		patch("a grant taken away", ofClient, servertest.M{"grant_types": []string{}}, client)
		patch("a user promoted", ofUser, servertest.M{"role": "operator"}, user)
		patch("a user demoted", ofUser, servertest.M{"role": "developer"}, user)
		patch("a user disabled", ofUser, servertest.M{"disabled": true}, user)
		patch("a user enabled", ofUser, servertest.M{"disabled": false}, user)

		ofKey := "/admin/keys/" + key.ID
		patch("a key's scope taken away", ofKey, servertest.M{"scope": "read"}, ofCredential(key.Plain))
		patch("its expiry brought forward", ofKey, servertest.M{"expires_at": b.Clock.Now().Add(24 * time.Hour).Format(time.RFC3339)}, ofCredential(key.Plain))
		patch("a key disabled", ofKey, servertest.M{"disabled": true}, ofCredential(key.Plain))
		patch("a key enabled", ofKey, servertest.M{"disabled": false}, ofCredential(key.Plain))

		s.Admin(t, http.MethodPost, "/admin/keys/"+key.ID+"/rotate", servertest.M{"overlap": "1h"}).Want(t, http.StatusCreated, "")
		wantInFeed(t, b, "a key rotated", ofCredential(key.Plain))
		admin("a key revoked", http.MethodDelete, ofKey, nil, http.StatusNoContent, ofCredential(key.Plain))
		admin("with others", http.MethodPost, "/admin/keys/revoke", servertest.M{"ids": []string{key.ID}}, http.StatusOK, ofCredential(key.Plain))

		s.Admin(t, http.MethodDelete, ofClient, nil).Want(t, http.StatusNoContent, "")
		wantInFeed(t, b, "a client deleted", client)
		s.Admin(t, http.MethodDelete, ofClient, nil).Want(t, http.StatusNotFound, "not_found")
		wantInFeed(t, b, "a client deleted before", client)
		s.Admin(t, http.MethodPost, clientsPath, servertest.M{"client_id": c.ID}).Want(t, http.StatusCreated, "")
		wantInFeed(t, b, "a client registered again", client)
		s.Admin(t, http.MethodDelete, ofUser, nil).Want(t, http.StatusNoContent, "")
		wantInFeed(t, b, "a user deleted", user)
	})
}
