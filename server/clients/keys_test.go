package clients

import (
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/store"
)

const (
	ecJWK  = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	edJWK  = `{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	aURI   = `"jwks_uri":"https://a.example/keys"`
	ecKeys = `"jwks":{"keys":[` + ecJWK + `]}`
	byKey  = `"token_endpoint_auth_method":"private_key_jwt"`
)

// TestKeyRules: what the members about keys ask of each other, when a client is registered and when it is changed. The
// error is at a member that the request has.
func TestKeyRules(t *testing.T) {
	for _, test := range []struct{ name, registered, patch, member string }{
		{"a key", `{}`, `{` + ecKeys + `}`, ""},
		{"a key and its algorithm", `{}`, `{` + ecKeys + `,"token_endpoint_auth_signing_alg":"ES256"}`, ""},
		{"a key and its method", `{}`, `{` + byKey + `,` + ecKeys + `}`, ""},
		{"a URL and the method", `{}`, `{` + byKey + `,` + aURI + `}`, ""},
		{"a URL and an algorithm, which its keys must have", `{}`, `{` + aURI + `,"token_endpoint_auth_signing_alg":"PS256"}`, ""},
		{"one of two keys fits", `{}`, `{"jwks":{"keys":[` + ecJWK + `,` + edJWK + `]},"token_endpoint_auth_signing_alg":"EdDSA"}`, ""},
		{"both", `{}`, `{` + ecKeys + `,` + aURI + `}`, "jwks_uri"},
		{"a URL beside a key", `{` + ecKeys + `}`, `{` + aURI + `}`, "jwks_uri"},
		{"a key beside a URL", `{` + aURI + `}`, `{` + ecKeys + `}`, "jwks"},
		{"a URL for a key", `{` + ecKeys + `}`, `{` + aURI + `,"jwks":null}`, ""},
		{"a key for a URL", `{` + aURI + `}`, `{` + ecKeys + `,"jwks_uri":null}`, ""},
		{"the method without a key", `{}`, `{` + byKey + `}`, "token_endpoint_auth_method"},
		{"the key of the method is removed", `{` + byKey + `,` + ecKeys + `}`, `{"jwks":null}`, "jwks"},
		{"the URL of the method is removed", `{` + byKey + `,` + aURI + `}`, `{"jwks_uri":null}`, "jwks_uri"},
		{"both are removed", `{` + byKey + `,` + ecKeys + `}`, `{"jwks":null,"token_endpoint_auth_method":null}`, ""},
		{"the key of no method is removed", `{` + ecKeys + `}`, `{"jwks":null}`, ""},
		{"the key is removed, and its algorithm stays", `{` + ecKeys + `,"token_endpoint_auth_signing_alg":"ES256"}`, `{"jwks":null}`, ""},
		{"an algorithm without a key", `{}`, `{"token_endpoint_auth_signing_alg":"ES256"}`, "token_endpoint_auth_signing_alg"},
		{"an algorithm that no key fits", `{` + ecKeys + `}`, `{"token_endpoint_auth_signing_alg":"EdDSA"}`, "token_endpoint_auth_signing_alg"},
		{"a key that does not fit the algorithm", `{` + ecKeys + `,"token_endpoint_auth_signing_alg":"ES256"}`, `{"jwks":{"keys":[` + edJWK + `]}}`, "jwks"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := testRules.register(parse(t, test.registered))
			if err != nil {
				t.Fatal(err)
			}
			_, err = testRules.patch(&m, parse(t, test.patch))
			if test.member != "" {
				checkRefusal(t, err, test.member)
			} else if err != nil {
				t.Error(err)
			}
			if test.registered != `{}` {
				return
			}
			if _, err = testRules.register(parse(t, test.patch)); test.member != "" {
				checkRefusal(t, err, test.member)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOtherChangesKeepKeys: a change of another member does not fail for keys that were registered before, whatever the
// rules were.
func TestOtherChangesKeepKeys(t *testing.T) {
	m := store.ClientMetadata{AuthMethod: "private_key_jwt", SigningAlg: "RS256"}
	if changed, err := testRules.patch(&m, parse(t, `{"client_name":"Billing"}`)); err != nil || strings.Join(changed, " ") != "client_name" {
		t.Errorf("got %q, %v", changed, err)
	}
}

// TestFitDescription: what another server's key set is rejected for fits in an error_description.
func TestFitDescription(t *testing.T) {
	if got := fitDescription("the \"answer\" \\ is\nno JSON – §5"); !describable.MatchString(got) {
		t.Errorf("got %q", got)
	}
}
