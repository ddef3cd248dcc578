package servertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// AssertionType is the client_assertion_type of private_key_jwt.
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Signer is a client's key pair.
type Signer struct {
	ID        string // kid
	Algorithm string
	Private   crypto.Signer
}

// NewSigner creates a key pair. Pairs for RSA are the same in all tests of a process, since they take long to create.
func NewSigner(t testing.TB, id, algorithm string) Signer {
	t.Helper()
	k := Signer{ID: id, Algorithm: algorithm}
	var err error
	switch algorithm {
	case "ES256":
		k.Private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, k.Private, err = ed25519.GenerateKey(rand.Reader)
	default:
		k.Private, err = rsaPair()
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var rsaPair = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// JWKS is the set of the public keys of these pairs, as a client is registered with it.
func JWKS(t testing.TB, pairs ...Signer) M {
	t.Helper()
	set := jose.JSONWebKeySet{}
	for _, k := range pairs {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Use: "sig"})
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	var m M
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Sign makes a JWT of these claims. Its header has alg, kid and typ; header changes some, and nil removes one.
func (k Signer) Sign(t testing.TB, header, claims M) string {
	t.Helper()
	whole := M{"alg": k.Algorithm, "kid": k.ID, "typ": "JWT"}
	maps.Copy(whole, header)
	return k.SignText(t, encoded(t, whole), encoded(t, claims))
}

func encoded(t testing.TB, members M) string {
	t.Helper()
	present := maps.Clone(members)
	maps.DeleteFunc(present, func(_ string, value any) bool { return value == nil })
	raw, err := json.Marshal(present)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// SignText signs any header and payload by the algorithm of k, whatever the header says.
func (k Signer) SignText(t testing.TB, header, payload string) string {
	t.Helper()
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch private := k.Private.(type) {
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, private, digest[:]); err == nil {
			signature = make([]byte, 64)
			r.FillBytes(signature[:32])
			s.FillBytes(signature[32:])
		}
	case ed25519.PrivateKey:
		signature = ed25519.Sign(private, []byte(input))
	case *rsa.PrivateKey:
		if k.Algorithm == "PS256" {
			signature, err = rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64.EncodeToString(signature)
}

var b64 = base64.RawURLEncoding

// AssertionClaims are those of a good assertion of a client, with some changed; nil removes one.
func AssertionClaims(clientID string, now time.Time, changed M) M {
	claims := M{
		"iss": clientID, "sub": clientID, "aud": Issuer,
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": rand.Text(),
	}
	maps.Copy(claims, changed)
	return claims
}

// AssertionForm are the parameters by which an assertion is presented.
func AssertionForm(compact string) string {
	return url.Values{"client_assertion_type": {AssertionType}, "client_assertion": {compact}}.Encode()
}
