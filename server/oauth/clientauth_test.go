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

// TestAssertionCostsOneVerification: whatever is wrong with an assertion, one signature is verified; for an unknown client by a
// decoy.
func TestAssertionCostsOneVerification(t *testing.T) {
	s, c, sign := byAssertion(t)
	good, other := sign("a", s.config.Issuer), sign("b", s.config.Issuer)
	unkeyed := &store.Client{ID: c.ID, Enabled: true}
	pinned := &store.Client{ID: c.ID, Enabled: true, Metadata: store.ClientMetadata{AuthMethod: store.PrivateKeyJWT, JWKS: c.Metadata.JWKS, SigningAlg: "PS256"}}
	for name, tt := range map[string]struct {
		compact string
		client  *store.Client
	}{
		"a good one":               {good, c},
		"an unknown client":        {good, nil},
		"a client without keys":    {good, unkeyed},
		"another algorithm":        {good, pinned},
		"an unknown kid":           {other, c},
		"another server's":         {sign("a", "https://other.example"), c},
		"a signature that is none": {good[:len(good)-8] + "AAAAAAAA"[:8], c},
	} {
		p, err := s.present(httptest.NewRequest(http.MethodPost, TokenPath, http.NoBody), assertionForm(tt.compact))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v, err := s.verify(t.Context(), p, tt.client)
		if err != nil || (v.Rejected == "") != (name == "a good one") {
			t.Errorf("%s: got the reason %q, %v", name, v.Rejected, err)
		}
		if n := p.assertion.Verifications(); n != 1 {
			t.Errorf("%s costs %d verifications, want 1", name, n)
		}
	}
}

func assertionForm(compact string) url.Values {
	return url.Values{"client_assertion_type": {AssertionType}, "client_assertion": {compact}}
}

// BenchmarkAuthenticateByAssertion is the same by an ES256 key, and beside it the verification of the signature alone.
func BenchmarkAuthenticateByAssertion(b *testing.B) {
	s, c, sign := byAssertion(b)
	r, form := httptest.NewRequest(http.MethodPost, TokenPath, http.NoBody), assertionForm(sign("a", s.config.Issuer))
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
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		digest := sha256.Sum256([]byte("a text"))
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

// byAssertion is a server, a client with an ES256 key whose kid is a, and a function that signs its assertions.
func byAssertion(t testing.TB) (s *Server, c *store.Client, sign func(kid, audience string) string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &private.PublicKey, KeyID: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Issuer: "https://auth.example.com"}
	s = &Server{config: cfg, store: storetest.Embedded(t).Open(t), now: time.Now, methods: AuthMethods()}
	c = &store.Client{ID: "billing-service", Enabled: true, Metadata: store.ClientMetadata{AuthMethod: store.PrivateKeyJWT, JWKS: raw}}
	return s, c, func(kid, audience string) string {
		options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, options)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().Unix()
		claims := fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"iat":%d,"exp":%d,"jti":"0123456789abcdef"}`, c.ID, c.ID, audience, now, now+3600)
		signed, err := signer.Sign([]byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		compact, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return compact
	}
}
