package main

import (
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/oauth"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// The public key of RFC 7517 §A.1, as it is stored.
const (
	exampleThumbprint = "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
	exampleKeys       = `{"keys":[{"kty":"EC","kid":"` + exampleThumbprint + `","crv":"P-256",` +
		`"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`
)

// memberExamples has for each member of the table another value than the default, how the CLI prints it, and the other
// members that it needs.
var memberExamples = map[string]struct{ json, printed, needs string }{
	"client_name":                     {`"Billing Example"`, "Billing Example", ""},
	"scope":                           {`"invoices:read invoices:write"`, "invoices:read invoices:write", ""},
	"grant_types":                     {`[]`, "none", ""},
	"token_endpoint_auth_method":      {`"client_secret_post"`, "client_secret_post", ""},
	"access_token_ttl":                {`754`, "12m34s", ""},
	"access_token_format":             {`"opaque"`, "opaque", ""},
	"audience":                        {`["https://a.example","https://b.example"]`, "https://a.example https://b.example", ""},
	"jwks":                            {exampleKeys, exampleThumbprint, ""},
	"jwks_uri":                        {`"https://billing.example.com/jwks.json"`, "https://billing.example.com/jwks.json", ""},
	"token_endpoint_auth_signing_alg": {`"ES256"`, "ES256", exampleKeys},
	"rate_limit":                      {`"599/h"`, "599/h", ""},
	"managed_by":                      {`"platform-eu"`, "platform-eu", ""},
}

// TestClientMembers holds every place in which a client's metadata stand to the one table of them, [clients.Members].
func TestClientMembers(t *testing.T) {
	schemas := openAPISchemas(t)
	readme, form := text(t, "../../README.md"), text(t, "../../server/dashboard/templates/shared/clients.html")
	flags := memberFlags()
	s := servertest.New(t, storetest.Embedded(t))

	for _, m := range clients.Members {
		t.Run(m.Name, func(t *testing.T) {
			if !strings.Contains(readme, "\n| `"+m.Name+"` | ") {
				t.Errorf("README.md: the table of client members has no row for it")
			}
			for _, schema := range []string{"ClientRegistration", "ClientPatch", "Client", "RegisteredClient"} {
				if schemas[schema].Value.Properties[m.Name] == nil {
					t.Errorf("server/openapi.yaml: the schema %s lacks it", schema)
				}
			}
			if m.Field != "" && !strings.Contains(form, ` name="`+m.Field+`"`) {
				t.Errorf("server/dashboard/templates/shared/clients.html: no field %s", m.Field)
			}
			if flags[m.Name] == "" {
				t.Errorf("cmd/mintkeep/metadata.go: no flag for it")
			}
			example, ok := memberExamples[m.Name]
			if !ok {
				t.Fatalf("cmd/mintkeep/members_test.go: no example of it")
			}
			body := checkMemberView(t, s, m.Name, example.json, example.needs)
			checkMemberPrint(t, body, example.printed)
		})
		delete(flags, m.Name)
	}
	for member, flag := range flags {
		t.Errorf("cmd/mintkeep/metadata.go: --%s sets %s, which is not in clients.Members", flag, member)
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func openAPISchemas(t *testing.T) openapi3.Schemas {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(server.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas
}

// memberFlags are the flags of create and update by the members that they set.
func memberFlags() map[string]string {
	flags := map[string]string{}
	for field := range reflect.TypeFor[metadata]().Fields() {
		flags[field.Tag.Get("member")] = field.Tag.Get("name")
	}
	return flags
}

// TestReadmeLists holds README.md's table of client members to the lists of client authentication methods and grants.
func TestReadmeLists(t *testing.T) {
	offers := oauth.Offers(oauth.AuthMethods()...)
	for member, names := range map[string][]string{"token_endpoint_auth_method": offers.AuthMethods, "grant_types": offers.GrantTypes} {
		_, row, _ := strings.Cut(text(t, "../../README.md"), "\n| `"+member+"` | ")
		row, _, _ = strings.Cut(row, "\n")
		for _, name := range names {
			if !strings.Contains(row, name) {
				t.Errorf("README.md: the row %s does not name %s", member, name)
			}
		}
	}
}

// checkMemberView registers a client with the example, and another that a patch changes to it: both have it when they
// are shown. It returns the view. keys are those that the client has besides; empty: none.
func checkMemberView(t *testing.T, s *servertest.Server, member, example, keys string) (view string) {
	t.Helper()
	set, before := servertest.M{member: json.RawMessage(example)}, servertest.M{}
	if keys != "" {
		set["jwks"], before["jwks"] = json.RawMessage(keys), json.RawMessage(keys)
	}
	register := func(metadata servertest.M) string { // no key set is at the URL of the example
		answer := s.Admin(t, http.MethodPost, "/admin/clients?check=false", metadata).Want(t, http.StatusCreated, "").JSON(t)
		return answer["client_id"].(string)
	}
	id, patched := register(set), register(before)
	s.Admin(t, http.MethodPatch, "/admin/clients/"+patched+"?check=false", set).Want(t, http.StatusOK, "")
	for _, id := range []string{id, patched} {
		var shown map[string]json.RawMessage
		view = s.Admin(t, http.MethodGet, "/admin/clients/"+id, nil).Want(t, http.StatusOK, "").Body
		if err := json.Unmarshal([]byte(view), &shown); err != nil {
			t.Fatal(err)
		}
		if got := string(shown[member]); got != example {
			t.Errorf("server/adminapi/clients.go and server/admin/view.go: the view has %q, want %s", got, example)
		}
	}
	return view
}

func checkMemberPrint(t *testing.T, view, printed string) {
	t.Helper()
	admin := newAdmin(t, says(http.StatusOK, view))
	got := mintkeep(t, admin.environ(), "", "client", "show", "x")
	if got.code != exitOK || !strings.Contains(got.stdout, "  "+printed+"\n") {
		t.Errorf("cmd/mintkeep/clientprint.go: mintkeep client show prints no %q:\n%s%s", printed, got.stdout, got.stderr)
	}
}
