package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/jwks"
)

// testKeys are private keys of each kind, created once.
var testKeys = sync.OnceValue(func() (keys struct {
	ec, p384 *ecdsa.PrivateKey
	ed       ed25519.PrivateKey
	rsa      *rsa.PrivateKey
},
) {
	keys.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	keys.p384, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, keys.ed, _ = ed25519.GenerateKey(rand.Reader)
	keys.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	return keys
})

// pemOf is a block of PEM.
func pemOf(blockType string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}))
}

func pkcs8(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PRIVATE KEY", der)
}

func sec1(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("EC PRIVATE KEY", der)
}

func publicPEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PUBLIC KEY", der)
}

func jwkText(t *testing.T, jwk jose.JSONWebKey) string {
	t.Helper()
	text, err := json.Marshal(jwk)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// keyInFile writes a private key, and returns its path.
func keyInFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	save(t, path, content)
	return path
}

// metadataOf is a server that only says which issuer it is.
func metadataOf(t *testing.T, issuer string) (environ []string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/oauth-authorization-server" {
			t.Errorf("asked for %s", r.URL)
		}
		fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":"https://elsewhere.example/token"}`, issuer)
	}))
	t.Cleanup(server.Close)
	return []string{"MINTKEEP_URL=" + server.URL, "MINTKEEP_CLIENT_ID=billing"}
}

// TestAssertion reads every form of a key, and verifies what it signs.
func TestAssertion(t *testing.T) {
	keys := testKeys()
	ecDER, rsaDER := sec1(t, keys.ec), pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(keys.rsa))
	for name, tt := range map[string]struct {
		file      string
		args      []string
		key       crypto.Signer
		algorithm string
		kid       string // empty: the thumbprint
	}{
		"EC in PKCS 8":                  {file: pkcs8(t, keys.ec), key: keys.ec, algorithm: "ES256"},
		"EC in SEC 1":                   {file: ecDER, key: keys.ec, algorithm: "ES256"},
		"EC behind its parameters":      {file: pemOf("EC PARAMETERS", []byte("x")) + ecDER, key: keys.ec, algorithm: "ES256"},
		"EC behind its certificate":     {file: pemOf("CERTIFICATE", []byte("x")) + ecDER, key: keys.ec, algorithm: "ES256"},
		"EC as a JWK":                   {file: jwkText(t, jose.JSONWebKey{Key: keys.ec, KeyID: "2026-01"}), key: keys.ec, algorithm: "ES256", kid: "2026-01"},
		"EC as a set of one JWK":        {file: `{"keys":[` + jwkText(t, jose.JSONWebKey{Key: keys.ec}) + `]}`, key: keys.ec, algorithm: "ES256"},
		"Ed25519 in PKCS 8":             {file: pkcs8(t, keys.ed), key: keys.ed, algorithm: "EdDSA"},
		"Ed25519 as a JWK":              {file: jwkText(t, jose.JSONWebKey{Key: keys.ed, Use: "sig"}), key: keys.ed, algorithm: "EdDSA"},
		"RSA in PKCS 8":                 {file: pkcs8(t, keys.rsa), key: keys.rsa, algorithm: "PS256"},
		"RSA in PKCS 1":                 {file: rsaDER, key: keys.rsa, algorithm: "PS256"},
		"RSA in PKCS 1, RS256 by flag":  {file: rsaDER, args: []string{"--signing-alg=RS256"}, key: keys.rsa, algorithm: "RS256"},
		"RSA as a JWK, RS256 by itself": {file: jwkText(t, jose.JSONWebKey{Key: keys.rsa, Algorithm: "RS256"}), key: keys.rsa, algorithm: "RS256"},
	} {
		t.Run(name, func(t *testing.T) {
			environ, path := metadataOf(t, "https://auth.example.com"), keyInFile(t, tt.file)
			began := time.Now().Truncate(time.Second)
			got := mintkeep(t, environ, "", append([]string{"token", "--assertion-only", "--key-file", path}, tt.args...)...)
			if got.code != exitOK || got.stderr != "" {
				t.Fatalf("got %+v", got)
			}
			if tt.kid == "" {
				tt.kid, _ = jwks.Thumbprint(tt.key.Public())
			}
			checkAssertion(t, strings.TrimSuffix(got.stdout, "\n"), tt.key.Public(), tt.algorithm, tt.kid, began)
		})
	}
}

// checkAssertion verifies an assertion of billing for https://auth.example.com.
func checkAssertion(t *testing.T, assertion string, public crypto.PublicKey, algorithm, kid string, began time.Time) {
	t.Helper()
	jws, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(public)
	if err != nil {
		t.Fatal(err)
	}
	header := jws.Signatures[0].Header
	if header.KeyID != kid || header.ExtraHeaders[jose.HeaderType] != "client-authentication+jwt" || header.JSONWebKey != nil {
		t.Errorf("got the header %+v, want kid %s", header, kid)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	at, _ := claims["iat"].(float64)
	if issued := time.Unix(int64(at), 0); issued.Before(began) || issued.After(time.Now()) {
		t.Errorf("got iat %v", issued)
	}
	if id, _ := claims["jti"].(string); len(id) < 22 {
		t.Errorf("got jti %q, want a random one", id)
	}
	delete(claims, "jti")
	want := map[string]any{"iss": "billing", "sub": "billing", "aud": "https://auth.example.com", "iat": at, "nbf": at, "exp": at + 60}
	if d := cmp.Diff(want, claims); d != "" {
		t.Errorf("claims (-want +got):\n%s", d)
	}
}

// TestKeyFileRejected: what cannot be used as a key is an error of the command line, which says why and has nothing of the
// content.
func TestKeyFileRejected(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	ec := pkcs8(t, keys.ec)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	legacy := pem.EncodeToMemory(&pem.Block{
		Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("canary"),
	})
	public, _ := jwks.Thumbprint(keys.ec.Public())
	for name, tt := range map[string]struct {
		content string
		mode    os.FileMode
		args    []string
		want    string
	}{
		"every user can read it":      {content: ec, mode: 0o644, want: "KEY: other users of this machine have access to the private key (mode 0644): run chmod 600 KEY"},
		"its group can read it":       {content: ec, mode: 0o640, want: "(mode 0640): run chmod 600 KEY"},
		"encrypted in PKCS 8":         {content: pemOf("ENCRYPTED PRIVATE KEY", []byte("canary")), want: "the key is encrypted: write it without a password, with openssl pkey"},
		"encrypted in SEC 1":          {content: string(legacy), want: "the key is encrypted"},
		"a public key":                {content: publicPEM(t, keys.ec), want: "it has only the public half of the key: give the private half"},
		"a public key for all users":  {content: publicPEM(t, keys.ec), mode: 0o644, want: "it has only the public half of the key: give the private half"},
		"a certificate":               {content: pemOf("CERTIFICATE", []byte("canary")), want: "only the public half"},
		"a public JWK":                {content: jwkText(t, jose.JSONWebKey{Key: keys.ec.Public(), KeyID: public}), want: "only the public half"},
		"a symmetric JWK":             {content: `{"kty":"oct","k":"Y2FuYXJ5"}`, want: "the JWK is a symmetric key"},
		"a JWK for encryption":        {content: jwkText(t, jose.JSONWebKey{Key: keys.ec, Use: "enc"}), want: "its use is not sig"},
		"two JWKs":                    {content: `{"keys":[{},{}]}`, want: "the set has 2 keys: give a file with one"},
		"a JWK of an unknown type":    {content: `{"kty":"canary"}`, want: "it is not a valid JWK"},
		"broken JSON":                 {content: `{"canary`, want: "the JWK is not valid JSON"},
		"two keys in PEM":             {content: ec + ec, want: "it has more than one private key"},
		"broken DER":                  {content: pemOf("PRIVATE KEY", []byte("canary")), want: `it is not a valid "PRIVATE KEY"`},
		"a key of OpenSSH":            {content: pemOf("OPENSSH PRIVATE KEY", []byte("canary")), want: `the type "OPENSSH PRIVATE KEY" is not supported: convert the key to PKCS 8`},
		"P-384":                       {content: pkcs8(t, keys.p384), want: "the key must be EC P-256, Ed25519, or RSA of 2048 to 8192 bits"},
		"a small RSA key":             {content: pkcs8(t, small), want: "RSA of 2048 to 8192 bits"},
		"an algorithm of another key": {content: ec, args: []string{"--signing-alg=PS256"}, want: "the key is for ES256, not for PS256"},
		"another algorithm than the JWK has": {
			content: jwkText(t, jose.JSONWebKey{Key: keys.rsa, Algorithm: "PS256"}), args: []string{"--signing-alg=RS256"}, want: "the JWK is for PS256, not for RS256",
		},
		"a JWK with an algorithm of another type": {content: jwkText(t, jose.JSONWebKey{Key: keys.ec, Algorithm: "HS256"}), want: "the key is for ES256, not for HS256"},
		"text":        {content: "canary", want: "it is neither PEM nor a JWK"},
		"nothing":     {content: "\n", want: "the file is empty"},
		"too much":    {content: strings.Repeat("canary", 20_000), want: "larger than 64 KiB"},
		"with --post": {content: ec, args: []string{"--post"}, want: "--post is for a client with a secret"},
	} {
		t.Run(name, func(t *testing.T) {
			path := keyInFile(t, tt.content)
			if tt.mode != 0 {
				if err := os.Chmod(path, tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			for from, got := range map[string]result{
				"--key-file": mintkeep(t, []string{"MINTKEEP_CLIENT_ID=billing"}, "", append([]string{"token", "--key-file", path}, tt.args...)...),
				keyFile:      mintkeep(t, []string{"MINTKEEP_CLIENT_ID=billing", keyFile + "=" + path}, "", append([]string{"token"}, tt.args...)...),
			} {
				if want := strings.ReplaceAll(tt.want, "KEY:", path+":"); got.code != exitUsage || got.stdout != "" ||
					!strings.Contains(got.stderr, strings.ReplaceAll(want, "600 KEY", "600 "+path)) {
					t.Errorf("%s: got %+v, want %q", from, got, want)
				}
				if name != "with --post" && !strings.Contains(got.stderr, from+" "+path) {
					t.Errorf("got %q, want it to name %s and the file", got.stderr, from)
				}
				if strings.Contains(got.stderr, "canary") || strings.Contains(got.stderr, "MIG") {
					t.Errorf("got %q, want nothing of the file", got.stderr)
				}
			}
		})
	}
}

func TestKeyFileIsNoPath(t *testing.T) {
	key := pkcs8(t, testKeys().ec)
	for path, want := range map[string]string{
		"/nowhere/key": "--key-file /nowhere/key: no such file or directory",
		os.TempDir():   "is a directory",
		key:            "file name too long (the value is the path of a file, not its content)",
		"":             "--key-file needs the path of a file",
	} {
		got := mintkeep(t, []string{"MINTKEEP_CLIENT_ID=billing", "MINTKEEP_CLIENT_SECRET=s"}, "", "token", "--key-file="+path)
		if got.code != exitUsage || got.stdout != "" || path == key && strings.Contains(got.stderr, key[40:60]) {
			t.Errorf("%s: got %+v, want exit code %d", path, got, exitUsage)
		}
		if path != key && !strings.Contains(got.stderr, want) {
			t.Errorf("%s: got %q, want %q", path, got.stderr, want)
		}
	}
}

// A key in the place of a path is not repeated, in whatever form, by whatever says that it is none.
func TestKeyInPlaceOfAPath(t *testing.T) {
	key := pkcs8(t, testKeys().ec)
	block, _ := pem.Decode([]byte(key))
	for name, value := range map[string]string{
		"PEM":        key,
		"PEM base64": base64.StdEncoding.EncodeToString([]byte(key)),
		"DER base64": base64.StdEncoding.EncodeToString(block.Bytes),
		"JWK base64": base64.RawURLEncoding.EncodeToString([]byte(`{"kty":"EC","crv":"P-256","d":"` + strings.Repeat("A", 43) + `"}`)),
	} {
		for _, args := range [][]string{
			{"token", "--id", "billing", "--key-file", value},
			{"token", "--id", "billing", "--key-file=" + value},
			{"client", "create", "--id", "billing", "--jwks-file", value},
		} {
			got := mintkeep(t, []string{"MINTKEEP_URL=http://127.0.0.1:1"}, "", args...)
			if got.code != exitUsage || strings.Contains(got.stderr, value[40:60]) || strings.Contains(got.stderr, fmt.Sprintf("%.60q", value)) {
				t.Errorf("%s, %.60q: got %+v", name, args, got)
			}
		}
	}
}
