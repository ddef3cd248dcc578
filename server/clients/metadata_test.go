package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/remotekeys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const issuer = "https://auth.example.com"

var testRules = rules{maxTTL: 24 * time.Hour, audience: issuer, offers: Offers{
	AuthMethods:   []string{"client_secret_basic", "client_secret_post", "private_key_jwt"},
	SecretMethods: []string{"client_secret_basic", "client_secret_post"},
	GrantTypes:    []string{"client_credentials"},
}, checkURI: func() func(string) error {
	fetcher, err := remotekeys.New(remotekeys.Options{Config: &config.Config{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	return fetcher.CheckURI
}()}

func parse(t testing.TB, text string) web.Object {
	t.Helper()
	var o web.Object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// defaults is a client that is registered with nothing, and changed.
func defaults(change func(*store.ClientMetadata)) store.ClientMetadata {
	m := store.ClientMetadata{GrantTypes: []string{"client_credentials"}, TokenFormat: "jwt"}
	change(&m)
	return m
}

func TestRegister(t *testing.T) {
	type metadata = store.ClientMetadata
	for _, test := range []struct {
		name, body string
		want       metadata
	}{
		{"nothing", `{}`, defaults(func(*metadata) {})},
		{"unknown members", `{"logo_uri":1,"Scope":"x","CLIENT_NAME":2}`, defaults(func(*metadata) {})},
		{"nulls", `{"client_name":null,"scope":null,"grant_types":null,"token_endpoint_auth_method":null,"access_token_ttl":null,
			"access_token_format":null,"audience":null,"jwks":null,"jwks_uri":null,"token_endpoint_auth_signing_alg":null,"rate_limit":null}`, defaults(func(*metadata) {})},
		{"name", `{"client_name":"Zahlungen – 支払い"}`, defaults(func(m *metadata) { m.Name = "Zahlungen – 支払い" })},
		{"longest name", `{"client_name":"` + strings.Repeat("é", 200) + `"}`, defaults(func(m *metadata) { m.Name = strings.Repeat("é", 200) })},
		{"scope, deduplicated in order", `{"scope":"b a b c a"}`, defaults(func(m *metadata) { m.Scope = "b a c" })},
		{"no scope", `{"scope":""}`, defaults(func(*metadata) {})},
		{"no grant", `{"grant_types":[]}`, defaults(func(m *metadata) { m.GrantTypes = nil })},
		{"grant twice", `{"grant_types":["client_credentials","client_credentials"]}`, defaults(func(*metadata) {})},
		{"post", `{"token_endpoint_auth_method":"client_secret_post"}`, defaults(func(m *metadata) { m.AuthMethod = "client_secret_post" })},
		{"shortest life", `{"access_token_ttl":1}`, defaults(func(m *metadata) { m.TokenTTL = time.Second })},
		{"longest life", `{"access_token_ttl":86400.0}`, defaults(func(m *metadata) { m.TokenTTL = 24 * time.Hour })},
		{"opaque", `{"access_token_format":"opaque"}`, defaults(func(m *metadata) { m.TokenFormat = "opaque" })},
		{"audience", `{"audience":["https://a.example/x?y=1","urn:example:b"]}`, defaults(func(m *metadata) { m.Audience = []string{"https://a.example/x?y=1", "urn:example:b"} })},
		{"no audience", `{"audience":[]}`, defaults(func(*metadata) {})},
		{"rate", `{"rate_limit":"600/m"}`, defaults(func(m *metadata) { m.RateLimit = store.Rate{Count: 600, Window: time.Minute} })},
		{"largest rate", `{"rate_limit":"1000000/h"}`, defaults(func(m *metadata) { m.RateLimit = store.Rate{Count: 1_000_000, Window: time.Hour} })},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := testRules.register(parse(t, test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// describable is what RFC 6749 §5.2 lets an error_description have.
var describable = regexp.MustCompile(`^[ !#-\[\]-~]+$`)

func checkRefusal(t *testing.T, err error, member string) {
	t.Helper()
	var got *web.Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if got.Status != 400 || got.Code != "invalid_client_metadata" || !strings.HasPrefix(got.Description, member+": ") {
		t.Errorf("got %d %s %q, want 400 invalid_client_metadata, naming %s", got.Status, got.Code, got.Description, member)
	}
	if !describable.MatchString(got.Description) {
		t.Errorf("the description has characters that it may not have: %q", got.Description)
	}
}

func TestRegisterRejects(t *testing.T) {
	var manyScopes, manyURIs []string
	for i := range 101 {
		manyScopes = append(manyScopes, fmt.Sprint("s", i))
	}
	for i := range 21 {
		manyURIs = append(manyURIs, fmt.Sprintf(`"https://a.example/%d"`, i))
	}
	for _, test := range []struct{ name, member, value string }{
		{"not a string", "client_name", `1`},
		{"too long", "client_name", `"` + strings.Repeat("é", 201) + `"`},
		{"control character", "client_name", `"a\nb"`},
		{"NUL", "client_name", `"a\u0000b"`},
		{"not UTF-8", "client_name", "\"a\xffb\""},
		{"half a surrogate pair", "client_name", `"\ud800"`},
		{"turns text around", "client_name", `"a\u202eb"`},
		{"array", "scope", `["a"]`},
		{"two spaces", "scope", `"a  b"`},
		{"leading space", "scope", `" a"`},
		{"trailing space", "scope", `"a "`},
		{"quote", "scope", `"a\"b"`},
		{"backslash", "scope", `"a\\b"`},
		{"tab", "scope", `"a\tb"`},
		{"not ASCII", "scope", `"é"`},
		{"too many", "scope", `"` + strings.Join(manyScopes, " ") + `"`},
		{"too long", "scope", `"` + strings.Repeat("a", 4097) + `"`},
		{"other grant", "grant_types", `["client_credentials","authorization_code"]`},
		{"null in it", "grant_types", `[null]`},
		{"string", "grant_types", `"client_credentials"`},
		{"none", "token_endpoint_auth_method", `"none"`},
		{"by an assertion that is signed with the secret", "token_endpoint_auth_method", `"client_secret_jwt"`},
		{"unknown", "token_endpoint_auth_method", `"\"<tls>"`},
		{"empty", "token_endpoint_auth_method", `""`},
		{"zero", "access_token_ttl", `0`},
		{"negative", "access_token_ttl", `-1`},
		{"fraction", "access_token_ttl", `1.5`},
		{"string", "access_token_ttl", `"600"`},
		{"over the maximum", "access_token_ttl", `86401`},
		{"huge", "access_token_ttl", `1e300`},
		{"beyond numbers", "access_token_ttl", `1e999`},
		{"unknown", "access_token_format", `"JWT"`},
		{"empty", "access_token_format", `""`},
		{"string", "audience", `"https://a.example"`},
		{"relative", "audience", `["/a"]`},
		{"no scheme", "audience", `["a.example"]`},
		{"no host", "audience", `["https://"]`},
		{"fragment", "audience", `["https://a.example/#b"]`},
		{"empty fragment", "audience", `["https://a.example/#"]`},
		{"space", "audience", `["https://a.example/a b"]`},
		{"not ASCII", "audience", `["https://ä.example"]`},
		{"bad escape", "audience", `["https://a.example/%zz"]`},
		{"twice", "audience", `["https://a.example","https://a.example"]`},
		{"null in it", "audience", `[null]`},
		{"too long", "audience", `["https://a.example/` + strings.Repeat("a", 500) + `"]`},
		{"too many", "audience", `[` + strings.Join(manyURIs, ",") + `]`},
		{"no key", "jwks", `{"keys":[]}`},
		{"private", "jwks", `{"keys":[{"kty":"EC","crv":"P-256","d":"x"}]}`},
		{"string", "jwks", `"{}"`},
		{"http", "jwks_uri", `"http://a.example/keys"`},
		{"relative", "jwks_uri", `"/keys"`},
		{"too long", "jwks_uri", `"https://a.example/` + strings.Repeat("a", 495) + `"`},
		{"array", "jwks_uri", `["https://a.example"]`},
		{"unknown", "token_endpoint_auth_signing_alg", `"HS256"`},
		{"empty", "token_endpoint_auth_signing_alg", `""`},
		{"number", "rate_limit", `600`},
		{"object", "rate_limit", `{"count":600}`},
		{"empty", "rate_limit", `""`},
		{"no window", "rate_limit", `"600"`},
		{"no count", "rate_limit", `"/m"`},
		{"zero", "rate_limit", `"0/m"`},
		{"negative", "rate_limit", `"-1/m"`},
		{"too many", "rate_limit", `"1000001/h"`},
		{"fraction", "rate_limit", `"1.5/s"`},
		{"by the day", "rate_limit", `"600/d"`},
		{"spaces", "rate_limit", `"600 / m"`},
	} {
		t.Run(test.member+" "+test.name, func(t *testing.T) {
			o := web.Object{test.member: json.RawMessage(test.value)}
			_, err := testRules.register(o)
			checkRefusal(t, err, test.member)
			var m store.ClientMetadata
			_, err = testRules.patch(&m, o)
			checkRefusal(t, err, test.member)
		})
	}
}

func TestPatch(t *testing.T) {
	registered := store.ClientMetadata{
		Name: "Billing", Scope: "read write", GrantTypes: []string{"client_credentials"}, AuthMethod: "client_secret_post",
		TokenTTL: time.Minute, TokenFormat: "opaque", Audience: []string{"https://a.example", "https://b.example"},
		RateLimit: store.Rate{Count: 600, Window: time.Minute},
	}
	for _, test := range []struct {
		name, patch string
		changed     string
		narrower    bool
	}{
		{"nothing", `{}`, "", false},
		{"the same", `{"client_name":"Billing","scope":"read write read","access_token_ttl":60,"audience":["https://a.example","https://b.example"]}`, "", false},
		{"unknown", `{"x":1}`, "", false},
		{"name", `{"client_name":"B"}`, "client_name", false},
		{
			"all to the defaults", `{"client_name":null,"access_token_ttl":null,"access_token_format":null,"token_endpoint_auth_method":null}`,
			"client_name token_endpoint_auth_method access_token_ttl access_token_format", false,
		},
		{"a scope more", `{"scope":"read write admin"}`, "scope", false},
		{"scopes in another order", `{"scope":"write read"}`, "scope", false},
		{"a scope less", `{"scope":"read"}`, "scope", true},
		{"a scope for another", `{"scope":"read admin"}`, "scope", true},
		{"no scope", `{"scope":null}`, "scope", true},
		{"no grant", `{"grant_types":[]}`, "grant_types", true},
		{"default grant", `{"grant_types":null}`, "", false},
		{"an audience less", `{"audience":["https://b.example"]}`, "audience", true},
		{"an audience more", `{"audience":["https://b.example","https://a.example","https://c.example"]}`, "audience", false},
		{"no audience", `{"audience":[]}`, "audience", true},
		{"a rate", `{"rate_limit":"20/s"}`, "rate_limit", false},
		{"the same rate", `{"rate_limit":"600/m"}`, "", false},
		{"no rate", `{"rate_limit":null}`, "rate_limit", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			after := registered
			changed, err := testRules.patch(&after, parse(t, test.patch))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(changed, " "); got != test.changed {
				t.Errorf("changed %q, want %q", got, test.changed)
			}
			if got := testRules.narrower(registered, after); got != test.narrower {
				t.Errorf("narrower is %v, want %v", got, test.narrower)
			}
		})
	}
}

// TestNarrowerDefaultAudience: a client without an audience has the server's, which it can lose.
func TestNarrowerDefaultAudience(t *testing.T) {
	const other = "https://a.example"
	for _, test := range []struct {
		before, after []string
		want          bool
	}{
		{nil, []string{other}, true},
		{nil, []string{other, issuer}, false},
		{[]string{issuer}, nil, false},
		{[]string{issuer, other}, nil, true},
	} {
		got := testRules.narrower(store.ClientMetadata{Audience: test.before}, store.ClientMetadata{Audience: test.after})
		if got != test.want {
			t.Errorf("from %q to %q: got %v, want %v", test.before, test.after, got, test.want)
		}
	}
}

// FuzzMetadata registers anything; what is accepted is what a patch with the same changes nothing of.
func FuzzMetadata(f *testing.F) {
	f.Add(`{"client_name":"a","scope":"b c b","grant_types":[],"audience":["https://x"],"access_token_ttl":5}`)
	f.Add(`{"token_endpoint_auth_method":"none","jwks":{}}`)
	f.Add(`{"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[` + ecJWK + `]},"token_endpoint_auth_signing_alg":"ES256"}`)
	f.Add(`{"jwks_uri":"https://a.example/keys?x","token_endpoint_auth_signing_alg":"PS256"}`)
	f.Add(`{"access_token_format":"opaque","access_token_ttl":1e9,"client_name":"\ud800"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var o web.Object
		if json.Unmarshal([]byte(text), &o) != nil {
			return
		}
		m, err := testRules.register(o)
		if err != nil {
			var refusal *web.Error
			if !errors.As(err, &refusal) || !describable.MatchString(refusal.Description) {
				t.Errorf("not a fit refusal: %v", err)
			}
			return
		}
		if m.TokenTTL < 0 || m.TokenTTL > testRules.maxTTL || len(m.Audience) > maxAudience || len(m.Scope) > maxScope {
			t.Errorf("out of bounds: %+v", m)
		}
		if changed, err := testRules.patch(&m, o); err != nil || changed != nil {
			t.Errorf("the same again changes %q, %v", changed, err)
		}
	})
}
