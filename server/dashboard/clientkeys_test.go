package dashboard_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// pasted is a new key in the forms in which an operator may have it.
type pasted struct{ public, private, jwk, thumbprint string }

func newPasted(t testing.TB, kid string) (p pasted) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.private = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	p.public, p.jwk, p.thumbprint = publicForms(t, key.Public(), kid)
	return p
}

func publicForms(t testing.TB, public crypto.PublicKey, kid string) (text, jwk, thumbprint string) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: public, KeyID: kid}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), string(asJSON), base64.RawURLEncoding.EncodeToString(sum)
}

// An operator registers a client with a key, adds another, sees which is used, and removes the old one. No secret is
// created or shown.
func TestClientKeys(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	first, second := newPasted(t, ""), newPasted(t, "2026-02")
	at := "/operator/clients/billing"

	v.submit(v.get("/operator/register-client"), "/operator/clients", "client_id", "billing", "scope", "read", "jwks", first.public).
		wantTo(at + "?done=client-registered")
	v.get(at).says(first.thumbprint, "ES256", "never", "No secret is active. The client authenticates with its key.")

	p := v.get(at + "/keys")
	v.submit(p, at+"/keys", "jwks", `{"keys":[`+second.jwk+`]}`, "token_endpoint_auth_signing_alg", "ES256").wantTo(at + "?done=keys-saved")
	v.submit(p, at+"/keys", "jwks", second.jwk).want(http.StatusConflict).says("The keys were changed after this page was loaded, and nothing was saved.")
	s.Store.RecordClientKeyUse("billing", second.thumbprint)
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(3 * time.Minute)
	v.get(at).says(first.thumbprint, "2026-02", second.thumbprint, "used 3 min ago", "never used", "ES256 only")

	remove := at + "/keys/" + first.thumbprint + "/remove"
	q := v.get(remove).says("Remove the key “"+first.thumbprint+"” of the client “billing”?", "The key was never used.", "Tokens that were issued already stay valid until they expire")
	v.submit(q, remove).wantTo(at + "?done=key-removed")
	if got := v.get(at).visible(); strings.Contains(got, first.thumbprint) || !strings.Contains(got, second.thumbprint) {
		t.Errorf("after the removal: %.2000s", got)
	}
	v.get(remove).want(http.StatusNotFound)

	// The last key: the client could not authenticate any more, so that its id must be typed.
	remove = at + "/keys/" + second.thumbprint + "/remove"
	q = v.get(remove).says("Used 3 min ago.", "it cannot authenticate any more")
	v.submit(q, remove).want(http.StatusBadRequest)
	v.submit(q, remove, "confirm", "billing").wantTo(at + "?done=key-removed")
	v.get(at).says("The client has no public key.", "No secret is active: the client cannot authenticate.")
}

// A client publishes its keys at a URL: the page has the keys that were used, and a button that has the set fetched again.
func TestClientKeySetURL(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	at, uri := "/operator/clients/reports", "https://reports.example/keys"
	v.submit(v.get("/operator/register-client"), "/operator/clients", "client_id", "reports", "jwks_uri", " "+uri+" ", "unfetched", "yes").wantTo(at + "?done=client-registered")
	v.get(at).says(uri, "No key of the set was used yet.")
	key := newPasted(t, "")
	s.Store.RecordClientKeyUse("reports", key.thumbprint)
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := v.get(at).says(key.thumbprint, "just now")
	v.submit(p, at+"/refresh-keys").wantTo(at + "?done=keys-refreshed")
	c, err := s.Store.Client(t.Context(), "reports")
	if err != nil || c.Metadata.KeysRefreshed == 0 {
		t.Errorf("not refreshed: %v", err)
	}
	v.get(at + "/keys/" + key.thumbprint + "/remove").want(http.StatusNotFound) // only where it is published

	// From the URL to a key, and back.
	keys := at + "/keys"
	v.submit(v.get(keys), keys, "jwks", key.public).want(http.StatusBadRequest).saysAt("jwks_uri", "Key set URL must be empty if a key is pasted.")
	v.submit(v.get(keys), keys, "jwks", key.public, "jwks_uri", "").wantTo(at + "?done=keys-saved")
	if c, err := s.Store.Client(t.Context(), "reports"); err != nil || c.Metadata.JWKSURI != "" || len(c.Metadata.JWKS) == 0 {
		t.Errorf("got %q, %s, %v", c.Metadata.JWKSURI, c.Metadata.JWKS, err)
	}
	v.submit(v.get(keys), keys, "jwks_uri", uri, "unfetched", "yes").wantTo(at + "?done=keys-saved")
	if c, err := s.Store.Client(t.Context(), "reports"); err != nil || c.Metadata.JWKSURI != uri || len(c.Metadata.JWKS) > 0 {
		t.Errorf("got %q, %s, %v", c.Metadata.JWKSURI, c.Metadata.JWKS, err)
	}
}

// What is wrong with a key is said at its field, and a private key does not come back with the page.
func TestClientKeyProblems(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	s.Register(t, servertest.M{"client_id": "billing"})
	key := newPasted(t, "")
	s.Secret(strings.Split(key.private, "\n")[1])
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak, _, _ := publicForms(t, small.Public(), "")
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _, _ := publicForms(t, big.Public(), "")
	for _, test := range []struct{ name, field, value, says string }{
		{"a private key", "jwks", key.private, "Public key must not have a private key"},
		{"a private JWK", "jwks", strings.Replace(key.jwk, `"x"`, `"d":"AAAA","x"`, 1), "Public key keys[0]: d belongs to a private or symmetric key"},
		{"RSA of 1024 bits", "jwks", weak, "Public key keys[0]: n must have 2048"},
		{"another curve", "jwks", other, "Public key keys[0]: crv must be P-256"},
		{"no key", "jwks", "ssh-ed25519 AAAA", "Public key must be public keys in PEM, a JWK or a JWK set."},
		{"a broken PEM", "jwks", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "Public key has a public key in PEM that cannot be read."},
		{"http", "jwks_uri", "http://a.example/keys", "Key set URL must begin with https://"},
		{"an algorithm without a key", "token_endpoint_auth_signing_alg", "ES256", "Signing algorithm needs a key"},
	} {
		for page, action := range map[string]string{"/operator/clients/billing/keys": "/operator/clients/billing/keys", "/operator/register-client": "/operator/clients"} {
			p := v.submit(v.get(page), action, test.field, test.value).want(http.StatusBadRequest)
			p.saysAt(test.field, test.says)
			if test.field == "jwks" && p.form(action).Get("jwks") != "" {
				t.Errorf("%s, %s: what was pasted comes back", test.name, page)
			}
		}
	}
	for page, action := range map[string]string{"/operator/clients/billing/keys": "/operator/clients/billing/keys", "/operator/register-client": "/operator/clients"} {
		v.submit(v.get(page), action, "jwks", key.public, "jwks_uri", "https://a.example/keys").want(http.StatusBadRequest).
			saysAt("jwks_uri", "Key set URL must be empty if a key is pasted")
	}
	p := v.submit(v.get("/operator/register-client"), "/operator/clients", "client_id", "two words", "jwks", key.public).want(http.StatusBadRequest)
	if !strings.Contains(p.form("/operator/clients").Get("jwks"), strings.Split(key.public, "\n")[1]) {
		t.Error("a public key is lost with the mistake in another field")
	}
	oneLine := strings.ReplaceAll(key.private, "\n", " ") // what a browser makes of it in a field of one line
	for name, fields := range map[string][]string{
		"with a mistake in another field": {"access_token_ttl", "soon", "jwks", key.private},
		"in the field of the URL":         {"jwks_uri", oneLine},
		"as a JWK, likewise":              {"jwks_uri", strings.Replace(key.jwk, `"x"`, `"d":"`+strings.Split(key.private, "\n")[1]+`","x"`, 1)},
	} {
		p := v.submit(v.get("/operator/register-client"), "/operator/clients", append(fields, "client_id", "reports")...).want(http.StatusBadRequest)
		if strings.Contains(p.Body, strings.Split(key.private, "\n")[1]) {
			t.Errorf("a private key %s comes back", name)
		}
	}
}

// A key that is registered under two kids is removed under both: who removes a key wants nothing signed with it any more.
func TestKeyUnderTwoKids(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	key, other := newPasted(t, "first"), newPasted(t, "other")
	again := strings.Replace(key.jwk, `"first"`, `"again"`, 1)
	at := "/operator/clients/billing"
	v.submit(v.get("/operator/register-client"), "/operator/clients", "client_id", "billing", "jwks", `{"keys":[`+key.jwk+","+again+","+other.jwk+`]}`).
		wantTo(at + "?done=client-registered")
	remove := at + "/keys/" + key.thumbprint + "/remove"
	v.submit(v.get(remove), remove).wantTo(at + "?done=key-removed")
	if got := v.get(at).visible(); strings.Contains(got, "again") || strings.Contains(got, "first") || !strings.Contains(got, "other") {
		t.Errorf("after the removal: %.2000s", got)
	}

	v.submit(v.get(at+"/keys"), at+"/keys", "jwks", `{"keys":[`+strings.Replace(other.jwk, `"other"`, `"next"`, 1)+`]}`).wantTo(at + "?done=keys-saved")
	remove = at + "/keys/" + other.thumbprint + "/remove"
	q := v.get(remove).says("it cannot authenticate any more")
	v.submit(q, remove, "confirm", "billing").wantTo(at + "?done=key-removed")
	v.get(at).says("The client has no public key.")
}

// The secrets of a client that authenticates by its key alone are shown as not in use, and its key cannot be the last to
// go.
func TestSecretsNotInUse(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	key := newPasted(t, "k1")
	c := &store.Client{
		ID:       "moved",
		Metadata: store.ClientMetadata{AuthMethod: "private_key_jwt", JWKS: json.RawMessage(`{"keys":[` + key.jwk + `]}`), CreatedAt: s.Clock.Now()},
		Secrets:  []store.Secret{{ID: store.NewSecretID(), LastFour: "abcd", CreatedAt: s.Clock.Now(), Digest: store.DigestOf("x")}},
	}
	if err := s.Store.CreateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	at := "/operator/clients/moved"
	v.get(at).says("…abcd", "not in use", "k1")
	revoke := at + "/secrets/" + c.Secrets[0].ID + "/revoke"
	v.submit(v.get(revoke).says("The secret is not in use: the client authenticates by private_key_jwt."), revoke).wantTo(at + "?done=secret-revoked")
	remove := at + "/keys/" + key.thumbprint + "/remove"
	v.submit(v.get(remove), remove, "confirm", "moved").want(http.StatusBadRequest).says("is needed by private_key_jwt")
	v.get(at).says("k1")
}
