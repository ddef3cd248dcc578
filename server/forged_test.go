package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// forge has what an attacker can lay hands on: a token, its claims, and the published key.
type forge struct {
	s             *servertest.Server
	rs            servertest.Client
	header, claim servertest.M
	parts         []string // of the genuine token
	jwk           []byte
}

func newForge(t *testing.T, b *storetest.Backend) *forge {
	t.Helper()
	s := servertest.New(t, b)
	rs, _ := introspectors(t, s)
	c := s.Register(t, servertest.M{"client_id": "victim", "scope": "read write mintkeep:admin", "audience": []string{servertest.Issuer}})
	token := s.Token(t, c, "scope=read+mintkeep:admin")
	f := &forge{s: s, rs: rs, header: jwtPart(t, token, 0), claim: jwtPart(t, token, 1), parts: strings.Split(token, ".")}
	if !s.Active(t, rs, token) {
		t.Fatal("the genuine token never lived")
	}
	s.Get(t, "/admin/clients", servertest.Bearer(token)).Want(t, http.StatusOK, "") // nor at /admin
	s.Me(t, token).Want(t, http.StatusOK, "")
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal([]byte(s.Get(t, jwksPath).Body), &set); err != nil {
		t.Fatal(err)
	}
	f.jwk = set.Keys[0]
	return f
}

func encode(t *testing.T, v any) string {
	t.Helper()
	raw, ok := v.(string)
	if !ok {
		marshalled, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		raw = string(marshalled)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(raw))
}

// with is m with other members; nil takes one away.
func with(m servertest.M, change servertest.M) servertest.M {
	m = maps.Clone(m)
	for name, value := range change {
		if m[name] = value; value == nil {
			delete(m, name)
		}
	}
	return m
}

// refused presents a token at every endpoint that takes one.
func (f *forge) refused(t *testing.T, what, token string) {
	t.Helper()
	wantInactive(t, f.s, f.rs, token, what)
	if strings.ContainsAny(token, "\x00\r\n") { // not to be had in a header
		return
	}
	f.s.Clock.Advance(time.Minute) // so that it is rejected for what it is, not for the number before it
	f.s.Get(t, "/admin/clients", servertest.Bearer(token)).Want(t, http.StatusUnauthorized, "invalid_token")
	challenged(t, f.s.Me(t, token), http.StatusUnauthorized, "invalid_token", invalidToken)
}

// signed is a token with the server's own, true signature, that it never issued.
func (f *forge) signed(t *testing.T, claims any) string {
	t.Helper()
	raw, err := json.Marshal(claims)
	if text, ok := claims.(string); ok {
		raw = []byte(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	token, err := f.s.Ring.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestForgedTokens: a token is valid by its record, so each forged one must be rejected, even with a true signature.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	f := newForge(t, storetest.Embedded(t))
	// The tokens expire in hours here, since the clock moves between the attempts.
	f.claim = with(f.claim, servertest.M{"exp": f.s.Clock.Now().Add(100 * time.Hour).Unix()})

	t.Run("no algorithm", func(t *testing.T) {
		for _, header := range []any{
			with(f.header, servertest.M{"alg": "none"}), with(f.header, servertest.M{"alg": "None"}), with(f.header, servertest.M{"alg": "NONE"}),
			with(f.header, servertest.M{"alg": "nOnE"}), with(f.header, servertest.M{"alg": ""}), with(f.header, servertest.M{"alg": nil}),
			with(f.header, servertest.M{"alg": []any{}}), with(f.header, servertest.M{"alg": servertest.M{}}), `{"alg":null,"typ":"at+jwt"}`, "{}", "", "null", "[]",
		} {
			for _, end := range []string{"", ".", "." + f.parts[2]} {
				f.refused(t, fmt.Sprint(header, end != ""), encode(t, header)+"."+encode(t, f.claim)+end)
				f.refused(t, "with the genuine payload", encode(t, header)+"."+f.parts[1]+end)
			}
		}
	})
	t.Run("the public key as an HMAC secret", func(t *testing.T) {
		for what, key := range f.publicKeyAsBytes(t) {
			head := encode(t, with(f.header, servertest.M{"alg": "HS256"})) + "." + encode(t, f.claim)
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(head))
			f.refused(t, what, head+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
		}
	})
	t.Run("hostile kid", func(t *testing.T) {
		for _, kid := range []any{
			"' OR 1=1 --", "../../../../dev/null", "http://127.0.0.1:1/k", strings.Repeat("k", 4<<10), "\x00\x1b\n", 7, []any{"a"}, servertest.M{}, "retired",
		} {
			f.refused(t, fmt.Sprintf("%.20v", kid), encode(t, with(f.header, servertest.M{"kid": kid}))+"."+encode(t, f.claim)+"."+f.parts[2])
		}
		f.refused(t, "null", encode(t, `{"alg":"ES256","typ":"at+jwt","kid":null}`)+"."+encode(t, f.claim)+"."+f.parts[2])
	})
	t.Run("the attacker's own key", func(t *testing.T) { f.ownKey(t) })
	t.Run("JWE, bombs, nesting", func(t *testing.T) {
		nested := f.signed(t, f.claim)
		for range 20 {
			nested = encode(t, with(f.header, servertest.M{"cty": "JWT"})) + "." + encode(t, `"`+nested+`"`) + ".x"
			if len(nested) > 30<<10 {
				break
			}
		}
		for what, token := range map[string]string{
			"crit":     encode(t, with(f.header, servertest.M{"crit": []string{"x"}, "x": 1})) + "." + f.parts[1] + "." + f.parts[2],
			"b64":      encode(t, with(f.header, servertest.M{"b64": false, "crit": []string{"b64"}})) + "." + string(f.jwk[:1]) + "." + f.parts[2],
			"zip":      encode(t, with(f.header, servertest.M{"zip": "DEF"})) + "." + f.parts[1] + "." + f.parts[2],
			"PBES2":    encode(t, servertest.M{"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": "AAAA", "p2c": 1000000000}) + ".AAAA.AAAA.AAAA.AAAA",
			"dir":      encode(t, servertest.M{"alg": "dir", "enc": "A128GCM"}) + "..AAAA.AAAA.AAAA",
			"JSON JWS": `{"payload":"` + f.parts[1] + `","protected":"` + f.parts[0] + `","signature":"` + f.parts[2] + `"}`,
			"nested":   nested,
		} {
			began := time.Now()
			f.refused(t, what, token)
			if took := time.Since(began); took > 30*time.Second { // a PBES2 of this cost takes minutes
				t.Errorf("%s took %v", what, took)
			}
		}
	})
	t.Run("a true signature over claims that were never issued", func(t *testing.T) { f.claims(t) })
	t.Run("a changed header", func(t *testing.T) {
		for _, typ := range []any{"JWT", "dpop+jwt", "application/at+jwt", "at+JWT", nil, "client-authentication+jwt"} {
			f.refused(t, fmt.Sprint(typ), encode(t, with(f.header, servertest.M{"typ": typ}))+"."+f.parts[1]+"."+f.parts[2])
		}
	})
	t.Run("another spelling of the genuine token", func(t *testing.T) { f.spellings(t) })
	t.Run("large tokens", func(t *testing.T) {
		f.s.Post(t, "/oauth/introspect", "token="+strings.Repeat("x", 1<<20), f.rs.Basic()).Want(t, http.StatusRequestEntityTooLarge, "invalid_request")
		f.s.Post(t, "/oauth/introspect", "token="+strings.Repeat(".", 1_000_000), f.rs.Basic()).Want(t, http.StatusRequestEntityTooLarge, "invalid_request")
		wantInactive(t, f.s, f.rs, strings.Repeat(".", 60<<10), "dots")
		wantInactive(t, f.s, f.rs, f.parts[0]+"."+strings.Repeat("A", 60<<10)+"."+f.parts[2], "a payload")
		f.refused(t, "deep JSON", f.parts[0]+"."+encode(t, strings.Repeat("[", 5000))+"."+f.parts[2])
	})
}

// publicKeyAsBytes is every form in which a careless verifier might take the public key for a secret.
func (f *forge) publicKeyAsBytes(t *testing.T) map[string][]byte {
	t.Helper()
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(f.jwk); err != nil {
		t.Fatal(err)
	}
	return publicKeyForms(t, key.Key.(*ecdsa.PublicKey), f.jwk)
}

// ownKey signs with a key of the attacker's and points to it in every way that there is.
func (f *forge) ownKey(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var seen atomic.Int32
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			seen.Add(1)
			_ = c.Close()
		}
	}()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(f.claim)
	if err != nil {
		t.Fatal(err)
	}
	lure := "http://" + listener.Addr().String() + "/keys"
	jwk := jose.JSONWebKey{Key: key.Public(), KeyID: f.header["kid"].(string), Algorithm: "ES256", Use: "sig"}
	for _, extra := range []servertest.M{
		{}, {"jku": lure}, {"x5u": lure}, {"jwk": jwk}, {"x5c": []string{base64.StdEncoding.EncodeToString([]byte("not a certificate"))}},
	} {
		options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", f.header["kid"])
		for name, value := range extra {
			options = options.WithHeader(jose.HeaderKey(name), value)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		f.refused(t, fmt.Sprint(extra), token)
	}
	_ = listener.Close()
	if n := seen.Load(); n > 0 {
		t.Errorf("the server called the attacker %d times", n)
	}
}
