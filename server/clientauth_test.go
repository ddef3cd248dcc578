package server_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// hazards is a secret full of what form-encoding, base64 and the colon may trip over.
const hazards = `50% + a:b:c &d=e "f" \g ~ plus and more; h/i?j#k`

// rawBasic is Basic as curl -u sends it: without form-encoding.
func rawBasic(c servertest.Client) servertest.Edit {
	return servertest.Header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.ID+":"+c.Secret)))
}

// inForm is the token request of a client that authenticates by client_secret_post.
func inForm(c servertest.Client) string {
	return grantCC + "&" + url.Values{"client_id": {c.ID}, "client_secret": {c.Secret}}.Encode()
}

func TestClientAuth(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		c1, c2 := e.basic(t), e.post(t)
		c5 := e.Register(t, servertest.M{"client_id": "A.b_c~d-9", "client_secret": hazards, "scope": "read"})

		t.Run("client_secret_basic", func(t *testing.T) { granted(t, e.send(t, grantCC, c1.Basic())) })
		t.Run("client_secret_post", func(t *testing.T) {
			granted(t, e.send(t, inForm(c2)))
			granted(t, e.send(t, inForm(c1))) // its registration pins no method
		})
		t.Run("a form-encoded secret full of hazards", func(t *testing.T) {
			granted(t, e.send(t, grantCC, c5.Basic()))
			granted(t, e.send(t, inForm(c5)))
			percent := strings.ReplaceAll(url.QueryEscape(c5.Secret), "+", "%20")
			granted(t, e.send(t, grantCC, func(r *http.Request) { r.SetBasicAuth(c5.ID, percent) }))
		})
		t.Run("basic without form-encoding, where it is unambiguous", func(t *testing.T) { granted(t, e.send(t, grantCC, rawBasic(c1))) })
		t.Run("every failure gets one answer", func(t *testing.T) { alikeFailures(t, e, c1, c2) })
		t.Run("only digests are stored", func(t *testing.T) {
			dump := b.Dump(t)
			for _, c := range []servertest.Client{c1, c2, c5} {
				if keys := dump.Find(c.Secret); keys != nil {
					t.Errorf("a secret is in %q", keys)
				}
			}
			token := e.Token(t, c1)
			if keys := b.Dump(t).Find(token); keys != nil {
				t.Errorf("a token is in %q", keys)
			}
		})
	})
}

// The body of every failed authentication is the documented one, byte for byte.
const invalidClient = `{"error":"invalid_client","error_description":"Client authentication failed"}`

func alikeFailures(t *testing.T, e tokenEndpoint, c1, c2 servertest.Client) {
	disabled := e.basic(t)
	e.Admin(t, "PATCH", "/admin/clients/"+disabled.ID, servertest.M{"disabled": true}).Want(t, 200, "")
	wrong := func(id string) servertest.Client { return servertest.Client{ID: id, Secret: "wrong"} }

	want := e.send(t, grantCC, wrong(c1.ID).Basic())
	refused(t, want, 401, "invalid_client")
	if strings.TrimSpace(want.Body) != invalidClient {
		t.Errorf("got %s, want %s", want.Body, invalidClient)
	}
	for what, got := range map[string]servertest.Response{
		"an unknown client":            e.send(t, grantCC, wrong("nobody").Basic()),
		"an id that none can have":     e.send(t, grantCC, wrong("no body:é").Basic()),
		"a well-formed unknown secret": e.send(t, grantCC, servertest.Client{ID: c1.ID, Secret: credential.NewSecret("mk")}.Basic()),
		"another's secret":             e.send(t, grantCC, servertest.Client{ID: c1.ID, Secret: c2.Secret}.Basic()),
		"a wrong secret in the body":   e.send(t, inForm(wrong(c2.ID))),
		"nothing":                      e.send(t, grantCC),
		"no secret":                    e.send(t, grantCC, servertest.Client{ID: c1.ID}.Basic()),
		"an id alone":                  e.send(t, grantCC+"&client_id="+c1.ID),
		"a disabled client":            e.send(t, grantCC, disabled.Basic()),
		"basic, where post is pinned":  e.send(t, grantCC, c2.Basic()),
		"another scheme":               e.send(t, grantCC, servertest.Bearer("x")),
		"no colon":                     e.send(t, grantCC, servertest.Header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c1.ID)))),
		"not base64":                   e.send(t, grantCC, servertest.Header("Authorization", "Basic ???")),
		"an assertion that is none":    e.send(t, grantCC+"&"+servertest.AssertionForm("x")),
		"another client's assertion":   e.send(t, grantCC+"&client_id="+c1.ID+"&"+servertest.AssertionForm("e30.e30.AA")),
	} {
		if got.Status != want.Status || got.Body != want.Body {
			t.Errorf("%s: got %d %s", what, got.Status, got.Body)
		}
		for _, h := range []http.Header{got.Header, want.Header} {
			h.Del("Date")
			h.Del("X-Request-Id")
		}
		if diff := cmp.Diff(want.Header, got.Header); diff != "" {
			t.Errorf("%s: headers (-wrong secret +this):\n%s", what, diff)
		}
	}
}

// An unknown client costs what a wrong secret costs. That is counted and not timed: the same commands go to the store in
// the same number, and [store.DigestOf] is computed before the lookup.
func TestClientAuthCost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		c, two, expired, pinned, disabled := e.basic(t), e.basic(t), e.basic(t), e.post(t), e.basic(t)
		e.Admin(t, "PATCH", "/admin/clients/"+disabled.ID, servertest.M{"disabled": true}).Want(t, 200, "")
		e.rotate(t, two, servertest.M{"overlap": "48h"})
		e.rotate(t, expired, servertest.M{"overlap": "1s"})
		b.Clock.Advance(time.Minute)
		e.Token(t, c) // the connections are open

		unknown := servertest.Client{ID: "nobody", Secret: c.Secret}
		want := e.trips(t, func() { refused(t, e.send(t, grantCC, unknown.Basic()), 401, "invalid_client") })
		for what, who := range map[string]servertest.Client{
			"a wrong secret":       {ID: c.ID, Secret: "wrong"},
			"one of two wrong":     {ID: two.ID, Secret: "wrong"},
			"an expired secret":    expired,
			"a method not its own": pinned,
			"a disabled client":    disabled,
		} {
			t.Run(what, func(t *testing.T) {
				got := e.trips(t, func() { refused(t, e.send(t, grantCC, who.Basic()), 401, "invalid_client") })
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("commands (-unknown client +%s):\n%s", what, diff)
				}
			})
		}
	})
}

// rotate gives c a second secret and returns the client with it.
func (e tokenEndpoint) rotate(t testing.TB, c servertest.Client, body servertest.M) servertest.Client {
	t.Helper()
	answer := e.Admin(t, "POST", "/admin/clients/"+c.ID+"/secrets", body).Want(t, 201, "").JSON(t)
	next := servertest.Client{ID: c.ID, Secret: answer["client_secret"].(string)}
	e.Secret(next.Secret)
	return next
}

func TestClientAuthRejections(t *testing.T) {
	b := storetest.Embedded(t)
	e := newTokenEndpoint(t, b)
	c := e.basic(t)
	inBody := "&" + url.Values{"client_id": {c.ID}, "client_secret": {c.Secret}}.Encode()

	t.Run("two methods at once", func(t *testing.T) {
		refused(t, e.send(t, grantCC+inBody, c.Basic()), 400, "invalid_request")
		refused(t, e.send(t, grantCC+"&client_secret=x", c.Basic()), 400, "invalid_request")
		twice := func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }
		refused(t, e.send(t, grantCC, c.Basic(), twice), 400, "invalid_request")
	})
	t.Run("basic and the same client_id in the body is accepted, another is not", func(t *testing.T) {
		granted(t, e.send(t, grantCC+"&client_id="+c.ID, c.Basic()))
		granted(t, e.send(t, grantCC+"&client_id=&client_secret=", c.Basic()))
		refused(t, e.send(t, grantCC+"&client_id=other", c.Basic()), 400, "invalid_request")
	})
	t.Run("no client without a secret gets a token", func(t *testing.T) {
		for _, metadata := range []servertest.M{
			{"token_endpoint_auth_method": "none"},
			{"token_endpoint_auth_method": "private_key_jwt"},
			{"client_secret": ""},
			{"client_secret": strings.Repeat("x", 31)},
			{"client_secret": strings.Repeat("x", 257)},
			{"client_secret": strings.Repeat("é", 40)},
		} {
			e.Admin(t, "POST", "/admin/clients", metadata).Want(t, 400, "invalid_client_metadata")
		}
		c := e.basic(t)
		id := e.Admin(t, "GET", "/admin/clients/"+c.ID+"/secrets", nil).JSON(t)["items"].([]any)[0].(servertest.M)["id"].(string)
		e.Admin(t, "DELETE", "/admin/clients/"+c.ID+"/secrets/"+id, nil).Want(t, 204, "")
		for _, secret := range []string{"anything", c.Secret, "\x00", strings.Repeat("0", 64)} {
			if got := e.send(t, grantCC, servertest.Client{ID: c.ID, Secret: secret}.Basic()); got.Status == 200 {
				t.Errorf("a client without a secret got a token for %q", secret)
			}
		}
	})
	t.Run("characters that no credential has", func(t *testing.T) {
		for _, secret := range []string{"%00", "%1F", "%7F", "%C2%85", "%E2%80%AE", "%FF", "a%0D%0Ab"} {
			refused(t, e.send(t, grantCC+"&client_id="+c.ID+"&client_secret="+secret), 400, "invalid_request")
			refused(t, e.send(t, grantCC+"&client_id="+secret+"&client_secret=x"), 400, "invalid_request")
			refused(t, e.send(t, grantCC, rawBasic(servertest.Client{ID: c.ID, Secret: secret})), 400, "invalid_request")
		}
		refused(t, e.send(t, grantCC, rawBasic(servertest.Client{ID: c.ID, Secret: "%zz"})), 400, "invalid_request")
		refused(t, e.send(t, grantCC+"&client_id="+c.ID+"&client_secret="+strings.Repeat("x", 60_000)), 400, "invalid_request")
	})
	t.Run("the scheme in any case", func(t *testing.T) {
		for _, scheme := range []string{"basic", "BASIC", "bAsIc"} {
			granted(t, e.send(t, grantCC, c.Basic(), func(r *http.Request) {
				r.Header.Set("Authorization", scheme+strings.TrimPrefix(r.Header.Get("Authorization"), "Basic"))
			}))
		}
	})
	t.Run("a secret in the place of the id is not stored", func(t *testing.T) {
		swapped := servertest.Client{ID: c.Secret, Secret: c.ID}
		refused(t, e.send(t, grantCC, swapped.Basic()), 401, "invalid_client")
		refused(t, e.send(t, inForm(swapped)), 401, "invalid_client")
		imported := e.Register(t, servertest.M{"client_secret": hazards, "scope": "read"})
		refused(t, e.send(t, inForm(servertest.Client{ID: imported.Secret, Secret: "x"})), 401, "invalid_client")
		// Every test checks at its end that neither the log nor Redis has the secret.
	})
	t.Run("every character counts", func(t *testing.T) {
		long := e.Register(t, servertest.M{"client_secret": strings.Repeat("0123456789", 8), "scope": "read"})
		granted(t, e.send(t, grantCC, long.Basic()))
		for _, n := range []int{79, 72} {
			cut := servertest.Client{ID: long.ID, Secret: long.Secret[:n]}
			refused(t, e.send(t, grantCC, cut.Basic()), 401, "invalid_client")
		}
	})
}

func TestClientSecretLifetime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e, other := newTokenEndpoint(t, b), newTokenEndpoint(t, b)

		t.Run("a secret has 128 bits or more and is shown once", func(t *testing.T) {
			shape := regexp.MustCompile(`^mks_[0-9A-Za-z]{46}$`)
			c := e.basic(t)
			if !shape.MatchString(c.Secret) || !credential.WellFormed(c.Secret) {
				t.Error("the secret has not the documented build")
			}
			e.hidden(t, c)
		})
		t.Run("both secrets work during the overlap, then only the new one", func(t *testing.T) {
			old := e.basic(t)
			next := e.rotate(t, old, servertest.M{"overlap": "1h"})
			granted(t, other.send(t, grantCC, old.Basic()))
			granted(t, other.send(t, grantCC, next.Basic()))
			e.hidden(t, old)
			e.hidden(t, next)
			b.Clock.Advance(time.Hour)
			refused(t, other.send(t, grantCC, old.Basic()), 401, "invalid_client")
			granted(t, other.send(t, grantCC, next.Basic()))
		})
		t.Run("without an overlap the old secret is rejected at once, on every replica", func(t *testing.T) {
			old := e.basic(t)
			token := other.Token(t, old)
			next := e.rotate(t, old, servertest.M{"overlap": "0s"})
			refused(t, other.send(t, grantCC, old.Basic()), 401, "invalid_client")
			if !other.Active(t, next, token) {
				t.Error("a rotation of the secret ended a token")
			}
		})
		t.Run("a revoked secret is rejected on every replica", func(t *testing.T) {
			old := e.basic(t)
			answer := e.Admin(t, "GET", "/admin/clients/"+old.ID+"/secrets", nil).JSON(t)
			id := answer["items"].([]any)[0].(servertest.M)["id"].(string)
			next := e.rotate(t, old, servertest.M{"overlap": "24h"})
			granted(t, other.send(t, grantCC, old.Basic()))
			e.Admin(t, "DELETE", "/admin/clients/"+old.ID+"/secrets/"+id, nil).Want(t, 204, "")
			refused(t, other.send(t, grantCC, old.Basic()), 401, "invalid_client")
			granted(t, other.send(t, grantCC, next.Basic()))
		})
		t.Run("a disabled client is rejected, and its tokens are inactive", func(t *testing.T) {
			c, caller := e.basic(t), e.introspector(t)
			token := e.Token(t, c)
			e.Admin(t, "PATCH", "/admin/clients/"+c.ID, servertest.M{"disabled": true}).Want(t, 200, "")
			refused(t, other.send(t, grantCC, c.Basic()), 401, "invalid_client")
			if other.Active(t, caller, token) {
				t.Error("the token of a disabled client is active")
			}
			e.Admin(t, "PATCH", "/admin/clients/"+c.ID, servertest.M{"disabled": false}).Want(t, 200, "")
			if other.Active(t, caller, token) {
				t.Error("enabling the client revived its token")
			}
			granted(t, other.send(t, grantCC, c.Basic()))
		})
	})
}

// hidden holds the listings of a client to not having its secret.
func (e tokenEndpoint) hidden(t testing.TB, c servertest.Client) {
	t.Helper()
	for _, path := range []string{"/admin/clients", "/admin/clients/" + c.ID, "/admin/clients/" + c.ID + "/secrets", "/admin/audit"} {
		if answer := e.Admin(t, "GET", path, nil).Want(t, 200, ""); strings.Contains(answer.Body, c.Secret) {
			t.Errorf("%s shows the secret", path)
		}
	}
}

func TestClientIDs(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	t.Run("a client id never equals that of a user or a key", func(t *testing.T) {
		for _, id := range []string{"usr_1", "key_1", "a b", "a:b", "é", "a/b", strings.Repeat("a", 129), "a\n"} {
			answer := e.Admin(t, "POST", "/admin/clients", servertest.M{"client_id": id, "scope": "read"})
			answer.Want(t, 400, "invalid_client_metadata")
		}
		e.Register(t, servertest.M{"client_id": "Usr_1"})
	})
	t.Run("an id is compared as bytes", func(t *testing.T) {
		c := e.Register(t, servertest.M{"client_id": "Billing", "scope": "read"})
		refused(t, e.send(t, grantCC, servertest.Client{ID: "billing", Secret: c.Secret}.Basic()), 401, "invalid_client")
	})
}

// The client library golang.org/x/oauth2 gets a token.
func TestClientLibrary(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	awkward := e.Register(t, servertest.M{
		"client_id": "a.b~c_d-e", "client_secret": hazards, "scope": "read write", "audience": []string{"https://api.example"},
	})
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, e.HTTP)
	for name, style := range map[string]oauth2.AuthStyle{
		"basic": oauth2.AuthStyleInHeader, "post": oauth2.AuthStyleInParams, "detected by the library": oauth2.AuthStyleAutoDetect,
	} {
		t.Run(name, func(t *testing.T) {
			library := clientcredentials.Config{
				ClientID: awkward.ID, ClientSecret: awkward.Secret, TokenURL: e.URL + "/oauth/token", AuthStyle: style,
				Scopes: []string{"write", "read"}, EndpointParams: url.Values{"resource": {"https://api.example"}},
			}
			token, err := library.Token(ctx)
			if err != nil {
				t.Fatal(err)
			}
			e.Secret(token.AccessToken)
			if token.Type() != "Bearer" || token.RefreshToken != "" || time.Until(token.Expiry) < 55*time.Minute {
				t.Errorf("got type %s, expiry %v", token.Type(), token.Expiry)
			}
			if !e.Active(t, awkward, token.AccessToken) {
				t.Error("the token is not active")
			}
			library.ClientSecret = "wrong"
			_, err = library.Token(ctx)
			var failed *oauth2.RetrieveError
			if !errors.As(err, &failed) || failed.ErrorCode != "invalid_client" || failed.ErrorDescription != "Client authentication failed" {
				t.Errorf("with a wrong secret: got %v", err)
			}
		})
	}
}
