package server_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// thief has copies of Redis and the master key: the private half of each signing key that was in a copy.
type thief struct {
	masterKey []byte
	stolen    map[string]crypto.PrivateKey // by kid
}

// steal opens what a copy of Redis has of the signing keys.
func (f *thief) steal(t *testing.T, b *storetest.Backend) {
	t.Helper()
	vault, err := seal.New([][]byte{f.masterKey})
	if err != nil {
		t.Fatal(err)
	}
	var record struct {
		Keys []struct {
			ID     string
			Sealed []byte
		}
	}
	if err := json.Unmarshal([]byte(b.Do("GET", "mk:signing-keys").(string)), &record); err != nil {
		t.Fatal(err)
	}
	for _, key := range record.Keys {
		if len(key.Sealed) == 0 {
			continue // retired
		}
		der, err := vault.Open(key.Sealed, []byte(key.ID))
		if err != nil {
			t.Fatal(err)
		}
		if f.stolen[key.ID], err = x509.ParsePKCS8PrivateKey(der); err != nil {
			t.Fatal(err)
		}
	}
}

// forge signs the claims of a genuine token with each stolen key.
func (f *thief) forge(t *testing.T, genuine string) map[string]string {
	t.Helper()
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(genuine, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	claims = []byte(strings.Replace(string(claims), `"scope":"read"`, `"scope":"read write"`, 1))
	forged := map[string]string{}
	for kid, private := range f.stolen {
		options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", kid)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, options)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		if forged[kid], err = jws.CompactSerialize(); err != nil {
			t.Fatal(err)
		}
	}
	return forged
}

// verifiesOffline does what a resource server does that has just fetched the key set.
func verifiesOffline(t *testing.T, s *servertest.Server, token string) bool {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(s.Get(t, jwksPath).Want(t, http.StatusOK, "").Body), &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	keys := set.Key(jws.Signatures[0].Header.KeyID)
	if len(keys) == 0 {
		return false
	}
	_, err = jws.Verify(keys[0])
	return err == nil
}

// TestCompromisedKeys is an attacker with the master key and copies of Redis, who signs with each key that a copy had.
func TestCompromisedKeys(t *testing.T) {
	for _, test := range []struct {
		compromised any
		retired     bool // whether what is signed with the retired key still verifies
	}{{true, true}, {"all", false}} {
		t.Run(fmt.Sprint(test.compromised), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
				f := &thief{masterKey: make([]byte, seal.KeyBytes), stolen: map[string]crypto.PrivateKey{}}
				_, _ = rand.Read(f.masterKey)
				masterKey := "MINTKEEP_MASTER_KEY=" + base64.StdEncoding.EncodeToString(f.masterKey)
				s, other := servertest.New(t, b, masterKey), servertest.New(t, b, masterKey)
				replicas := []*servertest.Server{s, other}
				c := s.Register(t, servertest.M{"scope": "read write"})
				kid := func(token string) string { return jwtPart(t, token, 0)["kid"].(string) }
				reload := func() {
					for _, r := range replicas {
						if err := r.Ring.Tick(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				rotate := func(body any) { s.Admin(t, "POST", "/admin/signing-keys/rotate", body).Want(t, http.StatusCreated, "") }

				old := s.Token(t, c, "scope=read") // signed with what will be the retired key
				f.steal(t, b)
				b.Clock.Advance(11 * time.Minute)
				rotate(nil)
				reload()
				f.steal(t, b)
				genuine := s.Token(t, c, "scope=read")
				forged := f.forge(t, genuine)
				if len(forged) != 3 {
					t.Fatalf("%d keys were stolen, want the retired, the active and the next one", len(forged))
				}
				for kid, token := range forged {
					if !verifiesOffline(t, s, token) || !verifiesOffline(t, other, token) {
						t.Fatalf("before, what is signed with %s does not verify: the test shows nothing", kid)
					}
				}

				rotate(servertest.M{"compromised": test.compromised})
				late := other.Token(t, c) // the other replica has not reloaded: it signs with the key that was dropped
				reload()
				for i, r := range replicas {
					for stolen, token := range forged {
						if got, want := verifiesOffline(t, r, token), test.retired && stolen == kid(old); got != want {
							t.Errorf("replica %d, signed with the stolen key %s: verifies is %v, want %v", i, stolen, got, want)
						}
						if r.Active(t, c, token) {
							t.Errorf("replica %d calls a forged token active", i)
						}
					}
					for what, token := range map[string]string{"retired": old, "compromised": genuine, "late": late} {
						if !r.Active(t, c, token) {
							t.Errorf("replica %d: the genuine token of the %s key is not active", i, what)
						}
					}
					fresh := r.Token(t, c)
					if f.stolen[kid(fresh)] != nil {
						t.Errorf("replica %d signs with a stolen key", i)
					}
					if !verifiesOffline(t, s, fresh) || !verifiesOffline(t, other, fresh) {
						t.Errorf("a token of replica %d does not verify", i)
					}
				}
			})
		})
	}
}

// What the audit log has of it: which keys were dropped.
func TestCompromisedKeysAreAudited(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	ids := func() (ids []string) {
		for _, k := range s.Ring.Keys() {
			ids = append(ids, k.ID)
		}
		return ids
	}
	s.Clock.Advance(11 * time.Minute)
	s.Admin(t, "POST", "/admin/signing-keys/rotate", nil).Want(t, http.StatusCreated, "")
	before := ids()
	s.Admin(t, "POST", "/admin/signing-keys/rotate", servertest.M{"compromised": "all"}).Want(t, http.StatusCreated, "")
	for _, id := range ids() {
		if slices.Contains(before, id) {
			t.Errorf("the key %s is still there", id)
		}
	}
	event := s.Admin(t, "GET", "/admin/audit", nil).Want(t, http.StatusOK, "").JSON(t)["items"].([]any)[0].(servertest.M)
	detail := event["detail"].(servertest.M)
	if event["action"] != "signing_key.compromised" || detail["dropped"] != before[0]+" "+before[1] || detail["retired_dropped"] != "1" {
		t.Errorf("got %v, want the keys %v", event, before)
	}
}
