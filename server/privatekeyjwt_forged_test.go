package server_test

import (
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestPrivateKeyJWTSignature is RFC 7518 §3.4: 64 bytes, r and s.
func TestPrivateKeyJWTSignature(t *testing.T) {
	c := newTokenEndpoint(t, storetest.Embedded(t)).keyed(t)
	order := elliptic.P256().Params().N
	number := func(n *big.Int) string { return string(n.FillBytes(make([]byte, 32))) }
	for name, change := range map[string]func(r, s *big.Int) string{
		"DER": func(r, s *big.Int) string {
			return "0\x44\x02\x20" + number(r) + "\x02\x20" + number(s)
		},
		"63 bytes":          func(r, s *big.Int) string { return (number(r) + number(s))[:63] },
		"65 bytes":          func(r, s *big.Int) string { return number(r) + number(s) + "\x00" },
		"nothing":           func(_, _ *big.Int) string { return "" },
		"r = 0":             func(_, s *big.Int) string { return strings.Repeat("\x00", 32) + number(s) },
		"s = 0":             func(r, _ *big.Int) string { return number(r) + strings.Repeat("\x00", 32) },
		"both 0":            func(_, _ *big.Int) string { return strings.Repeat("\x00", 64) },
		"r = n":             func(_, s *big.Int) string { return number(order) + number(s) },
		"r and s exchanged": func(r, s *big.Int) string { return number(s) + number(r) },
	} {
		t.Run(name, func(t *testing.T) {
			c.rejected(t, c.present(t, resigned(t, c.sign(t, nil, nil), change)), "signature")
		})
	}
	t.Run("s and n - s are both signatures of one assertion", func(t *testing.T) {
		mirrored := func(r, s *big.Int) string { return number(r) + number(new(big.Int).Sub(order, s)) }
		first, second := c.sign(t, nil, nil), c.sign(t, nil, nil)
		granted(t, c.present(t, resigned(t, first, mirrored)))
		c.rejected(t, c.present(t, first), "replayed")
		granted(t, c.present(t, second))
		c.rejected(t, c.present(t, resigned(t, second, mirrored)), "replayed")
	})
}

// resigned is an assertion with another signature, made of r and s.
func resigned(t testing.TB, compact string, change func(r, s *big.Int) string) string {
	t.Helper()
	dot := strings.LastIndexByte(compact, '.')
	raw, err := rawURL.DecodeString(compact[dot+1:])
	if err != nil {
		t.Fatal(err)
	}
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	return compact[:dot+1] + rawURL.EncodeToString([]byte(change(r, s)))
}

// An assertion of another kind: what a rejected one has in common with a good one does not help it.
func TestPrivateKeyJWTOtherTokens(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	c, other := e.keyed(t), e.basic(t)
	t.Run("an access token is no assertion", func(t *testing.T) {
		c.rejected(t, c.present(t, e.Token(t, other), "client_id="+c.id), "type")
	})
	t.Run("an assertion is no access token", func(t *testing.T) {
		compact := c.sign(t, nil, nil)
		e.Me(t, compact).Want(t, 401, "invalid_token")
		if e.Active(t, e.introspector(t), compact) {
			t.Error("an assertion is an active token")
		}
		granted(t, c.present(t, compact)) // and is not used up by that
	})
	t.Run("the public key as a secret", func(t *testing.T) {
		for _, secret := range publicForms(t, c.key) {
			c.rejected(t, c.present(t, symmetric(t, secret, servertest.AssertionClaims(c.id, c.Clock.Now(), nil))), "algorithm")
		}
	})
	t.Run("members twice", func(t *testing.T) {
		claims := `{"iss":"` + c.id + `","sub":"` + c.id + `","aud":"` + servertest.Issuer + `","exp":1,"jti":"x"}`
		header := `{"alg":"ES256","kid":"first"}`
		for _, member := range []string{`"sub":"` + c.id + `"`, `"aud":"` + servertest.Issuer + `"`, `"jti":"x"`, `"jti":"y"`, `"x":1,"x":1`} {
			c.rejected(t, c.present(t, c.key.SignText(t, header, claims[:len(claims)-1]+`,`+member+`}`), "client_id="+c.id), "malformed")
		}
		c.rejected(t, c.present(t, c.key.SignText(t, `{"alg":"none",`+header[1:], claims), "client_id="+c.id), "malformed")
	})
	t.Run("malformed, with the client's id and without", func(t *testing.T) {
		good := c.sign(t, nil, nil)
		parts := strings.Split(good, ".")
		for _, text := range []string{
			"x", "null.e30.x", parts[0] + "." + parts[1], good + ".x.x", " " + good, good + "\n", good + "=", "e30.bnVsbA.", "..", "\x00",
			rawURL.EncodeToString([]byte(strings.Repeat(`{"a":`, 2_000))) + ".e30.x",
		} {
			c.rejected(t, c.present(t, text, "client_id="+c.id), "malformed")
			c.rejected(t, c.present(t, text), "malformed")
		}
	})
}

// publicForms are the texts of a public key that a verifier may take for a secret (RFC 8725 §2.1).
func publicForms(t testing.TB, k servertest.Signer) [][]byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(servertest.JWKS(t, k)["keys"].([]any)[0])
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), der, raw, {}}
}

// symmetric signs claims by HS256.
func symmetric(t testing.TB, secret []byte, claims servertest.M) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	input := rawURL.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + rawURL.EncodeToString(payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + rawURL.EncodeToString(mac.Sum(nil))
}
