package server_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestPrivateKeyJWTRequest is the form of a request: what is malformed is 400, and counts as no failure.
func TestPrivateKeyJWTRequest(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	c, other, secret := e.keyed(t), e.keyed(t), e.basic(t)
	kind := url.Values{"client_assertion_type": {servertest.AssertionType}}.Encode()
	t.Run("client_id may be omitted, be the same, or be sent empty", func(t *testing.T) {
		granted(t, c.present(t, c.sign(t, nil, nil)))
		granted(t, c.present(t, c.sign(t, nil, nil), "client_id="+c.id))
		granted(t, c.present(t, c.sign(t, nil, nil), "client_id=&client_secret="))
	})
	t.Run("the client_id of another client", func(t *testing.T) {
		c.rejected(t, c.present(t, c.sign(t, nil, nil), "client_id="+other.id), "issuer")
		c.rejected(t, c.present(t, c.sign(t, nil, nil), "client_id=nobody"), "unknown")
	})
	t.Run("without client_id, one of iss and sub names the client", func(t *testing.T) {
		c.rejected(t, c.present(t, c.sign(t, nil, servertest.M{"sub": nil})), "subject")
		c.rejected(t, c.present(t, c.sign(t, nil, servertest.M{"iss": nil})), "issuer")
		c.rejected(t, c.present(t, c.sign(t, nil, servertest.M{"iss": nil, "sub": nil})), "malformed")
		c.rejected(t, c.present(t, c.sign(t, nil, servertest.M{"iss": "nobody", "sub": "nobody"})), "unknown")
	})
	t.Run("no assertion", func(t *testing.T) {
		refused(t, e.send(t, grantCC+"&client_id="+c.id), 401, "invalid_client")
		refused(t, e.send(t, grantCC+"&client_id="+c.id+"&assertion="+c.sign(t, nil, nil)), 401, "invalid_client")
	})
	good := servertest.AssertionForm(c.sign(t, nil, nil))
	bare := strings.TrimPrefix(strings.Replace(good, kind, "", 1), "&")
	bare = strings.TrimSuffix(bare, "&")
	for name, form := range map[string]string{
		"a type without an assertion":         kind,
		"an assertion without a type":         bare,
		"another type":                        bare + "&client_assertion_type=urn%3Ax",
		"the type of SAML":                    bare + "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Asaml2-bearer",
		"a type twice":                        good + "&" + kind,
		"an assertion twice":                  good + "&" + bare,
		"more than 16 KiB":                    servertest.AssertionForm(strings.Repeat("x", 16<<10+1)),
		"a secret too":                        good + "&client_secret=x",
		"iss and sub that differ, without id": servertest.AssertionForm(c.sign(t, nil, servertest.M{"sub": other.id})),
	} {
		t.Run(name, func(t *testing.T) { refused(t, e.send(t, grantCC+"&"+form), 400, "invalid_request") })
	}
	t.Run("Basic too", func(t *testing.T) { refused(t, e.send(t, grantCC+"&"+good, secret.Basic()), 400, "invalid_request") })
	t.Run("a malformed one and Basic too", func(t *testing.T) {
		refused(t, e.send(t, grantCC+"&"+servertest.AssertionForm("x"), secret.Basic()), 400, "invalid_request")
	})
	t.Run("in the query", func(t *testing.T) {
		for _, query := range []string{good, kind, bare, "assertion=x"} {
			refused(t, e.Post(t, "/oauth/token?"+query, grantCC), 400, "invalid_request")
		}
	})
	t.Run("an API key that revokes itself", func(t *testing.T) {
		key := e.Key(t, e.User(t, servertest.M{"email": "ada@example.com"}), nil)
		for _, form := range []string{good, kind} {
			refused(t, e.Post(t, "/oauth/revoke", "token="+key.Plain+"&"+form, servertest.Bearer(key.Plain)), 400, "invalid_request")
		}
	})
	granted(t, e.send(t, grantCC+"&"+good)) // none of these requests has used it up
}

// TestPrivateKeyJWTAllowed is who may use it: a client that is registered for it, and one that is registered for no method
// and has a key.
func TestPrivateKeyJWTAllowed(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	c, key := e.basic(t), servertest.NewSigner(t, "first", "ES256")
	k := keyed{e, c.ID, key}
	as := func(method string, pairs ...servertest.Signer) {
		k.register(t, func(m *store.ClientMetadata) { m.AuthMethod = method }, pairs...)
	}
	t.Run("no method, with a key and a secret", func(t *testing.T) {
		as("", key)
		granted(t, k.present(t, k.sign(t, nil, nil)))
		granted(t, e.send(t, grantCC, c.Basic()))
	})
	t.Run("no method, without a key", func(t *testing.T) {
		as("")
		k.rejected(t, k.present(t, k.sign(t, nil, nil)), "method not allowed")
		granted(t, e.send(t, grantCC, c.Basic()))
	})
	t.Run("the method, with a secret too", func(t *testing.T) {
		as("private_key_jwt", key)
		granted(t, k.present(t, k.sign(t, nil, nil)))
		k.rejected(t, e.send(t, grantCC, c.Basic()), "method not allowed")
	})
	t.Run("another method, with a key", func(t *testing.T) {
		as("client_secret_basic", key)
		k.rejected(t, k.present(t, k.sign(t, nil, nil)), "method not allowed")
		granted(t, e.send(t, grantCC, c.Basic()))
	})
	t.Run("a client that is disabled", func(t *testing.T) {
		as("", key)
		e.Admin(t, "PATCH", "/admin/clients/"+c.ID, servertest.M{"disabled": true}).Want(t, 200, "")
		k.rejected(t, k.present(t, k.sign(t, nil, nil)), "disabled")
	})
}

// The URL of the token endpoint is an audience by MINTKEEP_ASSERTION_AUDIENCE alone.
func TestPrivateKeyJWTTokenEndpointAudience(t *testing.T) {
	c := newTokenEndpoint(t, storetest.Embedded(t), "MINTKEEP_ASSERTION_AUDIENCE=issuer,token_endpoint").keyed(t)
	const endpoint = servertest.Issuer + "/oauth/token"
	for name, audience := range map[string]any{
		"the issuer": servertest.Issuer, "the token endpoint": endpoint, "in an array": []string{endpoint},
		"both": []string{servertest.Issuer, endpoint}, "both, with a slash": []string{endpoint, servertest.Issuer + "/"},
	} {
		t.Run(name, func(t *testing.T) { granted(t, c.present(t, c.sign(t, nil, servertest.M{"aud": audience}))) })
	}
	for name, audience := range map[string]any{
		"introspection": servertest.Issuer + "/oauth/introspect", "beside another": []string{endpoint, "x"},
		"and a slash": endpoint + "/", "three": []string{servertest.Issuer, endpoint, endpoint}, "another path": servertest.Issuer + "/oauth/tokens",
	} {
		t.Run(name, func(t *testing.T) {
			c.rejected(t, c.present(t, c.sign(t, nil, servertest.M{"aud": audience})), "audience")
		})
	}
}

// TestPrivateKeyJWTMetadata: the algorithms are advertised with the method, and none is symmetric.
func TestPrivateKeyJWTMetadata(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	metadata := e.Get(t, metadataPath).Want(t, 200, "").JSON(t)
	for _, endpoint := range []string{"token", "introspection", "revocation"} {
		want := []any{"ES256", "EdDSA", "PS256", "RS256"}
		if diff := cmp.Diff(want, metadata[endpoint+"_endpoint_auth_signing_alg_values_supported"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", endpoint, diff)
		}
	}
}
