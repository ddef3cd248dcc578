package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// BenchmarkAuthenticate is a client's authentication without the reading of the client: the header, the digest of the
// secret, its comparison, and the note of its use.
func BenchmarkAuthenticate(b *testing.B) {
	secret := credential.NewSecret("mk")
	s := &Server{store: storetest.Embedded(b).Open(b), now: time.Now, methods: AuthMethods()}
	c := &store.Client{ID: "billing-service", Enabled: true, Secrets: []store.Secret{{ID: "sec_a", Digest: store.DigestOf(secret)}}}
	r := httptest.NewRequest(http.MethodPost, TokenPath, http.NoBody)
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.ID+":"+secret)))
	form := url.Values{}
	b.ReportAllocs()
	for b.Loop() {
		p, err := s.present(r, form)
		if err != nil {
			b.Fatal(err)
		}
		if v, err := s.verify(b.Context(), p, c); err != nil || v.Rejected != "" {
			b.Fatal(v.Rejected, err)
		}
	}
}

// BenchmarkAuthenticateByAssertion is the same by an ES256 key, and beside it the verification of the signature alone.
func BenchmarkAuthenticateByAssertion(b *testing.B) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &private.PublicKey, KeyID: "a"}}})
	if err != nil {
		b.Fatal(err)
	}
	const issuer = "https://auth.example.com"
	s := &Server{config: &config.Config{Issuer: issuer}, store: storetest.Embedded(b).Open(b), now: time.Now, methods: AuthMethods()}
	c := &store.Client{ID: "billing-service", Enabled: true, Metadata: store.ClientMetadata{AuthMethod: privateKeyJWTName, JWKS: raw}}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "a")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, options)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	claims := fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"iat":%d,"exp":%d,"jti":"0123456789abcdef"}`, c.ID, c.ID, issuer, now.Unix(), now.Unix()+3600)
	signed, err := signer.Sign([]byte(claims))
	if err != nil {
		b.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, TokenPath, http.NoBody)
	form := url.Values{"client_assertion_type": {assertionType}, "client_assertion": {compact}}
	b.Run("authentication", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p, err := s.present(r, form)
			if err != nil {
				b.Fatal(err)
			}
			if v, err := s.verify(b.Context(), p, c); err != nil || v.Rejected != "" {
				b.Fatal(v.Rejected, err)
			}
		}
	})
	b.Run("verification", func(b *testing.B) {
		digest := sha256.Sum256([]byte(claims))
		signature, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if !ecdsa.VerifyASN1(&private.PublicKey, digest[:], signature) {
				b.Fatal("not verified")
			}
		}
	})
}
