package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// unfetched is where clients are registered with a key set that is not fetched.
const unfetched = clientsPath + "?check=false"

// ecPublic is a new ES256 key as a JWK, and its thumbprint.
func ecPublic(t *testing.T, kid string) (jwk servertest.M, thumbprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jwkOf(t, key.Public(), kid)
}

func jwkOf(t *testing.T, public crypto.PublicKey, kid string) (jwk servertest.M, thumbprint string) {
	t.Helper()
	key := jose.JSONWebKey{Key: public, KeyID: kid}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &jwk); err != nil {
		t.Fatal(err)
	}
	return jwk, base64.RawURLEncoding.EncodeToString(sum)
}

func setOf(keys ...servertest.M) servertest.M { return servertest.M{"keys": keys} }

func shown(t *testing.T, s *servertest.Server, id string) servertest.M {
	t.Helper()
	return s.Admin(t, "GET", clientsPath+"/"+id, nil).Want(t, 200, "").JSON(t)
}

// detailOf is the detail of the latest event of an action.
func detailOf(t *testing.T, s *servertest.Server, action string) servertest.M {
	t.Helper()
	for _, item := range s.Admin(t, "GET", "/admin/audit?limit=20", nil).Want(t, 200, "").JSON(t)["items"].([]any) {
		if e := item.(servertest.M); e["action"] == action {
			return e["detail"].(servertest.M)
		}
	}
	t.Fatalf("no event %s", action)
	return nil
}

// A client that is registered with a key gets no secret that it did not ask for, and shows its keys and their last uses.
func TestRegistrationWithKeys(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	register := func(t *testing.T, m servertest.M) servertest.M {
		t.Helper()
		created := s.Admin(t, "POST", unfetched, m).Want(t, 201, "").JSON(t)
		if secret, ok := created["client_secret"].(string); ok {
			s.Secret(secret)
		}
		return created
	}
	named, thumbprint := ecPublic(t, "2026-01")
	edPublic, _, _ := ed25519.GenerateKey(rand.Reader)
	unnamed, edThumbprint := jwkOf(t, edPublic, "")

	t.Run("no secret without need", func(t *testing.T) {
		for _, test := range []struct {
			name   string
			member servertest.M
			secret bool // the answer has one
			stored int
		}{
			{"a key", servertest.M{"jwks": setOf(named)}, false, 0},
			{"the URL of a key set", servertest.M{"jwks_uri": "https://a.example/keys"}, false, 0},
			{"a key, and a method by secret", servertest.M{"jwks": setOf(named), "token_endpoint_auth_method": "client_secret_basic"}, true, 1},
			{"a key, and a secret that is imported", servertest.M{"jwks": setOf(named), "client_secret": strings.Repeat("x", 40)}, false, 1},
			{"no key", servertest.M{}, true, 1},
		} {
			t.Run(test.name, func(t *testing.T) {
				created := register(t, test.member)
				_, secret := created["client_secret"]
				_, expires := created["client_secret_expires_at"]
				if stored := len(created["secrets"].([]any)); secret != test.secret || expires != (test.stored > 0) || stored != test.stored {
					t.Errorf("got client_secret %v, client_secret_expires_at %v, %d secrets; want %v, %d", secret, expires, stored, test.secret, test.stored)
				}
			})
		}
	})
	t.Run("the keys are shown, with their last use", func(t *testing.T) {
		created := register(t, servertest.M{"client_id": "two", "jwks": setOf(named, unnamed), "token_endpoint_auth_signing_alg": "EdDSA"})
		want := []any{
			servertest.M{"kid": "2026-01", "thumbprint": thumbprint, "alg": nil, "last_used_at": nil}, // not by EdDSA
			servertest.M{"kid": edThumbprint, "thumbprint": edThumbprint, "alg": "EdDSA", "last_used_at": nil},
		}
		if diff := cmp.Diff(want, created["keys"]); diff != "" {
			t.Errorf("registered (-want +got):\n%s", diff)
		}
		s.Store.RecordClientKeyUse("two", edThumbprint)
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		want[1].(servertest.M)["last_used_at"] = b.Clock.Now().Truncate(time.Second).UTC().Format(time.RFC3339)
		got := shown(t, s, "two")
		if diff := cmp.Diff(want, got["keys"]); diff != "" {
			t.Errorf("after a use (-want +got):\n%s", diff)
		}
		keys := got["jwks"].(servertest.M)["keys"].([]any)
		if len(keys) != 2 || keys[1].(servertest.M)["kid"] != edThumbprint || got["token_endpoint_auth_signing_alg"] != "EdDSA" {
			t.Errorf("got %v", got)
		}
		if again := s.Admin(t, "PATCH", clientsPath+"/two", servertest.M{"jwks": got["jwks"]}).Want(t, 200, "").JSON(t); cmp.Diff(got, again) != "" {
			t.Errorf("registered as it is shown (-want +got):\n%s", cmp.Diff(got, again))
		}
		if items := s.Admin(t, "GET", clientsPath+"?q=two", nil).Want(t, 200, "").JSON(t)["items"].([]any); cmp.Diff(got, items[0]) != "" {
			t.Errorf("listed (-want +got):\n%s", cmp.Diff(got, items[0]))
		}
	})
	t.Run("the audit log has thumbprints, before and after", func(t *testing.T) {
		register(t, servertest.M{"client_id": "audited", "jwks": setOf(named)})
		if got := detailOf(t, s, "client.created"); got["jwks"] != thumbprint {
			t.Errorf("created: %v", got)
		}
		s.Admin(t, "PATCH", clientsPath+"/audited", servertest.M{"jwks": setOf(named, unnamed)}).Want(t, 200, "")
		if got := detailOf(t, s, "client.updated"); got["jwks"] != thumbprint+" "+edThumbprint || got["jwks_before"] != thumbprint || got["changed"] != "jwks" {
			t.Errorf("updated: %v", got)
		}
	})
}

// A patch replaces and removes keys, and moves a client from a secret to a key and back without an outage.
func TestPatchKeys(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	old, oldThumbprint := ecPublic(t, "old")
	fresh, freshThumbprint := ecPublic(t, "new")
	patch := func(t *testing.T, id string, m servertest.M) servertest.M {
		t.Helper()
		return s.Admin(t, "PATCH", clientsPath+"/"+id, m).Want(t, 200, "").JSON(t)
	}
	t.Run("another key takes the place of one, and the last use of that is forgotten", func(t *testing.T) {
		s.Register(t, servertest.M{"client_id": "a", "jwks": setOf(old), "token_endpoint_auth_signing_alg": "ES256"})
		s.Store.RecordClientKeyUse("a", oldThumbprint)
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		keys := patch(t, "a", servertest.M{"jwks": setOf(fresh)})["keys"].([]any)
		if len(keys) != 1 || keys[0].(servertest.M)["thumbprint"] != freshThumbprint {
			t.Errorf("got %v", keys)
		}
		uses, err := s.Store.ClientUses(t.Context(), "a")
		if err != nil || len(uses.Keys) > 0 {
			t.Errorf("left: %v, %v", uses.Keys, err)
		}
		got := patch(t, "a", servertest.M{"jwks": nil})
		if _, has := got["jwks"]; has || len(got["keys"].([]any)) > 0 {
			t.Errorf("removed: %v", got)
		}
	})
	t.Run("from a key to the URL of a key set and back", func(t *testing.T) {
		s.Register(t, servertest.M{"client_id": "b", "jwks": setOf(old)})
		s.Admin(t, "PATCH", clientsPath+"/b", servertest.M{"jwks_uri": "https://b.example/keys"}).Want(t, 400, "invalid_client_metadata")
		got := s.Admin(t, "PATCH", clientsPath+"/b?check=false", servertest.M{"jwks": nil, "jwks_uri": "https://b.example/keys"}).Want(t, 200, "").JSON(t)
		if got["jwks_uri"] != "https://b.example/keys" || got["jwks"] != nil {
			t.Errorf("got %v", got)
		}
		s.Store.RecordClientKeyUse("b", freshThumbprint)
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []any{servertest.M{"kid": nil, "thumbprint": freshThumbprint, "alg": nil, "last_used_at": b.Clock.Now().Truncate(time.Second).UTC().Format(time.RFC3339)}}
		if diff := cmp.Diff(want, shown(t, s, "b")["keys"]); diff != "" {
			t.Errorf("the keys that were used (-want +got):\n%s", diff)
		}
		if got := patch(t, "b", servertest.M{"jwks": setOf(old), "jwks_uri": nil}); got["jwks_uri"] != nil || len(got["keys"].([]any)) != 1 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("secrets stay while a key is added", func(t *testing.T) {
		c := s.Register(t, servertest.M{"client_id": "c", "scope": "read"})
		token := s.Token(t, c)
		patch(t, "c", servertest.M{"jwks": setOf(old)})
		s.Token(t, c)
		patch(t, "c", servertest.M{"jwks": nil})
		if rs, _ := introspectors(t, s); !s.Active(t, rs, token) {
			t.Error("a change of keys revoked a token")
		}
	})
	t.Run("from a key to a secret that does not exist", func(t *testing.T) {
		s.Register(t, servertest.M{"client_id": "d", "scope": "read", "jwks": setOf(old)})
		basic := servertest.M{"token_endpoint_auth_method": "client_secret_basic"}
		if got := s.Admin(t, "PATCH", clientsPath+"/d", basic).Want(t, 400, "invalid_client_metadata"); !strings.Contains(got.Body, "needs a secret") {
			t.Errorf("got %s", got.Body)
		}
		created := s.Admin(t, "POST", clientsPath+"/d/secrets", nil).Want(t, 201, "").JSON(t)
		s.Secret(created["client_secret"].(string))
		patch(t, "d", basic)
		s.Token(t, servertest.Client{ID: "d", Secret: created["client_secret"].(string)})
	})
	t.Run("only if the keys are still those that were read", func(t *testing.T) {
		s.Register(t, servertest.M{"client_id": "f", "jwks": setOf(old)})
		at, both := clientsPath+"/f?if_keys=", servertest.M{"jwks": setOf(old, fresh)}
		for _, wrong := range []string{"", freshThumbprint, oldThumbprint + "," + freshThumbprint} {
			s.Admin(t, "PATCH", at+wrong, both).Want(t, 409, "conflict")
		}
		s.Admin(t, "PATCH", at+oldThumbprint, both).Want(t, 200, "")
		got := s.Admin(t, "PATCH", at+freshThumbprint+","+oldThumbprint, servertest.M{"jwks": setOf(fresh)}).Want(t, 200, "").JSON(t)
		if keys := got["keys"].([]any); len(keys) != 1 || keys[0].(servertest.M)["thumbprint"] != freshThumbprint {
			t.Errorf("got %v", keys)
		}
	})
	t.Run("a rejected patch does not disable the client either", func(t *testing.T) {
		s.Register(t, servertest.M{"client_id": "e", "jwks": setOf(old)})
		s.Admin(t, "PATCH", clientsPath+"/e", servertest.M{"disabled": true, "jwks_uri": "https://e.example/keys"}).Want(t, 400, "invalid_client_metadata")
		if shown(t, s, "e")["disabled"] != false {
			t.Error("it is disabled")
		}
	})
}

// Keys that are not fit are rejected at the registration and in a patch, and nothing of a private key gets anywhere.
func TestUnfitKeys(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	public, _ := ecPublic(t, "k")
	canary := "canary0private0canary0private0canary0private"
	s.Secret(canary)
	with := func(name string, value any) servertest.M {
		changed := servertest.M{name: value}
		for member, v := range public {
			if _, given := changed[member]; !given {
				changed[member] = v
			}
		}
		return changed
	}
	s.Register(t, servertest.M{"client_id": "patched"})
	for _, test := range []struct {
		name   string
		m      servertest.M
		member string
	}{
		{"a private member", servertest.M{"jwks": setOf(with("d", canary))}, "d belongs to"},
		{"a symmetric key", servertest.M{"jwks": setOf(servertest.M{"kty": "oct", "k": canary})}, "k belongs to"},
		{"a prime", servertest.M{"jwks": setOf(with("p", canary))}, "p belongs to"},
		{"for encryption", servertest.M{"jwks": setOf(with("use", "enc"))}, "use must be"},
		{"another curve", servertest.M{"jwks": setOf(with("crv", "P-384"))}, "crv must be"},
		{"one kid twice", servertest.M{"jwks": setOf(public, public)}, "kid"},
		{"no key", servertest.M{"jwks": servertest.M{"keys": []any{}}}, "keys must have 1"},
		{"keys is an object", servertest.M{"jwks": servertest.M{"keys": servertest.M{}}}, "keys must be"},
		{"a text", servertest.M{"jwks": `{"keys":[]}`}, "jwks: must be"},
		{"over 8 KiB", servertest.M{"jwks": setOf(with("x5t", strings.Repeat("a", 8192)))}, "jwks: must have"},
		{"an algorithm that the key does not have", servertest.M{"jwks": setOf(public), "token_endpoint_auth_signing_alg": "RS256"}, "token_endpoint_auth_signing_alg: fits no key"},
		{"an algorithm without a key", servertest.M{"token_endpoint_auth_signing_alg": "ES256"}, "token_endpoint_auth_signing_alg: needs a key"},
		{"an unknown algorithm", servertest.M{"jwks": setOf(public), "token_endpoint_auth_signing_alg": "ES384"}, "token_endpoint_auth_signing_alg: must be"},
		{"keys and a URL", servertest.M{"jwks": setOf(public), "jwks_uri": "https://a.example/keys"}, "jwks_uri: must not be registered together"},
		{"http", servertest.M{"jwks_uri": "http://a.example/keys"}, "jwks_uri: must"},
		{"a file", servertest.M{"jwks_uri": "file:///etc/passwd"}, "jwks_uri: must"},
		{"a user", servertest.M{"jwks_uri": "https://user:pw@a.example/"}, "jwks_uri: must have no user"},
		{"a fragment", servertest.M{"jwks_uri": "https://a.example/#f"}, "jwks_uri: must have no fragment"},
		{"no host", servertest.M{"jwks_uri": "https:///x"}, "jwks_uri: must have a host"},
		{"a port of another service", servertest.M{"jwks_uri": "https://a.example:22/"}, "jwks_uri: must have the port"},
		{"a loopback address", servertest.M{"jwks_uri": "https://127.0.0.1/keys"}, "jwks_uri: must have a host name"},
		{"a private address", servertest.M{"jwks_uri": "https://10.0.0.1/keys"}, "jwks_uri: must have a host name"},
		{"the address of cloud metadata", servertest.M{"jwks_uri": "https://169.254.169.254/keys"}, "jwks_uri: must have a host name"},
		{"a loopback address of IPv6", servertest.M{"jwks_uri": "https://[::1]/keys"}, "jwks_uri: must have a host name"},
		{"an address of IPv4 in IPv6", servertest.M{"jwks_uri": "https://[::ffff:127.0.0.1]/keys"}, "jwks_uri: must have a host name"},
		{"513 bytes", servertest.M{"jwks_uri": "https://a.example/" + strings.Repeat("a", 495)}, "jwks_uri: must have at most 512"},
		{"a control character", servertest.M{"jwks_uri": "https://a.example/\n"}, "jwks_uri: must be"},
		{"no text", servertest.M{"jwks_uri": 7}, "jwks_uri: must be a string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, got := range []servertest.Response{
				s.Admin(t, "POST", clientsPath, test.m).Want(t, 400, "invalid_client_metadata"),
				s.Admin(t, "POST", unfetched, test.m).Want(t, 400, "invalid_client_metadata"),
				s.Admin(t, "PATCH", clientsPath+"/patched", test.m).Want(t, 400, "invalid_client_metadata"),
			} {
				if !strings.Contains(got.Body, test.member) || strings.Contains(got.Body, canary) {
					t.Errorf("got %s, want %q", got.Body, test.member)
				}
			}
		})
	}
	if strings.Contains(s.Admin(t, "GET", "/admin/audit?limit=200", nil).Body, canary) {
		t.Error("the audit log has a private member")
	}
	if keys := shown(t, s, "patched")["keys"].([]any); len(keys) > 0 {
		t.Errorf("registered: %v", keys)
	}
}
