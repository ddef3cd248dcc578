package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const claims = `{"iss":"https://auth.example.com","sub":"billing","client_id":"billing","aud":"https://api.example.com",` +
	`"scope":"invoices:read invoices:write","iat":1767225600,"exp":1767229200,"jti":"0nRVmWmJtQXvAjmUz3vVJw"}`

// A peer that has only the public key and a JOSE library accepts what each algorithm signs.
func TestSignAlgorithms(t *testing.T) {
	for _, algorithm := range []string{es256, eddsa, rs256} {
		t.Run(algorithm, func(t *testing.T) {
			pair, s := newPair(t, algorithm)
			if got := algorithmOf(pair.Public()); got != algorithm {
				t.Errorf("algorithmOf = %q, want %q", got, algorithm)
			}
			// Often enough for r and s to begin with zero bytes now and then.
			for range map[string]int{es256: 1000, eddsa: 10, rs256: 3}[algorithm] {
				token, err := s.token([]byte(claims))
				if err != nil {
					t.Fatal(err)
				}
				jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
				if err != nil {
					t.Fatal(err)
				}
				payload, err := jws.Verify(pair.Public())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(claims, string(payload)); diff != "" {
					t.Fatal(diff)
				}
			}
		})
	}
}

// RFC 9068 §2.1, and nothing that points to a key elsewhere.
func TestSignHeader(t *testing.T) {
	_, s := newPair(t, es256)
	token, err := s.token([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	encoded, _, _ := strings.Cut(token, ".")
	header, err := b64.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(header), `{"alg":"ES256","kid":"test","typ":"at+jwt"}`; got != want {
		t.Errorf("header = %s, want %s", got, want)
	}
}

func TestFixedLength(t *testing.T) {
	der := func(r, s *big.Int) []byte {
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1BigInt(r); b.AddASN1BigInt(s) })
		return b.BytesOrPanic()
	}
	most := new(big.Int).Sub(elliptic.P256().Params().N, big.NewInt(1))
	for name, pair := range map[string][2]*big.Int{
		"short r":      {big.NewInt(1), most},
		"short s":      {most, big.NewInt(0x80)},
		"both longest": {most, most},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fixedLength(der(pair[0], pair[1]))
			if err != nil {
				t.Fatal(err)
			}
			want := pair[1].FillBytes(make([]byte, 64))
			pair[0].FillBytes(want[:32])
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	tooLong := new(big.Int).Lsh(big.NewInt(1), 256)
	for name, der := range map[string][]byte{
		"empty": nil, "cut": der(most, most)[:40], "too long": der(tooLong, most), "negative": der(big.NewInt(-1), most),
	} {
		if got, err := fixedLength(der); err == nil {
			t.Errorf("%s: got %x, want an error", name, got)
		}
	}
}

func TestNewSignerRejectsOtherKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if got := algorithmOf(p384.Public()); got != "" {
		t.Errorf("P-384 serves %q", got)
	}
	if _, err := newSigner("test", p384); err == nil {
		t.Error("a P-384 key signs")
	}
	if _, err := generate("HS256"); err == nil {
		t.Error("HS256 makes a key")
	}
}

func newPair(tb testing.TB, algorithm string) (crypto.Signer, *signer) {
	tb.Helper()
	pair, err := generate(algorithm)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := newSigner("test", pair)
	if err != nil {
		tb.Fatal(err)
	}
	return pair, s
}

// BenchmarkSign sets a whole token against the bare signature of the same bytes.
func BenchmarkSign(b *testing.B) {
	for _, algorithm := range []string{es256, eddsa, rs256} {
		pair, s := newPair(b, algorithm)
		b.Run(algorithm+"/token", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.token([]byte(claims)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(algorithm+"/raw", func(b *testing.B) {
			b.ReportAllocs()
			digest := sha256.Sum256([]byte(claims))
			for b.Loop() {
				switch pair := pair.(type) {
				case *ecdsa.PrivateKey:
					_, _ = ecdsa.SignASN1(rand.Reader, pair, digest[:])
				case ed25519.PrivateKey:
					_ = ed25519.Sign(pair, []byte(claims))
				case *rsa.PrivateKey:
					_, _ = rsa.SignPKCS1v15(rand.Reader, pair, crypto.SHA256, digest[:])
				}
			}
		})
	}
}
