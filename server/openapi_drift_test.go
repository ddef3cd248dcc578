package server_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
)

// client has the members of a client's view.
const client = `"client_id":"billing","client_name":"","scope":"","grant_types":[],"access_token_format":"jwt","audience":[],` +
	`"disabled":false,"client_id_issued_at":1767225600,"created_at":"2026-01-01T00:00:00.123456789Z",` +
	`"secrets":[{"id":"S1","created_at":"2026-01-01T00:00:00Z","last_used_at":null,"expires_at":null,"last_four":null,"in_use":true}],"keys":[],"etag":"\"x\""`

// The members of a user, of a key, and of the answer that brings a new one.
const (
	wirePersonID = "usr_x4v2bqmhxyznwz5tb7vwfmqxle"
	wireKeyID    = "key_019b77d5ac0vq3n5c7y2hdkmzwe"

	personJSON = `"id":"` + wirePersonID + `","email":"ada@example.com","name":"","role":"developer","disabled":false,` +
		`"created_at":"2026-01-01T00:00:00.123Z","password_set":false,"key_scopes":"read write mintkeep:keys"`
	invitedJSON = `"invite_url":"https://i/invite/x","invite_expires_at":"2026-01-04T00:00:00Z"`
	keyHeadJSON = `"id":"` + wireKeyID + `","name":"n","scope":"read","disabled":false,"created_at":"2026-01-01T00:00:00Z","expires_at":null`
	keyRestJSON = `,"masked":"mk_RvVx…44yu","last_four":"44yu","state":"active","last_used":null,"ended":null,"rotated_to":null`
	newKeyJSON  = keyHeadJSON + `,"key":"mk_RvVxWdxZ2tH52mpAJozy1YO5VCPsSOtdDf3hv6ya3o44yu"`
	ownedJSON   = `,"user":"` + wirePersonID + `"`
)

// statsJSON is the statistics of the last hour, with so many minutes.
func statsJSON(minutes int) string {
	each := strings.Repeat(`,{"minute":"2026-01-01T00:00:00Z","issued":0,"refused":2}`, minutes)
	return `{"clients":1,"users":2,"live_keys":3,"tokens":[` + each[1:] + `]}`
}

// TestOpenAPIAnswers shows that the document bites: a validator that understood a part of it only would let the wrong
// answers pass.
func TestOpenAPIAnswers(t *testing.T) {
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	const (
		active    = `{"active":true,"scope":"read","client_id":"a","token_type":"bearer","exp":2,"iat":1,"sub":"a","aud":["https://x","https://y"],"iss":"https://i","jti":"j"}`
		ecKey     = `{"kty":"EC","use":"sig","alg":"ES256","kid":"k","crv":"P-256","x":"x","y":"y"}`
		next      = `{"kid":"k","alg":"EdDSA","state":"next","created_at":"2026-01-01T00:00:00Z","published_at":"2026-01-01T00:00:30Z","activated_at":null,"retired_at":null,"removed_at":null}`
		activeKey = `{"active":true,"scope":"","token_type":"api_key","iat":1,"sub":"` + wirePersonID + `","aud":"https://x","iss":"https://i","jti":"` + wireKeyID + `"}`
		me        = `{"type":"user","id":"` + wirePersonID + `","email":"a@b","name":"","role":"operator","created_at":"2026-01-01T00:00:00Z",` +
			`"credential":{"type":"api_key","id":"` + wireKeyID + `","name":"n","scope":"","expires_at":null}}`
		meClient = `{"type":"client","id":"a","name":"","credential":{"type":"access_token","id":"j","scope":"read","expires_at":"2026-01-01T00:00:00Z"}}`
		ended    = `"state":"expired","last_used":{"at":"2026-01-01T00:00:00Z","from":"client:a"},"ended":{"at":null,"by":"","reason":"expired"}`
		event    = `{"id":"1","at":"2026-01-01T00:00:00Z","actor":"admin-token","action":"client.create","target":"client:a","address":"127.0.0.1","request_id":"r","detail":{"scope":"read"}}`
	)
	for _, test := range []struct {
		name, route string
		status      int
		body        string
		want        string // a part of the one drift; empty: none
	}{
		{"token", "POST /oauth/token", 200, `{"access_token":"mkt_a","token_type":"bearer","expires_in":3600,"scope":"read"}`, ""},
		{"token_type in capitals", "POST /oauth/token", 200, `{"access_token":"mkt_a","token_type":"Bearer","expires_in":3600,"scope":"read"}`, "token_type"},
		{"token without scope", "POST /oauth/token", 200, `{"access_token":"mkt_a","token_type":"bearer","expires_in":3600}`, "scope"},
		{"token with more", "POST /oauth/token", 200, `{"access_token":"mkt_a","token_type":"bearer","expires_in":3600,"scope":"","refresh_token":"x"}`, "refresh_token"},
		{"lifetime as a string", "POST /oauth/token", 200, `{"access_token":"mkt_a","token_type":"bearer","expires_in":"3600","scope":""}`, "expires_in"},
		{"invalid_client", "POST /oauth/token", 401, `{"error":"invalid_client","error_description":"Client authentication failed"}`, ""},
		{"invalid_client, talkative", "POST /oauth/token", 401, `{"error":"invalid_client","error_description":"Unknown client"}`, "error_description"},
		{"401 of another code", "POST /oauth/token", 401, `{"error":"unauthorized_client","error_description":"Client authentication failed"}`, "error"},
		{"unregistered code", "POST /oauth/token", 400, `{"error":"access_denied","error_description":"No"}`, "error"},
		{"invalid_target", "POST /oauth/token", 400, `{"error":"invalid_target","error_description":"No"}`, ""},
		{"error with null", "POST /oauth/token", 400, `{"error":"invalid_scope","error_description":"No","error_uri":null}`, "error_uri"},
		{"forbidden character", "POST /oauth/token", 400, `{"error":"invalid_scope","error_description":"no \"x\""}`, "error_description"},
		{"500 as 503", "POST /oauth/token", 503, `{"error":"server_error","error_description":"No"}`, "error"},
		{"500", "POST /oauth/token", 500, `{"error":"server_error","error_description":"Request r failed"}`, ""},
		{"403", "POST /oauth/token", 403, `{"error":"access_denied","error_description":"No"}`, ""},
		{"403 of another code", "POST /oauth/token", 403, `{"error":"insufficient_scope","error_description":"No"}`, "error"},
		{"409", "POST /oauth/token", 409, `{"error":"conflict","error_description":"No"}`, "status is not documented"},
		{"active", "POST /oauth/introspect", 200, active, ""},
		{"active, one audience", "POST /oauth/introspect", 200, strings.Replace(active, `["https://x","https://y"]`, `"https://x"`, 1), ""},
		{"active without jti", "POST /oauth/introspect", 200, strings.Replace(active, `,"jti":"j"`, "", 1), "oneOf"},
		{"active with more", "POST /oauth/introspect", 200, strings.Replace(active, `"jti"`, `"username":"u","jti"`, 1), "oneOf"},
		{"active key", "POST /oauth/introspect", 200, activeKey, ""},
		{"active key that expires", "POST /oauth/introspect", 200, strings.Replace(activeKey, `"iat"`, `"exp":2,"iat"`, 1), ""},
		{"active key of a client", "POST /oauth/introspect", 200, strings.Replace(activeKey, `"iat"`, `"client_id":"a","iat"`, 1), "oneOf"},
		{"token that never expires", "POST /oauth/introspect", 200, strings.Replace(active, `"exp":2,`, "", 1), "oneOf"},
		{"inactive", "POST /oauth/introspect", 200, `{"active":false}`, ""},
		{"inactive with a reason", "POST /oauth/introspect", 200, `{"active":false,"reason":"expired"}`, "oneOf"},
		{"revoked", "POST /oauth/revoke", 200, ``, ""},
		{"revoked, with a body", "POST /oauth/revoke", 200, `{}`, "a body where none"},
		{"authorize", "POST /oauth/authorize", 400, `{"error":"unsupported_response_type","error_description":"No"}`, ""},
		{"authorize, redirected", "GET /oauth/authorize", 302, ``, "status is not documented"},
		{"metadata with more", "GET /.well-known/oauth-authorization-server", 200, metadata(`,"registration_endpoint":"https://i/r"`), "registration_endpoint"},
		{"metadata, another endpoint", "GET /.well-known/oauth-authorization-server", 200, metadata(`,"authorization_endpoint":"https://i/a"`), "authorization_endpoint"},
		{"metadata, plain challenges", "GET /.well-known/oauth-authorization-server", 200, metadata(`,"code_challenge_methods_supported":["plain"]`), "code_challenge_methods_supported"},
		{"metadata, no response types", "GET /.well-known/oauth-authorization-server", 200, metadata(`,"response_types_supported":[]`), ""},
		{"metadata, response types", "GET /.well-known/oauth-authorization-server", 200, metadata(`,"response_types_supported":["token"]`), "response_types_supported"},
		{"keys", "GET /.well-known/jwks.json", 200, `{"keys":[` + ecKey + `]}`, ""},
		{"private key", "GET /.well-known/jwks.json", 200, `{"keys":[` + strings.Replace(ecKey, `"y"`, `"d":"d","y"`, 1) + `]}`, "oneOf"},
		{"no key", "GET /.well-known/jwks.json", 200, `{"keys":[]}`, "keys"},
		{"not modified", "GET /.well-known/jwks.json", 304, ``, ""},
		{"clients", "GET /admin/clients", 200, `{"items":[{` + client + `}],"next_cursor":"x"}`, ""},
		{"last page", "GET /admin/clients", 200, `{"items":[]}`, ""},
		{"last page with null", "GET /admin/clients", 200, `{"items":[],"next_cursor":null}`, "next_cursor"},
		{"client", "GET /admin/clients/a", 200, `{` + client + `}`, ""},
		{"client with a secret", "GET /admin/clients/a", 200, `{` + client + `,"client_secret":"x"}`, "client_secret"},
		{"client without secrets", "PATCH /admin/clients/a", 200, strings.Replace(`{`+client+`}`, `"secrets"`, `"secret"`, 1), "secrets"},
		{"registered", "POST /admin/clients", 201, `{` + client + `,"client_secret_expires_at":0}`, ""},
		{"registered without a secret", "POST /admin/clients", 201, `{` + client + `}`, ""},
		{"client with keys", "GET /admin/clients/a", 200, `{` + client + `,"jwks":{"keys":[` + ecKey + `]},"token_endpoint_auth_signing_alg":"ES256"}`, ""},
		{"client with a private key", "GET /admin/clients/a", 200, `{` + client + `,"jwks":{"keys":[` + strings.Replace(ecKey, `"y"`, `"d":"d","y"`, 1) + `]}}`, "jwks"},
		{"registered, expiring", "POST /admin/clients", 201, `{` + client + `,"client_secret_expires_at":1}`, "client_secret_expires_at"},
		{"registered, other name", "POST /admin/clients", 201, strings.Replace(`{`+client+`,"client_secret_expires_at":0}`, `"client_name"`, `"name"`, 1), "client_name"},
		{"registered, 200", "POST /admin/clients", 200, `{` + client + `,"client_secret_expires_at":0}`, "status is not documented"},
		{"rotated", "POST /admin/clients/a/secrets", 201, `{"id":"1","created_at":"2026-01-01T00:00:00Z","expires_at":null,"last_four":"abcd"}`, ""},
		{"rotated, no time", "POST /admin/clients/a/secrets", 201, `{"id":"1","created_at":"now","expires_at":null,"last_four":"abcd"}`, "created_at"},
		{"ended", "DELETE /admin/clients/a/secrets/1", 204, ``, ""},
		{"ended, 200", "DELETE /admin/clients/a/secrets/1", 200, ``, "status is not documented"},
		{"tokens revoked", "POST /admin/clients/a/revoke-tokens", 204, ``, ""},
		{"signing keys", "GET /admin/signing-keys", 200, `{"items":[` + next + `]}`, ""},
		{"sealed key", "GET /admin/signing-keys", 200, `{"items":[` + strings.Replace(next, `"kid"`, `"sealed":"x","kid"`, 1) + `]}`, "sealed"},
		{"rotated key", "POST /admin/signing-keys/rotate", 201, `{"items":[` + next + `]}`, ""},
		{"audit", "GET /admin/audit", 200, `{"items":[` + event + `]}`, ""},
		{"audit, number in detail", "GET /admin/audit", 200, `{"items":[` + strings.Replace(event, `"read"`, `1`, 1) + `]}`, "detail"},
		{"audit, through a key", "GET /admin/audit", 200, `{"items":[` + strings.Replace(event, `"action"`, `"via":"`+wireKeyID+`","action"`, 1) + `]}`, ""},
		{"person", "GET /admin/users/" + wirePersonID, 200, `{` + personJSON + `}`, ""},
		{"person with a password", "GET /admin/users/" + wirePersonID, 200, `{` + personJSON + `,"password":"x"}`, "password"},
		{"person with the link", "GET /admin/users/" + wirePersonID, 200, `{` + personJSON + `,` + invitedJSON + `}`, "invite"},
		{"people", "GET /admin/users", 200, `{"items":[{` + personJSON + `}],"next_cursor":"x"}`, ""},
		{"person added", "POST /admin/users", 201, `{` + personJSON + `,` + invitedJSON + `}`, ""},
		{"person added without the link", "POST /admin/users", 201, `{` + personJSON + `}`, "invite_url"},
		{"other role", "PATCH /admin/users/" + wirePersonID, 200, strings.Replace(`{`+personJSON+`}`, "developer", "admin", 1), "role"},
		{"taken email", "POST /admin/users", 409, `{"error":"conflict","error_description":"email: is taken"}`, ""},
		{"deleted person", "DELETE /admin/users/" + wirePersonID, 204, ``, ""},
		{"invite", "POST /admin/users/" + wirePersonID + "/invite", 201, `{` + invitedJSON + `}`, ""},
		{"key for a person", "POST /admin/users/" + wirePersonID + "/keys", 201, `{` + newKeyJSON + `}`, ""},
		{"key for a person, not shown", "POST /admin/users/" + wirePersonID + "/keys", 201, `{` + keyHeadJSON + `}`, "key"},
		{"scope that it may not have", "POST /admin/users/" + wirePersonID + "/keys", 400, `{"error":"invalid_scope","error_description":"scope: no"}`, ""},
		{"everybody's key", "GET /admin/keys/" + wireKeyID, 200, `{` + keyHeadJSON + keyRestJSON + ownedJSON + `}`, ""},
		{"everybody's key, whose?", "GET /admin/keys/" + wireKeyID, 200, `{` + keyHeadJSON + keyRestJSON + `}`, "user"},
		{"everybody's key in plain", "GET /admin/keys/" + wireKeyID, 200, `{` + newKeyJSON + keyRestJSON + ownedJSON + `}`, "key"},
		{"everybody's keys", "GET /admin/keys", 200, `{"items":[{` + keyHeadJSON + keyRestJSON + ownedJSON + `}]}`, ""},
		{"ended key", "DELETE /admin/keys/" + wireKeyID, 204, ``, ""},
		{"report", "POST /admin/keys/report", 200, `{"received":2,"live":0}`, ""},
		{"report that tells whose", "POST /admin/keys/report", 200, `{"received":1,"live":1,"users":["u"]}`, "users"},
		{"stats", "GET /admin/stats", 200, statsJSON(60), ""},
		{"stats of a minute less", "GET /admin/stats", 200, statsJSON(59), "tokens"},
		{"me", "GET /api/v1/users/me", 200, me, ""},
		{"me, a client", "GET /api/v1/users/me", 200, meClient, ""},
		{"me, a client with an email", "GET /api/v1/users/me", 200, strings.Replace(meClient, `"name"`, `"email":"a@b","name"`, 1), "oneOf"},
		{"my keys", "GET /api/v1/keys", 200, `{"items":[{` + keyHeadJSON + keyRestJSON + `}],"notices":[]}`, ""},
		{"my key, ended", "GET /api/v1/keys/" + wireKeyID, 200, `{` + keyHeadJSON + strings.Replace(keyRestJSON, `"state":"active","last_used":null,"ended":null`, ended, 1) + `}`, ""},
		{"my key in plain", "GET /api/v1/keys/" + wireKeyID, 200, `{` + newKeyJSON + keyRestJSON + `}`, "key"},
		{"my new key", "POST /api/v1/keys", 201, `{` + newKeyJSON + `}`, ""},
		{"my rotated key", "POST /api/v1/keys/" + wireKeyID + "/rotate", 201, `{` + newKeyJSON + `,"previous":{"id":"` + wireKeyID + `","expires_at":"2026-01-01T00:00:00Z"}}`, ""},
		{"my rotated key, without the old", "POST /api/v1/keys/" + wireKeyID + "/rotate", 201, `{` + newKeyJSON + `}`, "previous"},
		{"resource metadata", "GET /.well-known/oauth-protected-resource", 200, resourceMetadata, ""},
		{"resource metadata, other way", "GET /.well-known/oauth-protected-resource", 200, strings.Replace(resourceMetadata, `"header"`, `"query"`, 1), "bearer_methods"},
		{"healthy", "GET /healthz", 200, `{"status":"ok"}`, ""},
		{"ready", "GET /readyz", 200, `{"status":"ok"}`, "status"},
		{"not ready", "GET /readyz", 503, `{"error":"temporarily_unavailable","error_description":"Not ready"}`, ""},
		{"document", "GET /openapi.yaml", 200, "openapi: 3.1.0", ""},
		{"unknown path", "GET /admin/people", 404, `{"error":"not_found","error_description":"No such path"}`, ""},
		{"wrong method", "PUT /oauth/token", 405, `{"error":"method_not_allowed","error_description":"POST only"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkDrift(t, text, requestTo(t, test.route), canned{test.status, test.body}, test.want)
		})
	}
}

// TestOpenAPIRequests has requests accepted that the document allows, and some that it does not.
func TestOpenAPIRequests(t *testing.T) {
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	const form, object = "application/x-www-form-urlencoded", "application/json"
	token := canned{200, `{"access_token":"mkt_a","token_type":"bearer","expires_in":3600,"scope":"read"}`}
	page := canned{200, `{"items":[]}`}
	keys := canned{201, `{"items":[]}`}
	added := canned{201, `{` + personJSON + `,` + invitedJSON + `}`}
	registered := canned{201, `{` + client + `,"client_secret_expires_at":0}`}
	for _, test := range []struct {
		name, route, contentType, body string
		reply                          canned
		want                           string // a part of the drift; empty: none
	}{
		{"unknown parameter", "POST /oauth/token", form, "grant_type=client_credentials&foo=bar&x[]=1", token, ""},
		{"two resources", "POST /oauth/token", form, "grant_type=client_credentials&resource=https://x&resource=https://y", token, ""},
		{"charset", "POST /oauth/token", form + "; charset=UTF-8", "grant_type=client_credentials&scope=read+write", token, ""},
		{"other grant", "POST /oauth/token", form, "grant_type=password", token, "grant_type"},
		{"no grant", "POST /oauth/token", form, "scope=read", token, "grant_type"},
		{"two spaces", "POST /oauth/token", form, "grant_type=client_credentials&scope=a++b", token, "scope"},
		{"JSON", "POST /oauth/token", object, `{"grant_type":"client_credentials"}`, token, "Content-Type"},
		{"query", "GET /admin/clients?q=b&limit=10&cursor=x&foo=1", "", "", page, ""},
		{"empty query", "GET /admin/clients?q=&limit=&cursor=", "", "", page, ""},
		{"page too long", "GET /admin/clients?limit=1000000", "", "", page, "limit"},
		{"refusals", "GET /admin/audit?refusals=true&since=2026-01-01T00:00:00Z&actor=a&target=b", "", "", page, ""},
		{"no time", "GET /admin/audit?since=yesterday", "", "", page, "since"},
		{"empty time", "GET /admin/audit?since=&refusals=", "", "", page, ""},
		{"client", "POST /admin/clients", object, `{"client_id":"billing","client_secret":"0123456789 !abcdefghijklmnopqrstuvwxyz"}`, registered, ""},
		{"client named like a person", "POST /admin/clients", object, `{"client_id":"usr_1"}`, registered, "client_id"},
		{"client with a short secret", "POST /admin/clients", object, `{"client_secret":"hunter2"}`, registered, "client_secret"},
		{"person", "POST /admin/users", object, `{"email":"ada@example.com","name":null,"role":"operator","unknown":1}`, added, ""},
		{"person without an email", "POST /admin/users", object, `{"name":"Ada"}`, added, "email"},
		{"person with two emails", "POST /admin/users", object, `{"email":"a@b, c@d"}`, added, "email"},
		{"person's role", "POST /admin/users", object, `{"email":"a@b","role":"root"}`, added, "role"},
		{"person patched", "PATCH /admin/users/" + wirePersonID, object, `{"name":null,"role":null,"disabled":null}`, canned{200, `{` + personJSON + `}`}, ""},
		{"person of a wrong id", "GET /admin/users/ada", "", "", canned{200, `{` + personJSON + `}`}, "id"},
		{"key", "POST /admin/users/" + wirePersonID + "/keys", object, `{"name":"n","scope":null,"expires_at":null}`, canned{201, `{` + newKeyJSON + `}`}, ""},
		{"key without a name", "POST /api/v1/keys", object, `{"scope":"read"}`, canned{201, `{` + newKeyJSON + `}`}, "name"},
		{"key that expires sometime", "POST /api/v1/keys", object, `{"name":"n","expires_at":"soon"}`, canned{201, `{` + newKeyJSON + `}`}, "expires_at"},
		{"keys", "GET /admin/keys?user=a@b&q=&state=&limit=1&cursor=", "", "", page, ""},
		{"keys of a state", "GET /admin/keys?state=dead", "", "", page, "state"},
		{"key ended with a reason", "DELETE /api/v1/keys/" + wireKeyID + "?reason=lost", "", "", canned{204, ``}, ""},
		{"report", "POST /admin/keys/report", object, `{"credentials":["x"]}`, canned{200, `{"received":1,"live":0}`}, ""},
		{"report of nothing", "POST /admin/keys/report", object, `{"credentials":[]}`, canned{200, `{"received":1,"live":0}`}, "credentials"},
		{"patch as plain JSON", "PATCH /admin/clients/a", object, `{"scope":null,"audience":null}`, canned{200, `{` + client + `}`}, ""},
		{"rotation without a body", "POST /admin/signing-keys/rotate", "", "", keys, ""},
		{"rotation", "POST /admin/signing-keys/rotate", object, `{"compromised":true,"unknown":1}`, keys, ""},
		{"rotation of all", "POST /admin/signing-keys/rotate", object, `{"compromised":"all"}`, keys, ""},
		{"rotation of a wrong type", "POST /admin/signing-keys/rotate", object, `{"compromised":"true"}`, keys, "compromised"},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := requestTo(t, test.route)
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader(test.body)), int64(len(test.body))
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(test.body)), nil }
			req.Header.Set("Content-Type", test.contentType)
			checkDrift(t, text, req, test.reply, test.want)
		})
	}
}

// checkDrift wants one drift with want in it, or none if that is empty.
func checkDrift(t *testing.T, spec []byte, req *http.Request, reply canned, want string) {
	t.Helper()
	said := &drifts{TB: t}
	if _, err := servertest.Validating(said, reply, spec).RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	switch {
	case want == "" && len(said.said) > 0:
		t.Errorf("got %q, want no drift", said.said)
	case want != "" && (len(said.said) != 1 || !strings.Contains(said.said[0], want)):
		t.Errorf("got %q, want one drift with %q", said.said, want)
	}
}

func metadata(more string) string {
	document := `{"issuer":"https://i","jwks_uri":"https://i/.well-known/jwks.json","grant_types_supported":["client_credentials"],` +
		`"subject_types_supported":["public"]`
	for _, endpoint := range []struct{ name, path string }{{"token", "token"}, {"introspection", "introspect"}, {"revocation", "revoke"}} {
		name := `,"` + endpoint.name + `_endpoint`
		document += name + `":"https://i/oauth/` + endpoint.path + `"` + name + `_auth_methods_supported":["client_secret_basic"]` +
			name + `_auth_signing_alg_values_supported":["ES256","EdDSA","PS256","RS256"]`
	}
	return document + more + `}`
}

const resourceMetadata = `{"resource":"https://i","authorization_servers":["https://i"],"scopes_supported":["mintkeep:keys"],` +
	`"bearer_methods_supported":["header"],"resource_name":"Mintkeep"}`

// requestTo is a request that the document allows.
func requestTo(t *testing.T, route string) *http.Request {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	body, contentType := "", ""
	switch {
	case strings.HasPrefix(path, "/oauth/"):
		body, contentType = "grant_type=client_credentials&scope=&resource=https%3A%2F%2Fx&token=t", "application/x-www-form-urlencoded"
	case method == http.MethodPatch:
		body, contentType = `{"access_token_ttl":null,"token_endpoint_auth_method":null,"disabled":true}`, "application/merge-patch+json"
	case method == http.MethodPost && !strings.HasSuffix(path, "/revoke-tokens") && !strings.HasSuffix(path, "/invite"):
		body = `{"client_id":"a","scope":"read","overlap":"0s","compromised":false,"email":"a@b","name":"n","credentials":["x"]}`
		contentType = "application/json"
	}
	req, err := http.NewRequest(method, "http://server.test"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer t")
	if strings.HasPrefix(path, "/oauth/") {
		req.SetBasicAuth("a", "b")
	}
	return req
}

// canned answers with every header that a response may need.
type canned struct {
	status int
	body   string
}

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	h := http.Header{
		"X-Request-Id":  {"r1"},
		"Cache-Control": {"no-store"},
		"Pragma":        {"no-cache"},
		"Retry-After":   {"2"},
		"Location":      {"/admin/clients/a"},
		"Etag":          {`"abc"`},
		"Allow":         {"POST"},
		"Vary":          {"Authorization"},
		"Content-Type":  {"application/json; charset=utf-8"},
	}
	h.Set("WWW-Authenticate", `Basic realm="mintkeep"`)
	if strings.HasPrefix(req.URL.Path, "/admin/") {
		h.Set("WWW-Authenticate", `Bearer realm="mintkeep"`)
	}
	switch {
	case c.status/100 > 3:
	case req.URL.Path == "/.well-known/jwks.json":
		h.Set("Content-Type", "application/jwk-set+json")
		h.Set("Cache-Control", "public, max-age=300")
	case req.URL.Path == "/openapi.yaml":
		h.Set("Content-Type", "application/yaml")
		h.Set("Cache-Control", "public, max-age=300")
	case strings.HasPrefix(req.URL.Path, "/.well-known/"):
		h.Set("Cache-Control", "public, max-age=300")
	}
	return &http.Response{StatusCode: c.status, Header: h, Body: io.NopCloser(strings.NewReader(c.body)), Request: req}, nil
}

// drifts is a testing.TB that keeps what it is told.
type drifts struct {
	testing.TB
	said []string
}

func (d *drifts) Helper() {}

func (d *drifts) Errorf(format string, args ...any) {
	d.said = append(d.said, fmt.Sprintf(format, args...))
}
