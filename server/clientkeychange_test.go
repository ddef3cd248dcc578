package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// An operator has the key set of a client fetched again: each request is later than the one before.
func TestRefreshKeys(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	s.Admin(t, "POST", unfetched, servertest.M{"client_id": "remote", "jwks_uri": "https://a.example/keys"}).Want(t, 201, "")
	s.Register(t, servertest.M{"client_id": "local"})
	refreshed := func() int64 {
		t.Helper()
		c, err := s.Store.Client(t.Context(), "remote")
		if err != nil {
			t.Fatal(err)
		}
		return c.Metadata.KeysRefreshed
	}
	last := refreshed()
	for range 3 { // in one millisecond
		s.Admin(t, "POST", clientsPath+"/remote/refresh-keys", nil).Want(t, http.StatusNoContent, "")
		if now := refreshed(); now <= last || now < b.Clock.Now().UnixMilli() {
			t.Errorf("refreshed at %d, after %d", now, last)
		} else {
			last = now
		}
	}
	if got := detailOf(t, s, "client.keys_refreshed"); fmt.Sprint(got) != "map[jwks_uri:https://a.example/keys]" {
		t.Errorf("recorded %v", got)
	}
	s.Admin(t, "POST", clientsPath+"/local/refresh-keys", nil).Want(t, http.StatusConflict, "conflict")
	s.Admin(t, "POST", clientsPath+"/unknown/refresh-keys", nil).Want(t, http.StatusNotFound, "not_found")
	s.Admin(t, "POST", clientsPath+"/remote/refresh-keys?x=1", nil).Want(t, http.StatusNoContent, "")
	s.Admin(t, "POST", clientsPath+"?check=maybe", servertest.M{}).Want(t, http.StatusBadRequest, "invalid_request")
}

// byAssertion asks for a token by a fresh assertion of a client.
func byAssertion(t *testing.T, s *servertest.Server, id string, key servertest.Signer) servertest.Response {
	t.Helper()
	compact := key.Sign(t, nil, servertest.AssertionClaims(id, s.Clock.Now(), nil))
	s.Secret(compact)
	answer := s.Post(t, "/oauth/token", grantCC+"&"+servertest.AssertionForm(compact))
	if token, ok := answer.JSON(t)["access_token"].(string); ok {
		s.Secret(token)
	}
	return answer
}

// A client moves from its secret to a key without an outage: the method is omitted, the key is added, the client changes
// over, the method is named, the secret is revoked.
func TestFromSecretToKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		c := s.Register(t, servertest.M{"client_id": "moving", "scope": "read"})
		key := servertest.NewSigner(t, "k1", "ES256")
		patch := func(m servertest.M) servertest.M {
			t.Helper()
			return s.Admin(t, "PATCH", clientsPath+"/moving", m).Want(t, 200, "").JSON(t)
		}
		works := func(when string, bySecret, byKey bool) {
			t.Helper()
			for _, tried := range []struct {
				by     string
				want   bool
				answer servertest.Response
			}{{"secret", bySecret, other.Post(t, "/oauth/token", grantCC, c.Basic())}, {"key", byKey, byAssertion(t, other, "moving", key)}} {
				if got := tried.answer.Status == 200; got != tried.want || !got && tried.answer.Status != 401 {
					t.Errorf("%s: by its %s: got %d", when, tried.by, tried.answer.Status)
				}
			}
		}
		works("a secret", true, false)
		patch(servertest.M{"jwks": servertest.JWKS(t, key)})
		works("both", true, true)
		got := patch(servertest.M{"token_endpoint_auth_method": "private_key_jwt"})
		works("the method is named", false, true)
		secret := got["secrets"].([]any)[0].(servertest.M)
		if secret["in_use"] != false {
			t.Errorf("the secret is listed as in use: %v", secret)
		}
		if answer := s.Admin(t, "POST", clientsPath+"/moving/secrets", nil).Want(t, 400, "invalid_request"); !strings.Contains(answer.Body, "private_key_jwt") {
			t.Errorf("it does not say why: %s", answer.Body)
		}
		if got := patch(servertest.M{"token_endpoint_auth_method": nil}); got["secrets"].([]any)[0].(servertest.M)["in_use"] != true {
			t.Errorf("the secret is listed as not in use: %v", got)
		}
		works("the method is omitted again", true, true)
		s.Admin(t, "DELETE", clientsPath+"/moving/secrets/"+secret["id"].(string), nil).Want(t, 204, "")
		works("the secret is revoked", false, true)
		s.Admin(t, "PATCH", clientsPath+"/moving", servertest.M{"token_endpoint_auth_method": "private_key_jwt", "jwks": nil}).Want(t, 400, "invalid_client_metadata")
		works("a rejected change", false, true)
	})
}

// A key that is replaced at one replica is rejected at another at once, and its tokens stay valid. The key that was used
// last is known by its thumbprint.
func TestReplacedKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		rs, _ := introspectors(t, s)
		old, fresh := servertest.NewSigner(t, "old", "ES256"), servertest.NewSigner(t, "new", "EdDSA")
		s.Register(t, servertest.M{"client_id": "a", "scope": "read", "token_endpoint_auth_method": "private_key_jwt", "jwks": servertest.JWKS(t, old)})
		token := byAssertion(t, other, "a", old).Want(t, 200, "").JSON(t)["access_token"].(string)
		if err := other.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		used, _ := shown(t, s, "a")["keys"].([]any)[0].(servertest.M)["last_used_at"].(string)
		if at, err := time.Parse(time.RFC3339, used); err != nil || at.Sub(b.Clock.Now()).Abs() > time.Second {
			t.Errorf("the key was used at %q, want %v", used, b.Clock.Now())
		}

		s.Admin(t, "PATCH", clientsPath+"/a", servertest.M{"jwks": servertest.JWKS(t, fresh)}).Want(t, 200, "")
		byAssertion(t, other, "a", old).Want(t, 401, "invalid_client")
		byAssertion(t, other, "a", fresh).Want(t, 200, "")
		if !other.Active(t, rs, token) {
			t.Error("a token of the old key was revoked")
		}
		s.Admin(t, "PATCH", clientsPath+"/a", servertest.M{"token_endpoint_auth_signing_alg": "EdDSA"}).Want(t, 200, "")
		byAssertion(t, other, "a", fresh).Want(t, 200, "")
	})
}

// The key set of a client is fetched before the client is registered or changed: one that has no usable key rejects the
// request, which says why, and nothing of what was fetched.
func TestKeySetAtRegistration(t *testing.T) {
	var body string
	var fetched int
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched++
		w.Header().Set("Content-Type", "application/jwk-set+json")
		fmt.Fprint(w, body)
	}))
	defer keys.Close()
	s := servertest.New(t, storetest.Embedded(t), "MINTKEEP_FETCH_ALLOW=127.0.0.1")
	public, _ := ecPublic(t, "k")
	good, err := json.Marshal(setOf(public))
	if err != nil {
		t.Fatal(err)
	}
	const canary = "canary0of0the0other0side"
	s.Secret(canary)
	client := servertest.M{"client_id": "remote", "jwks_uri": keys.URL + "/keys", "token_endpoint_auth_method": "private_key_jwt"}
	for _, bad := range []string{`{"keys":[]}`, `{"keys":[{"kty":"oct","k":"` + canary + `"}]}`, "<html>" + canary, ""} {
		body = bad
		answer := s.Admin(t, "POST", clientsPath, client).Want(t, 400, "invalid_client_metadata")
		if !strings.Contains(answer.Body, `"jwks_uri: `) || strings.Contains(answer.Body, canary) {
			t.Errorf("%s: got %s", bad, answer.Body)
		}
	}
	s.Admin(t, "GET", clientsPath+"/remote", nil).Want(t, 404, "not_found")

	body, fetched = string(good), 0
	s.Admin(t, "POST", clientsPath, client).Want(t, 201, "")
	if fetched != 1 {
		t.Errorf("fetched %d times, want once", fetched)
	}
	keys.Close()
	s.Admin(t, "PATCH", clientsPath+"/remote", servertest.M{"client_name": "x"}).Want(t, 200, "")
	s.Admin(t, "PATCH", clientsPath+"/remote", servertest.M{"jwks_uri": keys.URL + "/other"}).Want(t, 400, "invalid_client_metadata")
	s.Admin(t, "PATCH", clientsPath+"/remote?check=false", servertest.M{"jwks_uri": keys.URL + "/other"}).Want(t, 200, "")
}
