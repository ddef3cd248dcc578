package jwks

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

// Public keys come in PEM, as a JWK or as a set; each is read as a set that can be registered.
func TestPublicKeysInEachForm(t *testing.T) {
	rsaBlock := func(blockType string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}))
	}
	public := &rsaPair().PublicKey
	pkix, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Thumbprint(public)
	if err != nil {
		t.Fatal(err)
	}
	jwk := setOf(t, rsaJWK())
	jwk = strings.TrimSuffix(strings.TrimPrefix(jwk, `{"keys":[`), "]}")
	for name, text := range map[string]string{
		"PEM":              rsaBlock("PUBLIC KEY", pkix),
		"PEM of PKCS 1":    rsaBlock("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(public)),
		"a JWK":            jwk,
		"a set":            setOf(t, rsaJWK()),
		"spaces around it": "\n " + jwk + "\n",
	} {
		set, err := ReadPublic([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, parsed, err := ParseRegistered(set); err != nil || parsed.Keys[0].Thumbprint != want {
			t.Errorf("%s: got %s, %v", name, set, err)
		}
	}
	key, err := NewKey(public)
	if err != nil || key.Thumbprint != want || strings.Join(key.Algorithms(), " ") != "PS256 RS256" {
		t.Errorf("got %+v, %v", key, err)
	}
}

// What is no public key is rejected, and no error has a part of it.
func TestNoPublicKeys(t *testing.T) {
	block := func(blockType string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: []byte("canary")}))
	}
	for name, c := range map[string]struct{ text, want string }{
		"nothing":            {"", "must be public keys in PEM, a JWK or a JWK set"},
		"text":               {"ssh-ed25519 canary", "must be public keys in PEM"},
		"a list":             {`[{"kty":"canary"}]`, "must be public keys in PEM"},
		"keys that are none": {`{"keys":"canary"}`, "must be public keys in PEM"},
		"a private key":      {block("PRIVATE KEY"), "must not have a private key"},
		"encrypted":          {block("ENCRYPTED PRIVATE KEY"), "must not have a private key"},
		"a certificate":      {block("CERTIFICATE"), "must not have a certificate; openssl x509"},
		"broken DER":         {block("PUBLIC KEY"), "has a public key in PEM that cannot be read"},
		"a private JWK":      {`{"kty":"EC","d":"canary"}`, "keys[0]: d belongs to a private or symmetric key"},
		"a symmetric JWK":    {`{"keys":[{"kty":"EC"},{"kty":"oct","k":"canary"}]}`, "keys[1]: k belongs to"},
		"a member twice":     {`{"kty":"EC","d":null,"d":"canary"}`, "must be public keys in PEM"},
		"a key in the keys":  {`{"keys":[["canary"]]}`, "keys[0]: must be a JSON object"},
	} {
		_, err := ReadPublic([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
