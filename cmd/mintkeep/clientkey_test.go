package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
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
				tt.kid, _ = thumbprint(tt.key.Public())
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
	keys := testKeys()
	ec := pkcs8(t, keys.ec)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	legacy := pem.EncodeToMemory(&pem.Block{
		Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("canary"),
	})
	public, _ := thumbprint(keys.ec.Public())
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
		"P-384":                       {content: pkcs8(t, keys.p384), want: "the key must be EC P-256, Ed25519, or RSA of at least 2048 bits"},
		"a small RSA key":             {content: pkcs8(t, small), want: "RSA of at least 2048 bits"},
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

// assertions is a token endpoint that notes each assertion, and answers with these statuses in turn, then with a token.
type assertions struct {
	*httptest.Server

	statuses []int
	header   http.Header // of the answers that are no token

	presented []string
	metadata  int // how often they were asked for
}

func newAssertions(t *testing.T, statuses ...int) *assertions {
	t.Helper()
	a := &assertions{statuses: statuses, header: http.Header{"Retry-After": {"0"}}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/oauth-authorization-server" {
			a.metadata++
			_, _ = io.WriteString(w, `{"issuer":"https://auth.example.com"}`)
			return
		}
		a.presented = append(a.presented, r.FormValue("client_assertion"))
		form := r.PostForm
		if r.Header.Get("Authorization") != "" || form.Get("client_secret") != "" || form.Get("grant_type") != "client_credentials" ||
			form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			t.Errorf("got %v with %v", r.Header, form)
		}
		if n := len(a.presented); n <= len(a.statuses) {
			for name, values := range a.header {
				w.Header()[name] = values
			}
			w.WriteHeader(a.statuses[n-1])
			_, _ = io.WriteString(w, `{"error":"x","error_description":"Try again"}`)
			return
		}
		_, _ = io.WriteString(w, issued("mkt_abc"))
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *assertions) environ() []string {
	return []string{"MINTKEEP_URL=" + a.URL, "MINTKEEP_CLIENT_ID=billing"}
}

// TestTokenRetries: after a 503 the assertion is another one, and the metadata are not asked for again.
func TestTokenRetries(t *testing.T) {
	path := keyInFile(t, pkcs8(t, testKeys().ec))
	for name, tt := range map[string]struct {
		statuses []int
		header   http.Header
		requests int
		want     result
	}{
		"at once":                        {nil, nil, 1, result{stdout: "mkt_abc\n"}},
		"after two 503":                  {[]int{503, 503}, nil, 3, result{stdout: "mkt_abc\n"}},
		"never":                          {[]int{503, 503, 503, 503}, nil, 3, result{code: exitFailed, stderr: "mintkeep: Try again (503 x)\n"}},
		"not after a 503 without a time": {[]int{503}, http.Header{}, 1, result{code: exitFailed, stderr: "mintkeep: Try again (503 x)\n"}},
		"not after a 401":                {[]int{401}, nil, 1, result{code: exitFailed, stderr: "mintkeep: Try again (401 x)\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := newAssertions(t, tt.statuses...)
			if tt.header != nil {
				server.header = tt.header
			}
			got := mintkeep(t, server.environ(), "", "token", "--key-file", path)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); d != "" {
				t.Errorf("result (-want +got):\n%s", d)
			}
			if len(server.presented) != tt.requests || server.metadata != 1 {
				t.Errorf("got %d requests and %d for the metadata, want %d and 1", len(server.presented), server.metadata, tt.requests)
			}
			known := map[string]bool{}
			for _, assertion := range server.presented {
				if known[assertion] {
					t.Error("an assertion was sent twice")
				}
				known[assertion] = true
			}
		})
	}
}

// TestTokenClock: the server does not say why it rejects an assertion. A wrong clock is a cause that this side can see.
func TestTokenClock(t *testing.T) {
	path := keyInFile(t, pkcs8(t, testKeys().ec))
	for ahead, want := range map[time.Duration]string{
		0:                 "Try again (401 x)\n",
		95 * time.Second:  "Try again (401 x); the clock of this machine is 1m35s ahead of the server's\n",
		-95 * time.Second: "Try again (401 x); the clock of this machine is 1m35s behind the server's\n",
	} {
		server := newAssertions(t, 401)
		now := time.Now().Truncate(time.Second)
		server.header = http.Header{"Date": {now.UTC().Format(http.TimeFormat)}}
		clock := func() time.Time { return now.Add(ahead) }
		got := mintkeepAt(t, clock, server.environ(), "", "token", "--key-file", path)
		if got.code != exitFailed || got.stderr != "mintkeep: "+want {
			t.Errorf("%v ahead: got %+v, want %q", ahead, got, want)
		}
	}
}

// TestTokenIdentity: a flag wins, two in the environment are an error that names both, and -v says which was used.
func TestTokenIdentity(t *testing.T) {
	path, other := keyInFile(t, pkcs8(t, testKeys().ec)), keyInFile(t, pkcs8(t, testKeys().ed))
	secretFile := keyInFile(t, "s")
	kid, _ := thumbprint(testKeys().ec.Public())
	byKey := "mintkeep: authenticates as client billing by the key of %s: " + path + ", ES256, kid " + kid + "\n"
	for name, tt := range map[string]struct {
		environ []string
		args    []string
		want    result
	}{
		"a flag":                   {nil, []string{"--key-file", path}, result{stderr: fmt.Sprintf(byKey, "--key-file")}},
		"a variable":               {[]string{keyFile + "=" + path}, nil, result{stderr: fmt.Sprintf(byKey, keyFile)}},
		"a flag and another key":   {[]string{keyFile + "=" + other}, []string{"--key-file", path}, result{stderr: fmt.Sprintf(byKey, "--key-file")}},
		"a flag and a secret":      {[]string{"MINTKEEP_CLIENT_SECRET=s"}, []string{"--key-file", path}, result{stderr: fmt.Sprintf(byKey, "--key-file")}},
		"a secret":                 {[]string{"MINTKEEP_CLIENT_SECRET=s"}, nil, result{stderr: "mintkeep: authenticates as client billing by the secret of MINTKEEP_CLIENT_SECRET\n"}},
		"a secret in a file":       {[]string{"MINTKEEP_CLIENT_SECRET_FILE=" + secretFile}, nil, result{stderr: "mintkeep: authenticates as client billing by the secret of MINTKEEP_CLIENT_SECRET_FILE\n"}},
		"another client by a flag": {[]string{"MINTKEEP_CLIENT_SECRET=s"}, []string{"--id=orders"}, result{stderr: "mintkeep: authenticates as client orders by the secret of MINTKEEP_CLIENT_SECRET\n"}},
		"two variables": {[]string{keyFile + "=" + path, "MINTKEEP_CLIENT_SECRET=s"}, nil, result{code: exitUsage, stderr: "mintkeep: the configuration has an error:\n" +
			"  MINTKEEP_CLIENT_KEY_FILE and MINTKEEP_CLIENT_SECRET are both set: unset one, or choose the key with --key-file\n"}},
		"two variables, both of files": {[]string{keyFile + "=" + path, "MINTKEEP_CLIENT_SECRET_FILE=" + secretFile}, nil, result{code: exitUsage, stderr: "mintkeep: the configuration has an error:\n" +
			"  MINTKEEP_CLIENT_KEY_FILE and MINTKEEP_CLIENT_SECRET_FILE are both set: unset one, or choose the key with --key-file\n"}},
		"none": {nil, nil, result{code: exitUsage, stderr: "mintkeep: the configuration has an error:\n" +
			"  MINTKEEP_CLIENT_SECRET is required, or MINTKEEP_CLIENT_SECRET_FILE, or MINTKEEP_CLIENT_KEY_FILE, or --key-file; example: MINTKEEP_CLIENT_SECRET=\"$(cat client-secret)\"\n"}},
		"an algorithm for a secret": {[]string{"MINTKEEP_CLIENT_SECRET=s"}, []string{"--signing-alg=ES256"}, result{code: exitUsage, stderr: "mintkeep: the configuration has an error:\n" +
			"  --signing-alg is for a client with a key: give --key-file\n"}},
		"an assertion by a secret": {[]string{"MINTKEEP_CLIENT_SECRET=s"}, []string{"--assertion-only"}, result{code: exitUsage, stderr: "mintkeep: --assertion-only is for a client with a key: give --key-file\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/.well-known/") {
					_, _ = io.WriteString(w, `{"issuer":"https://auth.example.com"}`)
					return
				}
				_, _ = io.WriteString(w, issued("mkt_abc"))
			}))
			t.Cleanup(server.Close)
			if tt.want.code == exitOK {
				tt.want.stdout = "mkt_abc\n"
			}
			environ := append([]string{"MINTKEEP_URL=" + server.URL, "MINTKEEP_CLIENT_ID=billing"}, tt.environ...)
			got := mintkeep(t, environ, "", append([]string{"token", "-v"}, tt.args...)...)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); d != "" {
				t.Errorf("result (-want +got):\n%s", d)
			}
		})
	}
}

// TestTokenWithoutIssuer: no assertion goes to a server that does not say who it is.
func TestTokenWithoutIssuer(t *testing.T) {
	path := keyInFile(t, pkcs8(t, testKeys().ec))
	for answer, want := range map[string]string{
		`{}`:                   "the metadata have no issuer: is MINTKEEP_URL the address of Mintkeep?",
		`{"issuer":7}`:         "the metadata have no issuer: is MINTKEEP_URL the address of Mintkeep?",
		`{"issuer":"billing"}`: "the metadata have no issuer: is MINTKEEP_URL the address of Mintkeep?",
		`<html>`:               "the answer is not JSON: is MINTKEEP_URL the address of Mintkeep?",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				t.Errorf("got %s %s", r.Method, r.URL)
			}
			_, _ = io.WriteString(w, answer)
		}))
		t.Cleanup(server.Close)
		got := mintkeep(t, []string{"MINTKEEP_URL=" + server.URL}, "", "token", "--id=billing", "--key-file", path)
		if want := (result{code: exitFailed, stderr: "mintkeep: " + want + "\n"}); got != want {
			t.Errorf("%s: got %+v, want %+v", answer, got, want)
		}
	}
}

// TestIntrospectByKey: introspection takes the same credentials, and a new assertion each time.
func TestIntrospectByKey(t *testing.T) {
	var presented []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			_, _ = io.WriteString(w, `{"issuer":"https://auth.example.com"}`)
			return
		}
		presented = append(presented, r.FormValue("client_assertion"))
		_, _ = io.WriteString(w, `{"active":true}`)
	}))
	t.Cleanup(server.Close)
	key := testKeys().ec
	environ := []string{"MINTKEEP_URL=" + server.URL, keyFile + "=" + keyInFile(t, pkcs8(t, key)), "MINTKEEP_TOKEN=x"}
	began := time.Now().Truncate(time.Second)
	for range 2 {
		if got := mintkeep(t, environ, "", "introspect", "--id=billing"); got.code != exitOK {
			t.Fatalf("got %+v", got)
		}
	}
	kid, _ := thumbprint(key.Public())
	for _, assertion := range presented {
		checkAssertion(t, assertion, key.Public(), "ES256", kid, began)
	}
	if len(presented) != 2 || presented[0] == presented[1] {
		t.Errorf("got %q, want two assertions", presented)
	}
}
