package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func TestScope(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	c := e.basic(t)

	for name, scope := range map[string]string{
		"a quote":                        "read%22",
		"a backslash":                    "re%5Cad",
		"a letter beyond ASCII":          "%C3%A9",
		"a line end":                     "read%0Ainjected",
		"NUL":                            "%00",
		"a tab":                          "read%09write",
		"DEL":                            "read%7F",
		"a leading space":                "+read",
		"a space after":                  "read+",
		"two spaces":                     "read++write",
		"a space alone":                  "+",
		"a scope that is not registered": "read+admin",
		"a scope of Mintkeep's own":      "read+mintkeep%3Aadmin",
		"another case":                   "READ",
		"a prefix":                       "rea",
		"a wildcard":                     "*",
		"8 kB in one scope":              strings.Repeat("a", 8<<10),
		"a thousand scopes":              strings.Repeat("read+", 999) + "read",
		"a thousand unknown scopes":      strings.Repeat("a+", 999) + "a",
	} {
		t.Run(name, func(t *testing.T) { refused(t, e.send(t, grantCC+"&scope="+scope, c.Basic()), 400, "invalid_scope") })
	}
	t.Run("any order", func(t *testing.T) {
		got := granted(t, e.send(t, grantCC+"&scope=write+read", c.Basic()))["scope"].(string)
		if got != "write read" && got != "read write" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a scope twice is one", func(t *testing.T) {
		if got := granted(t, e.send(t, grantCC+"&scope=read+read", c.Basic()))["scope"]; got != "read" {
			t.Errorf("got %q, want %q", got, "read")
		}
	})
	t.Run("no scope means all registered ones but Mintkeep's own, and the answer says so", func(t *testing.T) {
		both := e.Register(t, servertest.M{"scope": "mintkeep:introspect read write mintkeep:admin"})
		for who, want := range map[servertest.Client]string{c: "read write", both: "read write"} {
			for _, form := range []string{grantCC, grantCC + "&scope="} {
				if got := granted(t, e.send(t, form, who.Basic()))["scope"]; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		}
		ours := e.Register(t, servertest.M{"scope": "mintkeep:admin"})
		refused(t, e.send(t, grantCC, ours.Basic()), 400, "invalid_scope")
		if got := granted(t, e.send(t, grantCC+"&scope=mintkeep:admin", ours.Basic()))["scope"]; got != "mintkeep:admin" {
			t.Errorf("got %q", got)
		}
	})
}

func TestScopeNarrowed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		for _, format := range []string{"jwt", "opaque"} {
			t.Run(format+" token", func(t *testing.T) {
				c := e.Register(t, servertest.M{"scope": "read write", "access_token_format": format})
				body := granted(t, e.send(t, grantCC+"&scope=read", c.Basic()))
				token := body["access_token"].(string)
				told := map[string]any{"the response": body["scope"], "introspection": e.Introspect(t, c, token)["scope"]}
				if format == "jwt" {
					_, claims := jwtParts(t, token)
					told["the token"] = claims["scope"]
				}
				for where, scope := range told {
					if scope != "read" {
						t.Errorf("%s says %v, want read", where, scope)
					}
				}
			})
		}
	})
}

func TestScopeResource(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	const api, files = "https://api.example", "https://files.example/v1"
	c := e.Register(t, servertest.M{"scope": "read", "audience": []string{api, files}})
	audience := func(t *testing.T, who servertest.Client, parameters string) any {
		t.Helper()
		token := granted(t, e.send(t, grantCC+parameters, who.Basic()))["access_token"].(string)
		_, claims := jwtParts(t, token)
		if diff := cmp.Diff(claims["aud"], e.Introspect(t, who, token)["aud"]); diff != "" {
			t.Errorf("aud (-token +introspection):\n%s", diff)
		}
		return claims["aud"]
	}
	resource := func(uri string) string { return "&resource=" + url.QueryEscape(uri) }
	aud := func(uri string) string { return "&audience=" + url.QueryEscape(uri) }

	for name, row := range map[string]struct {
		parameters string
		want       any
	}{
		"a registered resource":               {resource(files), files},
		"two resources":                       {resource(api) + resource(files), []any{api, files}},
		"the same resource twice":             {resource(api) + resource(api), api},
		"no resource means the first":         {"", api},
		"an empty resource beside a real one": {"&resource=" + resource(files), files},
		"an audience is a resource":           {aud(files), files},
		"an audience and the same resource":   {aud(files) + resource(files), files},
		"both, in another order":              {aud(files) + aud(api) + resource(api) + resource(files), []any{files, api}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, audience(t, c, row.parameters)); diff != "" {
				t.Errorf("aud (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("an empty resource is none", func(t *testing.T) {
		// Not held to the OpenAPI document, whose validator reads an empty list from it as null.
		plain := tokenEndpoint{&servertest.Server{URL: e.URL, HTTP: http.DefaultClient}}
		token := granted(t, plain.send(t, grantCC+"&resource=", c.Basic()))["access_token"].(string)
		if _, claims := jwtParts(t, token); claims["aud"] != api {
			t.Errorf("aud: got %v, want %s", claims["aud"], api)
		}
		token = granted(t, plain.send(t, grantCC+"&audience="+resource(files), c.Basic()))["access_token"].(string)
		if _, claims := jwtParts(t, token); claims["aud"] != files {
			t.Errorf("aud: got %v, want %s", claims["aud"], files)
		}
	})
	t.Run("with none registered the issuer is the audience", func(t *testing.T) {
		if got := audience(t, e.basic(t), ""); got != servertest.Issuer {
			t.Errorf("aud: got %v, want the issuer", got)
		}
	})
	for name, uri := range map[string]string{
		"an unknown resource": "https://other.example", "the issuer, not registered": servertest.Issuer, "a resource with a slash more": api + "/",
		"a resource in another case": strings.ToUpper(api), "a resource that is no URI": "api", "a resource with a fragment": api + "#x",
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, e.send(t, grantCC+resource(uri), c.Basic()), 400, "invalid_target")
			refused(t, e.send(t, grantCC+resource(api)+resource(uri), c.Basic()), 400, "invalid_target")
			refused(t, e.send(t, grantCC+aud(uri), c.Basic()), 400, "invalid_target")
		})
	}
	for name, parameters := range map[string]string{
		"another audience": aud(api) + resource(files), "one audience of two": aud(api) + resource(api) + resource(files),
		"one resource of two": aud(api) + aud(files) + resource(api), "an audience that is not registered": aud(api) + resource(servertest.Issuer),
	} {
		t.Run("audience and resource differ: "+name, func(t *testing.T) {
			r := e.send(t, grantCC+parameters, c.Basic())
			refused(t, r, 400, "invalid_target")
			if !strings.Contains(r.Body, "audience and resource") {
				t.Errorf("got %s, want that it says why", r.Body)
			}
		})
	}
	t.Run("in the query it is rejected", func(t *testing.T) {
		refused(t, e.Post(t, "/oauth/token?audience="+api, grantCC, c.Basic()), 400, "invalid_request")
	})
}

func TestScopeDefaultAudience(t *testing.T) {
	t.Run("MINTKEEP_AUDIENCE is the default", func(t *testing.T) {
		e := newTokenEndpoint(t, storetest.Embedded(t), "MINTKEEP_AUDIENCE=https://all.example")
		_, claims := jwtParts(t, e.Token(t, e.basic(t)))
		if claims["aud"] != "https://all.example" {
			t.Errorf("aud: got %v", claims["aud"])
		}
	})
}

// A resource server takes the published keys and checks a token by RFC 9068 §4, with the go-jose library.
func TestTokenVerifies(t *testing.T) {
	for name, algorithm := range map[string]jose.SignatureAlgorithm{"ES256": jose.ES256, "EdDSA": jose.EdDSA, "RS256": jose.RS256} {
		t.Run(name, func(t *testing.T) {
			e := newTokenEndpoint(t, storetest.Embedded(t), "MINTKEEP_SIGNING_ALG="+name)
			c := e.basic(t)
			body := granted(t, e.send(t, grantCC, c.Basic()))
			token := body["access_token"].(string)
			header, _ := jwtParts(t, token)
			claims := e.verify(t, token, algorithm)

			if diff := cmp.Diff(servertest.M{"typ": "at+jwt", "alg": name, "kid": header["kid"]}, header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			now := float64(e.Clock.Now().Unix())
			want := servertest.M{
				"iss": servertest.Issuer, "sub": c.ID, "client_id": c.ID, "aud": servertest.Issuer, "scope": "read write",
				"iat": now, "exp": now + 3600, "jti": claims["jti"],
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			if jti, _ := claims["jti"].(string); !regexp.MustCompile(`^[A-Z2-7]{26,}$`).MatchString(jti) {
				t.Errorf("jti is %q, want 128 bits or more", jti)
			}
		})
	}
}

// verify returns the claims of a token whose signature by algorithm holds under the published key.
func (e tokenEndpoint) verify(t testing.TB, token string, algorithm jose.SignatureAlgorithm) (claims servertest.M) {
	t.Helper()
	var published jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(e.Get(t, "/.well-known/jwks.json").Want(t, 200, "").Body), &published); err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{algorithm})
	if err != nil {
		t.Fatal(err)
	}
	keys := published.Key(signed.Signatures[0].Header.KeyID)
	if len(keys) != 1 || keys[0].Algorithm != string(algorithm) || keys[0].Use != "sig" || !keys[0].IsPublic() {
		t.Fatalf("the key set has %d keys for the token's kid, and wants one public, for signatures, by %s", len(keys), algorithm)
	}
	payload, err := signed.Verify(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	dot := strings.LastIndexByte(token, '.')
	forged, err := jose.ParseSignedCompact(token[:dot+1]+strings.Repeat("A", len(token)-dot-1), []jose.SignatureAlgorithm{algorithm})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forged.Verify(keys[0]); err == nil {
		t.Error("an empty signature holds as well")
	}
	return claims
}

func TestTokenAlgorithms(t *testing.T) {
	for _, name := range []string{"none", "HS256", "HS512", "es256", "RS1", "ES256K"} {
		t.Run(name+" is rejected as a setting", func(t *testing.T) {
			_, _, err := config.Load(config.Source{Environ: []string{"MINTKEEP_SIGNING_ALG=" + name}})
			if err == nil || !strings.Contains(err.Error(), "MINTKEEP_SIGNING_ALG") {
				t.Errorf("got %v, want a mistake in MINTKEEP_SIGNING_ALG", err)
			}
		})
	}
}
