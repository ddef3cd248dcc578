package server_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func publicKeyForms(t *testing.T, key *ecdsa.PublicKey, jwk []byte) map[string][]byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return map[string][]byte{
		"PEM": []byte(text), "PEM with CRLF": []byte(strings.ReplaceAll(text, "\n", "\r\n")), "PEM without the last newline": []byte(strings.TrimSpace(text)),
		"DER": der, "JWK": jwk, "point": point, "empty": {},
	}
}

// claims are signed by the server's own key: even a stolen key creates no token that is active here.
func (f *forge) claims(t *testing.T) {
	now := f.s.Clock.Now().Unix()
	for what, claims := range map[string]any{
		"the very claims of a live token": f.claim, "empty": servertest.M{}, "an array": []any{}, "null": "null",
		"no exp": with(f.claim, servertest.M{"exp": nil}), "exp a string": with(f.claim, servertest.M{"exp": "9999999999"}),
		"exp negative": with(f.claim, servertest.M{"exp": -1}), "exp with a fraction": with(f.claim, servertest.M{"exp": float64(now) + 3600.5}),
		"exp in ms": with(f.claim, servertest.M{"exp": (now + 3600) * 1000}), "exp 2^63": `{"iss":"` + servertest.Issuer + `","exp":9223372036854775808}`,
		"exp 1e400": `{"iss":"` + servertest.Issuer + `","exp":1e400}`, "exp NaN": `{"iss":"` + servertest.Issuer + `","exp":NaN}`,
		"nbf ahead": with(f.claim, servertest.M{"nbf": now + 3600}), "iat ahead": with(f.claim, servertest.M{"iat": now + 3600}),
		"iat past exp": with(f.claim, servertest.M{"iat": now + 1e9}), "no aud": with(f.claim, servertest.M{"aud": nil}),
		"aud of numbers": with(f.claim, servertest.M{"aud": []any{1, 2}}), "aud empty": with(f.claim, servertest.M{"aud": []any{}}),
		"another aud": with(f.claim, servertest.M{"aud": "https://other.example.com"}), "no iss": with(f.claim, servertest.M{"iss": nil}),
		"iss with a slash": with(f.claim, servertest.M{"iss": servertest.Issuer + "/"}), "iss in capitals": with(f.claim, servertest.M{"iss": strings.ToUpper(servertest.Issuer)}),
		"iss with a user": with(f.claim, servertest.M{"iss": "https://auth.example.com@evil.example"}),
		"another client":  with(f.claim, servertest.M{"sub": f.rs.ID, "client_id": f.rs.ID}), "an unknown client": with(f.claim, servertest.M{"client_id": "nobody"}),
		"a client that none can be": with(f.claim, servertest.M{"client_id": "a\x00\n*{}"}), "client_id a number": with(f.claim, servertest.M{"client_id": 7}),
		"a client assertion": servertest.M{"iss": "victim", "sub": "victim", "aud": servertest.Issuer + "/oauth/token", "exp": now + 60, "jti": "x"},
		"a DPoP proof":       servertest.M{"htm": "POST", "htu": servertest.Issuer + "/oauth/token", "iat": now, "jti": "x"},
	} {
		f.refused(t, what, f.signed(t, claims))
	}
}

// spellings decode as the issued token in some decoders, and are other bytes.
func (f *forge) spellings(t *testing.T) {
	c := f.s.Register(t, servertest.M{"scope": "read mintkeep:admin", "audience": []string{servertest.Issuer}, "access_token_ttl": 86400})
	token := f.s.Token(t, c, "scope=read+mintkeep:admin")
	for what, other := range map[string]string{
		"padding": token + "=", "no signature": token[:strings.LastIndex(token, ".")+1], "the last character": token[:len(token)-1] + flipped(token[len(token)-1]),
		"a fourth part": token + ".", "another signature": token[:strings.LastIndex(token, ".")] + "." + f.parts[2], "in quotes": `"` + token + `"`,
		"Bearer": "Bearer " + token, "a comma": token + "," + token,
	} {
		f.refused(t, what, other)
	}
	if !f.s.Active(t, f.rs, token) {
		t.Error("the genuine token is inactive")
	}
}

// flipped is another character whose base64 differs in bits that carry nothing, where there are such.
func flipped(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

// TestForeignStringsAsTokens presents strings that mean something elsewhere.
func TestForeignStringsAsTokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		f := newForge(t, b)
		t.Run("internal names", func(t *testing.T) {
			names := append(b.Dump(t).Keys(), "*", "mk:*", "mk:c:victim", "mk:t:", "mk:audit", "mk:signing-keys", "session:*", "lock", "\x00", "[a-z]*", "client:victim")
			names = slices.DeleteFunc(names, func(s string) bool { return !strings.HasPrefix(s, "mk:") && len(s) > 30 })
			for _, name := range names {
				answer := f.s.Post(t, "/oauth/introspect", "token="+urlEscape(name), f.rs.Basic())
				if answer.Body != inactiveBody && answer.Status != http.StatusBadRequest { // 400: not UTF-8
					t.Errorf("%q: %d %s", name, answer.Status, answer.Body)
				}
			}
			for _, path := range []string{"/admin/clients/*", "/admin/clients/%00", "/admin/clients/victim%0a", "/admin/clients/vic*", "/admin/clients/..%2fvictim"} {
				f.s.Get(t, path, servertest.Bearer(f.s.AdminToken)).Want(t, http.StatusNotFound, "not_found")
			}
		})
		t.Run("other secrets as a bearer", func(t *testing.T) {
			c := f.s.Register(t, servertest.M{"scope": "read"})
			for what, other := range map[string]string{"a client secret": c.Secret, "an id": c.ID, "a new opaque token": credential.NewToken("mk")} {
				f.refused(t, what, other)
			}
		})
		t.Run("a token of a previous installation", func(t *testing.T) {
			again := servertest.M{"client_id": "reborn", "scope": "read", "client_secret": strings.Repeat("imported", 5)}
			old := f.s.Token(t, f.s.Register(t, again))
			b.Do("FLUSHALL")
			next := servertest.New(t, b) // the same master key, an empty store
			rs, _ := introspectors(t, next)
			c := next.Register(t, again)
			wantInactive(t, next, rs, old, "a token from before")
			b.Clock.Advance(time.Second)
			if !next.Active(t, rs, next.Token(t, c)) {
				t.Error("a new token is inactive")
			}
		})
	})
}

func urlEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString("%" + string("0123456789ABCDEF"[s[i]>>4]) + string("0123456789ABCDEF"[s[i]&15]))
	}
	return b.String()
}
