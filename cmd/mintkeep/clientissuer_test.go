package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// issuer is a Mintkeep with the clients of docs/clients.md. It can be made to answer with a token and keys of the test.
type issuer struct {
	URL      string
	environ  []string // the clients' secrets
	mintkeep http.Handler

	mu      sync.Mutex
	asked   map[string]bool // paths
	forged  []forged        // what the next programs get
	current *forged         // what the present one has got; nil: Mintkeep answers
	revoked bool
}

// forged is a token, and the key set that is published with it.
type forged struct {
	token string
	keys  jose.JSONWebKeySet
}

func startIssuer(t *testing.T) *issuer {
	front := httptest.NewUnstartedServer(nil)
	t.Cleanup(front.Close)
	iss := &issuer{URL: "http://" + front.Listener.Addr().String(), asked: map[string]bool{}}
	server := processtest.StartReady(t, "MINTKEEP_ISSUER="+iss.URL, "MINTKEEP_ADMIN_TOKEN="+processtest.AdminToken)
	behind, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	iss.mintkeep = httputil.NewSingleHostReverseProxy(behind)
	front.Config.Handler = iss
	front.Start()

	creation := exec.CommandContext(t.Context(), "sh", "-ec", blocks(text(t, "../../docs/clients.md"), "sh")[0])
	creation.Env = append(os.Environ(), "MINTKEEP_URL="+server.URL, "MINTKEEP_ADMIN_TOKEN="+processtest.AdminToken)
	out, err := creation.CombinedOutput()
	secrets := regexp.MustCompile(`mks_\w+`).FindAllString(string(out), -1)
	if err != nil || len(secrets) != 2 {
		t.Fatalf("the clients of docs/clients.md: %v\n%s", err, out)
	}
	iss.environ = append(os.Environ(), "MINTKEEP_CLIENT_SECRET="+secrets[0], "ORDERS_SECRET="+secrets[1])
	return iss
}

// run runs a program. The error has what it wrote to stderr.
func (iss *issuer) run(t *testing.T, command []string) (stdout string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = iss.environ
	out, err := cmd.Output()
	return string(out), stderr(err)
}

func (iss *issuer) wasAsked(path string) bool {
	iss.mu.Lock()
	defer iss.mu.Unlock()
	return iss.asked[path]
}

// forge makes it answer with these forgeries, the next one at each request for a token.
func (iss *issuer) forge(t *testing.T, names ...string) {
	t.Helper()
	iss.mu.Lock()
	defer iss.mu.Unlock()
	iss.forged = nil
	for _, name := range names {
		f := newForgery(t, iss.URL)
		forgeries[name](f)
		token, keys := f.sign(t)
		iss.forged = append(iss.forged, forged{token, keys})
	}
}

// unused is how many forgeries were not fetched.
func (iss *issuer) unused() int {
	iss.mu.Lock()
	defer iss.mu.Unlock()
	return len(iss.forged)
}

func (iss *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	iss.mu.Lock()
	defer iss.mu.Unlock()
	iss.asked[r.URL.Path] = true
	var answer any
	if r.URL.Path == "/oauth/token" && len(iss.forged) > 0 {
		iss.current, iss.forged, iss.revoked = &iss.forged[0], iss.forged[1:], false
	}
	switch {
	case iss.current == nil:
	case r.URL.Path == "/oauth/token":
		answer = map[string]any{"access_token": iss.current.token, "token_type": "bearer", "expires_in": 3600}
	case r.URL.Path == "/.well-known/jwks.json":
		answer = iss.current.keys
	case r.URL.Path == "/oauth/introspect":
		answer = map[string]any{"active": !iss.revoked, "client_id": "billing", "scope": "read", "aud": documentedAudience}
	case r.URL.Path == "/oauth/revoke":
		iss.revoked = true
		answer = map[string]any{}
	}
	if answer == nil {
		iss.mintkeep.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// forgery is a JWT before it is signed.
type forgery struct {
	algorithm jose.SignatureAlgorithm
	header    map[jose.HeaderKey]any
	claims    map[string]any
	key       crypto.Signer // it signs
	published []jose.JSONWebKey
}

// unchanged is the forgery that a program must accept.
const unchanged = "nothing is changed"

var forgeries = map[string]func(*forgery){
	unchanged:                 func(*forgery) {},
	"another type":            func(f *forgery) { f.header["typ"] = "JWT" },
	"no type":                 func(f *forgery) { delete(f.header, "typ") },
	"another issuer":          func(f *forgery) { f.claims["iss"] = "https://other.example" },
	"a slash behind":          func(f *forgery) { f.claims["iss"] = f.claims["iss"].(string) + "/" },
	"another audience":        func(f *forgery) { f.claims["aud"] = "https://other.example" },
	"no audience":             func(f *forgery) { delete(f.claims, "aud") },
	"it has expired":          func(f *forgery) { f.claims["exp"] = time.Now().Add(-time.Hour).Unix() },
	"it never expires":        func(f *forgery) { delete(f.claims, "exp") },
	"another scope":           func(f *forgery) { f.claims["scope"] = "write reader" },
	"no scope":                func(f *forgery) { delete(f.claims, "scope") },
	"a key with the same kid": func(f *forgery) { f.key = newECDSA() },
	"an unknown kid":          func(f *forgery) { f.header["kid"] = "unknown" },
	"no signature":            func(f *forgery) { f.algorithm = "none" },
	"another algorithm": func(f *forgery) {
		f.algorithm, f.key, f.header["kid"] = jose.RS256, testKeys().rsa, "of another algorithm"
	},
}

func newECDSA() crypto.Signer {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return key
}

// newForgery is what Mintkeep would issue, but for the key.
func newForgery(t *testing.T, iss string) *forgery {
	t.Helper()
	key, now := newECDSA(), time.Now()
	return &forgery{
		algorithm: jose.ES256, key: key,
		header: map[jose.HeaderKey]any{"typ": "at+jwt", "kid": "of the test"},
		claims: map[string]any{
			"iss": iss, "aud": documentedAudience, "sub": "billing", "client_id": "billing", "scope": "read", "jti": "1",
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		},
		published: []jose.JSONWebKey{
			{Key: key.Public(), KeyID: "of the test", Algorithm: "ES256", Use: "sig"},
			{Key: testKeys().rsa.Public(), KeyID: "of another algorithm", Algorithm: "RS256", Use: "sig"},
		},
	}
}

// sign is the token, and the key set that is published.
func (f *forgery) sign(t *testing.T) (token string, keys jose.JSONWebKeySet) {
	t.Helper()
	keys.Keys = f.published
	claims, err := json.Marshal(f.claims)
	if err != nil {
		t.Fatal(err)
	}
	if f.algorithm == "none" {
		header := maps.Clone(f.header)
		header["alg"] = "none"
		encoded, _ := json.Marshal(header)
		return base64.RawURLEncoding.EncodeToString(encoded) + "." + base64.RawURLEncoding.EncodeToString(claims) + ".", keys
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: f.algorithm, Key: f.key}, &jose.SignerOptions{ExtraHeaders: f.header})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(bytes.Clone(claims))
	if err != nil {
		t.Fatal(err)
	}
	if token, err = signed.CompactSerialize(); err != nil {
		t.Fatal(err)
	}
	return token, keys
}
