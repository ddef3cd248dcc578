package server_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// keyed is a client that authenticates by private_key_jwt.
type keyed struct {
	tokenEndpoint
	id  string
	key servertest.Signer
}

// keyed registers one with an ES256 key, or with these.
func (e tokenEndpoint) keyed(t testing.TB, pairs ...servertest.Signer) keyed {
	t.Helper()
	if len(pairs) == 0 {
		pairs = []servertest.Signer{servertest.NewSigner(t, "first", "ES256")}
	}
	c := keyed{e, e.basic(t).ID, pairs[0]}
	c.register(t, func(m *store.ClientMetadata) { m.AuthMethod = "private_key_jwt" }, pairs...)
	return c
}

// register gives the client these keys, and changes its metadata.
func (c keyed) register(t testing.TB, change func(*store.ClientMetadata), pairs ...servertest.Signer) {
	t.Helper()
	var canonical json.RawMessage
	if len(pairs) > 0 {
		raw, err := json.Marshal(servertest.JWKS(t, pairs...))
		if err == nil {
			canonical, _, err = jwks.ParseRegistered(raw)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.Store.UpdateClient(t.Context(), c.id, store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
		m.JWKS = canonical
		change(m)
		return false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func keysAlone(*store.ClientMetadata) {}

// sign makes an assertion of the client; header and claims change a good one.
func (c keyed) sign(t testing.TB, header, claims servertest.M) string {
	t.Helper()
	compact := c.key.Sign(t, header, servertest.AssertionClaims(c.id, c.Clock.Now(), claims))
	c.Secret(compact)
	return compact
}

// present asks for a token by an assertion.
func (c keyed) present(t testing.TB, compact string, parameters ...string) servertest.Response {
	t.Helper()
	return c.send(t, strings.Join(append([]string{grantCC, servertest.AssertionForm(compact)}, parameters...), "&"))
}

// rejected holds an answer to the documented 401, byte for byte, and the audit log to the reason.
func (c keyed) rejected(t testing.TB, answer servertest.Response, reason string) {
	t.Helper()
	refused(t, answer, 401, "invalid_client")
	if strings.TrimSpace(answer.Body) != invalidClient {
		t.Errorf("the answer tells more: %s", answer.Body)
	}
	if answer.Header.Get("WWW-Authenticate") != `Basic realm="mintkeep"` {
		t.Errorf("WWW-Authenticate is %q", answer.Header.Get("WWW-Authenticate"))
	}
	events, _, err := c.Store.Events(t.Context(), store.EventFilter{Refusals: true, Limit: 1})
	if err != nil || len(events) != 1 || events[0].Action != "client.refused" || events[0].Detail["reason"] != reason {
		t.Errorf("the audit log has %v, %v, want the reason %s", events, err, reason)
	}
	c.Clock.Advance(time.Minute) // so that the failures of one test are not too many
}

// otherwise is a name of a case, with what it changes of a good assertion.
type otherwise struct {
	name           string
	header, claims servertest.M
	reason         string // of its rejection; empty: it is accepted
}

func TestPrivateKeyJWTClaims(t *testing.T) {
	c := newTokenEndpoint(t, storetest.Embedded(t)).keyed(t)
	type M = servertest.M
	for _, tt := range []otherwise{
		{name: "a good one"},
		{name: "an audience in an array", claims: M{"aud": []string{servertest.Issuer}}},
		{name: "the issuer and a slash", claims: M{"aud": servertest.Issuer + "/"}},
		{name: "the issuer and a slash, in an array", claims: M{"aud": []string{servertest.Issuer + "/"}}},
		{name: "a jti of 256 bytes", claims: M{"jti": strings.Repeat("é", 128)}},
		{name: "unknown claims", claims: M{"scope": "mintkeep:admin", "client_id": "other"}},
		{name: "no typ", header: M{"typ": nil}},
		{name: "typ JOSE", header: M{"typ": "jose"}},
		{name: "the typ of an assertion", header: M{"typ": "client-authentication+jwt"}},
		{name: "the typ of an assertion as a media type", header: M{"typ": "Application/Client-Authentication+JWT"}},
		{name: "no kid, and one key", header: M{"kid": nil}},
		{name: "keys that the header brings along", header: M{"jwk": 7, "jku": "http://127.0.0.1:1/", "x5u": []int{}, "x5c": "x"}},

		{name: "sub missing", claims: M{"sub": nil}, reason: "subject"},
		{name: "sub of another client", claims: M{"sub": "other"}, reason: "subject"},
		{name: "sub that is a number", claims: M{"sub": 7}, reason: "subject"},
		{name: "iss missing", claims: M{"iss": nil}, reason: "issuer"},
		{name: "iss of another client", claims: M{"iss": "other"}, reason: "issuer"},
		{name: "iss that is this server", claims: M{"iss": servertest.Issuer}, reason: "issuer"},
		{name: "aud missing", claims: M{"aud": nil}, reason: "audience"},
		{name: "aud empty", claims: M{"aud": ""}, reason: "audience"},
		{name: "aud an empty array", claims: M{"aud": []string{}}, reason: "audience"},
		{name: "aud a number", claims: M{"aud": 7}, reason: "audience"},
		{name: "aud with a number", claims: M{"aud": []any{servertest.Issuer, 7}}, reason: "audience"},
		{name: "another server", claims: M{"aud": "https://other.example"}, reason: "audience"},
		{name: "the token endpoint", claims: M{"aud": servertest.Issuer + "/oauth/token"}, reason: "audience"},
		{name: "the issuer beside another", claims: M{"aud": []string{servertest.Issuer, "x"}}, reason: "audience"},
		{name: "the issuer twice", claims: M{"aud": []string{servertest.Issuer, servertest.Issuer}}, reason: "audience"},
		{name: "the issuer in capitals", claims: M{"aud": "https://AUTH.example.com"}, reason: "audience"},
		{name: "the issuer with its port", claims: M{"aud": servertest.Issuer + ":443"}, reason: "audience"},
		{name: "the issuer and two slashes", claims: M{"aud": servertest.Issuer + "//"}, reason: "audience"},
		{name: "the issuer and a path", claims: M{"aud": servertest.Issuer + "/oauth"}, reason: "audience"},
		{name: "the issuer and a space", claims: M{"aud": servertest.Issuer + " "}, reason: "audience"},
		{name: "the issuer over http", claims: M{"aud": "http://auth.example.com"}, reason: "audience"},
		{name: "a server whose name begins with ours", claims: M{"aud": servertest.Issuer + ".evil"}, reason: "audience"},
		{name: "jti missing", claims: M{"jti": nil}, reason: "jti"},
		{name: "jti empty", claims: M{"jti": ""}, reason: "jti"},
		{name: "jti a number", claims: M{"jti": 7}, reason: "jti"},
		{name: "a jti of 257 bytes", claims: M{"jti": strings.Repeat("x", 257)}, reason: "jti"},
		{name: "a jti of 10 kB", claims: M{"jti": strings.Repeat("x", 10_000)}, reason: "jti"},

		{name: "the typ of an access token", header: M{"typ": "at+jwt"}, reason: "type"},
		{name: "the typ of a proof", header: M{"typ": "dpop+jwt"}, reason: "type"},
		{name: "the typ of a security event", header: M{"typ": "secevent+jwt"}, reason: "type"},
		{name: "typ a number", header: M{"typ": 7}, reason: "type"},
		{name: "typ null", header: M{"typ": json.RawMessage("null")}, reason: "type"},
		{name: "typ an array", header: M{"typ": []string{}}, reason: "type"},
		{name: "alg none", header: M{"alg": "none"}, reason: "algorithm"},
		{name: "alg None", header: M{"alg": "None"}, reason: "algorithm"},
		{name: "alg nOnE", header: M{"alg": "nOnE"}, reason: "algorithm"},
		{name: "alg empty", header: M{"alg": ""}, reason: "algorithm"},
		{name: "alg missing", header: M{"alg": nil}, reason: "algorithm"},
		{name: "alg null", header: M{"alg": json.RawMessage("null")}, reason: "algorithm"},
		{name: "alg a number", header: M{"alg": 1}, reason: "algorithm"},
		{name: "alg ES256K", header: M{"alg": "ES256K"}, reason: "algorithm"},
		{name: "alg Ed25519", header: M{"alg": "Ed25519"}, reason: "algorithm"},
		{name: "alg RSA1_5", header: M{"alg": "RSA1_5"}, reason: "algorithm"},
		{name: "alg HS256", header: M{"alg": "HS256"}, reason: "algorithm"},
		{name: "alg RS256 with an EC key", header: M{"alg": "RS256"}, reason: "algorithm"},
		{name: "a kid that is unknown", header: M{"kid": "other"}, reason: "key_unknown"},
		{name: "a kid that is a path", header: M{"kid": "../../etc/passwd"}, reason: "key_unknown"},
		{name: "a kid that is SQL", header: M{"kid": "' OR 1=1"}, reason: "key_unknown"},
		{name: "a kid of 8 kB", header: M{"kid": strings.Repeat("x", 8_000)}, reason: "key_unknown"},
		{name: "a kid that is empty", header: M{"kid": ""}, reason: "key_unknown"},
		{name: "a kid that is a number", header: M{"kid": 7}, reason: "key_unknown"},
		{name: "a kid that is null", header: M{"kid": json.RawMessage("null")}, reason: "key_unknown"},
		{name: "crit", header: M{"crit": []string{"foo"}}, reason: "malformed"},
		{name: "b64", header: M{"b64": false}, reason: "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer := c.present(t, c.sign(t, tt.header, tt.claims), "client_id="+c.id)
			if tt.reason == "" {
				granted(t, answer)
				return
			}
			c.rejected(t, answer, tt.reason)
		})
	}
}

// The clock of a client may be 30 s before or behind. An assertion works until exp, and at most for 5 minutes after iat.
func TestPrivateKeyJWTTimes(t *testing.T) {
	c := newTokenEndpoint(t, storetest.Embedded(t)).keyed(t)
	const year, none = 365 * 24 * 3600, -1 << 40
	for _, tt := range []struct {
		name          string
		iat, nbf, exp int64 // seconds from now on
		reason        string
	}{
		{"as the documentation has it", 0, 0, 60, ""},
		{"an hour, sent at once", 0, none, 3600, ""},
		{"an hour and a second", 0, none, 3601, "too_long"},
		{"a year", 0, none, year, "too_long"},
		{"a year old", -year, none, 60, "too_long"},
		{"10 years ahead", 0, none, 10 * year, "too_long"},
		{"an hour, sent after 6 minutes", -360, none, 3240, "expired"},
		{"an hour, sent after 5 minutes and 29 seconds", -329, none, 3271, ""},
		{"an hour, sent after 5 minutes and 30 seconds", -330, none, 3270, "expired"},
		{"past by 29 seconds", -89, none, -29, ""},
		{"past by 30 seconds", -90, none, -30, "expired"},
		{"past by 5 minutes", -360, none, -300, "expired"},
		{"exp missing", 0, none, none, "expired"},
		{"exp before iat", 20, none, 10, "expired"},
		{"8 seconds ahead", 8, 8, 68, ""},
		{"iat 30 seconds ahead", 30, none, 90, ""},
		{"iat 31 seconds ahead", 31, none, 91, "not_yet"},
		{"nbf 31 seconds ahead", 0, 31, 90, "not_yet"},
		{"iat 61 seconds ahead", 61, none, 120, "not_yet"},
		{"without iat, 250 seconds", none, none, 250, ""},
		{"without iat, 330 seconds", none, none, 330, ""},
		{"without iat, 331 seconds", none, none, 331, "too_long"},
		{"without iat, 400 seconds", none, none, 400, "too_long"},
		{"without iat, a year", none, none, year, "too_long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now, claims := c.Clock.Now().Truncate(time.Second), servertest.M{}
			c.Clock.Advance(now.Add(time.Second).Sub(c.Clock.Now())) // to a whole second
			for name, offset := range map[string]int64{"iat": tt.iat, "nbf": tt.nbf, "exp": tt.exp} {
				if claims[name] = c.Clock.Now().Unix() + offset; offset == none {
					claims[name] = nil
				}
			}
			answer := c.present(t, c.sign(t, nil, claims))
			if tt.reason == "" {
				granted(t, answer)
				return
			}
			c.rejected(t, answer, tt.reason)
		})
	}
	for name, claims := range map[string]servertest.M{"exp": {"exp": "2999999999"}, "iat": {"iat": "0"}, "nbf": {"nbf": true}} {
		t.Run(name+" that is no number", func(t *testing.T) {
			answer := c.present(t, c.sign(t, nil, claims))
			refused(t, answer, 401, "invalid_client")
		})
	}
}

func TestPrivateKeyJWTKeys(t *testing.T) {
	b := storetest.Embedded(t)
	e, replica := newTokenEndpoint(t, b), newTokenEndpoint(t, b)
	ec, ed := servertest.NewSigner(t, "ec", "ES256"), servertest.NewSigner(t, "ed", "EdDSA")
	ps, rs := servertest.NewSigner(t, "rsa", "PS256"), servertest.NewSigner(t, "rsa", "RS256")
	c := e.keyed(t, ec, ed, ps)
	by := func(k servertest.Signer) keyed { return keyed{e, c.id, k} }

	t.Run("each algorithm", func(t *testing.T) {
		for _, k := range []servertest.Signer{ec, ed, ps, rs} {
			granted(t, c.present(t, by(k).sign(t, nil, nil)))
		}
	})
	t.Run("without kid, one key fits the algorithm", func(t *testing.T) {
		for _, k := range []servertest.Signer{ec, ed, ps, rs} {
			granted(t, c.present(t, by(k).sign(t, servertest.M{"kid": nil}, nil)))
		}
	})
	t.Run("an algorithm that is not the key's", func(t *testing.T) {
		for _, k := range []servertest.Signer{ec, ed, ps, rs} {
			for _, alg := range []string{"ES256", "EdDSA", "PS256", "RS256"} {
				want := "algorithm"
				if alg == k.Algorithm {
					continue
				}
				if k.ID == "rsa" && (alg == "PS256" || alg == "RS256") {
					want = "signature" // it fits the key, and is not that of the signature
				}
				c.rejected(t, c.present(t, by(k).sign(t, servertest.M{"alg": alg}, nil)), want)
			}
		}
	})
	t.Run("a signature by another key", func(t *testing.T) {
		for _, alg := range []string{"ES256", "EdDSA"} {
			id := map[string]string{"ES256": "ec", "EdDSA": "ed"}[alg]
			c.rejected(t, c.present(t, by(servertest.NewSigner(t, id, alg)).sign(t, nil, nil)), "signature")
		}
	})
	t.Run("without kid, two keys fit", func(t *testing.T) {
		two := e.keyed(t, ec, servertest.NewSigner(t, "ec2", "ES256"))
		two.rejected(t, two.present(t, two.sign(t, servertest.M{"kid": nil}, nil)), "key_ambiguous")
		granted(t, two.present(t, two.sign(t, nil, nil)))
	})
	t.Run("the registered algorithm is the only one", func(t *testing.T) {
		only := e.keyed(t, ps)
		only.register(t, func(m *store.ClientMetadata) { m.SigningAlg = "PS256" }, ps, ec)
		granted(t, only.present(t, keyed{e, only.id, ps}.sign(t, nil, nil)))
		only.rejected(t, only.present(t, keyed{e, only.id, rs}.sign(t, nil, nil)), "algorithm")
		only.rejected(t, only.present(t, keyed{e, only.id, ec}.sign(t, nil, nil)), "algorithm")
	})
	t.Run("a key that is replaced is rejected at once, on every replica, and its tokens stay active", func(t *testing.T) {
		changed := e.keyed(t, ec)
		there := keyed{replica, changed.id, ec}
		token := granted(t, there.present(t, changed.sign(t, nil, nil)))["access_token"].(string)
		next := servertest.NewSigner(t, "next", "ES256")
		changed.register(t, keysAlone, next)
		there.rejected(t, there.present(t, changed.sign(t, nil, nil)), "key_unknown")
		granted(t, there.present(t, keyed{e, changed.id, next}.sign(t, nil, nil)))
		if !e.Active(t, e.introspector(t), token) {
			t.Error("a token that was issued before is not active")
		}
	})
	t.Run("a client without keys", func(t *testing.T) {
		without := e.keyed(t, ec)
		without.register(t, keysAlone)
		without.rejected(t, without.present(t, without.sign(t, nil, nil)), "key_unknown")
	})
}

var rawURL = base64.RawURLEncoding
