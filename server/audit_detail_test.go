package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// lastEvent is the newest event of the audit log, as "action" and its detail, whose names must be documented. Ids, which
// are random, are left out.
func lastEvent(t *testing.T, s *servertest.Server, rejections bool) servertest.M {
	t.Helper()
	query := "?limit=1"
	if rejections {
		query += "&refusals=true"
	}
	e := s.Admin(t, http.MethodGet, "/admin/audit"+query, nil).Want(t, http.StatusOK, "").JSON(t)["items"].([]any)[0].(servertest.M)
	got := servertest.M{"action": e["action"]}
	documented := documentedDetails(t)[e["action"].(string)]
	for name, value := range e["detail"].(servertest.M) {
		if !slices.Contains(documented, strings.TrimSuffix(name, "_before")) {
			t.Errorf("docs/operations.md, the table of the audit log, has no %s of %s", name, e["action"])
		}
		if name != "secret" && name != "user" && name != "successor" {
			got[name] = value
		}
	}
	return got
}

// The audit log says what a client is granted: at its creation, and before and after each change.
func TestAuditClientDetail(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	path := "/admin/clients/a"
	created := servertest.M{
		"client_id": "a", "client_name": "Billing", "scope": "read mintkeep:admin", "grant_types": []string{"client_credentials"},
		"token_endpoint_auth_method": "client_secret_basic", "access_token_ttl": 60, "access_token_format": "opaque",
		"audience": []string{"https://a.example", "https://b.example"}, "rate_limit": "10/m", "managed_by": "platform",
		"jwks_uri": "https://a.example/keys", "token_endpoint_auth_signing_alg": "ES256",
	}
	want := servertest.M{
		"action": "client.created", "client_name": "Billing", "scope": "read mintkeep:admin", "grant_types": "client_credentials",
		"token_endpoint_auth_method": "client_secret_basic", "access_token_ttl": "60", "access_token_format": "opaque",
		"audience": "https://a.example https://b.example", "rate_limit": "10/m", "managed_by": "platform",
		"jwks_uri": "https://a.example/keys", "token_endpoint_auth_signing_alg": "ES256",
	}
	secret := s.Admin(t, "POST", "/admin/clients?check=false", created).Want(t, 201, "").JSON(t)["client_secret"].(string)
	s.Secret(secret)
	if diff := cmp.Diff(want, lastEvent(t, s, false)); diff != "" {
		t.Errorf("created (-want +got)\n%s", diff)
	}
	for _, member := range clients.Members {
		if _, there := want[member.Name]; !there && member.Name != "jwks" { // not together with jwks_uri: TestRegistrationWithKeys has it
			t.Errorf("the audit log is not tried with %s", member.Name)
		}
	}
	for _, tt := range []struct {
		patch servertest.M
		want  servertest.M
	}{
		{servertest.M{"scope": "read"}, servertest.M{"action": "client.updated", "changed": "scope", "scope_before": "read mintkeep:admin", "scope": "read", "tokens": "revoked"}},
		{
			servertest.M{"client_name": nil, "audience": nil, "access_token_ttl": nil, "rate_limit": "20/m", "scope": "read"},
			servertest.M{
				"action": "client.updated", "changed": "client_name access_token_ttl audience rate_limit", "client_name": "", "client_name_before": "Billing",
				"audience": "", "audience_before": "https://a.example https://b.example", "access_token_ttl": "", "access_token_ttl_before": "60",
				"rate_limit": "20/m", "rate_limit_before": "10/m", "tokens": "revoked",
			},
		},
		{
			servertest.M{"grant_types": []string{}, "token_endpoint_auth_method": "client_secret_post", "access_token_format": "jwt"},
			servertest.M{
				"action": "client.updated", "changed": "grant_types token_endpoint_auth_method access_token_format",
				"grant_types": "none", "grant_types_before": "client_credentials", "access_token_format": "jwt", "access_token_format_before": "opaque",
				"token_endpoint_auth_method": "client_secret_post", "token_endpoint_auth_method_before": "client_secret_basic", "tokens": "revoked",
			},
		},
		{servertest.M{"disabled": true}, servertest.M{"action": "client.disabled", "disabled": "true", "disabled_before": "false"}},
		{servertest.M{"disabled": true}, servertest.M{"action": "client.disabled", "disabled": "true", "outcome": "already_revoked"}},
		{servertest.M{"disabled": false}, servertest.M{"action": "client.enabled", "disabled": "false", "disabled_before": "true"}},
	} {
		s.Admin(t, http.MethodPatch, path, tt.patch).Want(t, http.StatusOK, "")
		if diff := cmp.Diff(tt.want, lastEvent(t, s, false)); diff != "" {
			t.Errorf("%v (-want +got)\n%s", tt.patch, diff)
		}
	}
}

// A long value is cut, so that an event is bounded. The longest scope is whole.
func TestAuditDetailIsBounded(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	var audience []string
	for i := range 20 {
		audience = append(audience, "https://"+string(rune('a'+i))+".example/"+strings.Repeat("x", 480))
	}
	scope := strings.Repeat("s", 4000) + " mintkeep:admin"
	s.Register(t, servertest.M{"client_id": "a", "scope": scope, "audience": audience})
	got := lastEvent(t, s, false)
	if got["scope"] != scope {
		t.Errorf("a scope of %d bytes is cut to %d", len(scope), len(got["scope"].(string)))
	}
	whole, cut := strings.Join(audience, " "), got["audience"].(string)
	kept, note, _ := strings.Cut(cut, "…")
	if len(kept) != 4096 || !strings.HasPrefix(whole, kept) || note != " (9979 bytes)" || !utf8.ValidString(cut) {
		t.Errorf("an audience of %d bytes is cut to %d, with the note %q", len(whole), len(kept), note)
	}
}

// The audit log says what was changed of a user, and of a key.
func TestAuditUserAndKeyDetail(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	want := func(what string, want servertest.M) {
		t.Helper()
		if diff := cmp.Diff(want, lastEvent(t, s, false)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
	}
	u := s.User(t, servertest.M{"email": "ada@example.com", "name": "Ada", "role": "operator"})
	want("created", servertest.M{"action": "user.created", "email": "ada@example.com", "name": "Ada", "role": "operator"})
	for _, tt := range []struct{ patch, want servertest.M }{
		{servertest.M{"email": "new@example.com"}, servertest.M{"action": "user.updated", "changed": "email", "email": "new@example.com", "email_before": "ada@example.com"}},
		{servertest.M{"name": nil}, servertest.M{"action": "user.updated", "changed": "name", "name": "", "name_before": "Ada"}},
		{servertest.M{"role": "developer"}, servertest.M{"action": "user.demoted", "role": "developer", "role_before": "operator"}},
		{servertest.M{"role": "operator"}, servertest.M{"action": "user.promoted", "role": "operator", "role_before": "developer"}},
		{servertest.M{"disabled": true}, servertest.M{"action": "user.disabled", "disabled": "true", "disabled_before": "false"}},
		{servertest.M{"disabled": false}, servertest.M{"action": "user.enabled", "disabled": "false", "disabled_before": "true"}},
	} {
		s.Admin(t, http.MethodPatch, "/admin/users/"+u.ID, tt.patch).Want(t, http.StatusOK, "")
		want("changed", tt.want)
	}
	moment := func(d time.Duration) string { return b.Clock.Now().Add(d).UTC().Format(time.RFC3339Nano) }
	expires := moment(48 * time.Hour)
	key := s.Key(t, u, servertest.M{"name": "ci", "scope": "read mintkeep:admin", "expires_at": expires})
	want("key created", servertest.M{"action": "key.created", "name": "ci", "scope": "read mintkeep:admin", "expires_at": expires})
	keeper := s.Key(t, u, servertest.M{"name": "keeper", "scope": "read mintkeep:keys"})
	want("key without an expiry", servertest.M{"action": "key.created", "name": "keeper", "scope": "read mintkeep:keys"})
	b.Clock.Advance(time.Millisecond) // events of one millisecond in different streams have no order
	s.API(t, http.MethodPost, apiKeysPath+"/"+key.ID+"/rotate", keeper.Plain, servertest.M{"overlap": "1h"}).Want(t, http.StatusCreated, "")
	want("rotated", servertest.M{
		"action": "key.rotated", "overlap": "1h0m0s", "scope": "read", "scope_before": "read mintkeep:admin",
		"expires_at": moment(time.Hour), "expires_at_before": expires, "successor_expires_at": expires,
	})
}

// Each rejection in the audit log has its reason.
func TestAuditRejectionReasons(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	key := s.Key(t, u, servertest.M{"name": "k", "scope": "read"})
	revoked := s.Key(t, u, servertest.M{"name": "revoked", "scope": "read"})
	s.Admin(t, http.MethodDelete, keysPath+"/"+revoked.ID, nil).Want(t, http.StatusNoContent, "")
	c := s.Register(t, servertest.M{"client_id": "c", "scope": "read mintkeep:admin", "audience": []string{"https://elsewhere.example"}})
	token := s.Token(t, c)
	disabled := s.Token(t, s.Register(t, servertest.M{"client_id": "d", "scope": "read"}))
	s.Admin(t, http.MethodPatch, clientsPath+"/d", servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
	for _, tt := range []struct {
		name, path, credential string
		want                   servertest.M
		actor                  string
	}{
		{"junk at /admin", clientsPath, "junk", servertest.M{"action": "admin.refused", "reason": "malformed"}, ""},
		{"a revoked key at /admin", clientsPath, revoked.Plain, servertest.M{"action": "admin.refused", "reason": "not active"}, ""},
		{"a token for another audience", clientsPath, token, servertest.M{"action": "admin.refused", "reason": "wrong audience"}, "client:c"},
		{"a token of a disabled client", clientsPath, disabled, servertest.M{"action": "admin.refused", "reason": "not active"}, "client:d"},
		{"a token that no record has", clientsPath, changed(token), servertest.M{"action": "admin.refused", "reason": "not active"}, ""},
		{"a key without the scope at /admin", clientsPath, key.Plain, servertest.M{"action": "admin.refused", "reason": "insufficient scope", "needed": "mintkeep:admin"}, "user:" + u.ID},
		{"a revoked key at /api", apiKeysPath, revoked.Plain, servertest.M{"action": "api.refused", "reason": "not active"}, ""},
		{"a key without the scope at /api", apiKeysPath, key.Plain, servertest.M{"action": "api.refused", "reason": "insufficient scope", "needed": "mintkeep:keys"}, "user:" + u.ID},
	} {
		s.Get(t, tt.path, servertest.Bearer(tt.credential))
		if diff := cmp.Diff(tt.want, lastEvent(t, s, true)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
		// Whose it is, is known of what is valid, if only elsewhere.
		page := s.Admin(t, http.MethodGet, "/admin/audit?refusals=true&limit=1", nil).Want(t, http.StatusOK, "").JSON(t)
		if got := page["items"].([]any)[0].(map[string]any)["actor"]; got != tt.actor {
			t.Errorf("%s: the actor is %q, want %q", tt.name, got, tt.actor)
		}
	}
}

// changed is a token with another signature.
func changed(token string) string {
	i := strings.LastIndex(token, ".") + 1
	return token[:i] + strings.Repeat("A", len(token)-i)
}

// documentedDetails are the names that the table of docs/operations.md has for the detail of each action.
func documentedDetails(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The audit log\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string][]string{}
	quoted := regexp.MustCompile("`([a-z_.]+)`")
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \| (.*) \|$`).FindAllStringSubmatch(section, -1) {
		for _, action := range quoted.FindAllStringSubmatch(row[1], -1) {
			for _, name := range append(quoted.FindAllStringSubmatch(row[2], -1), []string{"", ""}) {
				documented[action[1]] = append(documented[action[1]], name[1])
			}
		}
	}
	return documented
}

// docs/operations.md has each action.
func TestAuditTable(t *testing.T) {
	documented := documentedDetails(t)
	for _, action := range audit.Actions() {
		if documented[string(action)] == nil {
			t.Errorf("docs/operations.md, the table of the audit log, has no %s", action)
		}
		delete(documented, string(action))
	}
	for action := range documented {
		t.Errorf("docs/operations.md, the table of the audit log, has %s, which is no action", action)
	}
}

// docs/operations.md has what to do about each reason for which a client is rejected.
func TestRejectionReasonsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	reasons := constants(t, "oauth/clientauth.go")
	for name, value := range constants(t, "assertion/check.go") {
		reasons[name] = value
	}
	if len(reasons) < 20 {
		t.Fatalf("got only the reasons %v", reasons)
	}
	for name, reason := range reasons {
		if !strings.Contains(string(text), "`"+reason+"`") {
			t.Errorf("docs/operations.md does not say what to do about %s: %q", name, reason)
		}
	}
}

// constants are the strings that a file declares as constants.
func constants(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			spec := spec.(*ast.ValueSpec)
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
				values[spec.Names[0].Name], _ = strconv.Unquote(literal.Value)
			}
		}
	}
	return values
}
