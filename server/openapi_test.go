package server_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/go-cmp/cmp"
)

const openAPIFile = "openapi.yaml"

// loadOpenAPI reads the document and checks it, its examples included.
func loadOpenAPI(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background(), openapi3.EnableMultiError()); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOpenAPIRoutes(t *testing.T) {
	doc := loadOpenAPI(t)
	if got := doc.OpenAPI; !strings.HasPrefix(got, "3.1.") {
		t.Errorf("got OpenAPI %s, want 3.1", got)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"DELETE /admin/clients/{id}",
		"DELETE /admin/clients/{id}/secrets/{secret_id}",
		"DELETE /admin/keys/{id}",
		"DELETE /admin/users/{id}",
		"DELETE /api/v1/keys/{id}",
		"GET /.well-known/jwks.json",
		"GET /.well-known/oauth-authorization-server",
		"GET /.well-known/oauth-protected-resource",
		"GET /.well-known/openid-configuration",
		"GET /admin/audit",
		"GET /admin/clients",
		"GET /admin/clients/{id}",
		"GET /admin/clients/{id}/secrets",
		"GET /admin/clients/{id}/secrets/{secret_id}",
		"GET /admin/guards",
		"GET /admin/guards/probe/{id}",
		"GET /admin/keys",
		"GET /admin/keys/{id}",
		"GET /admin/signing-keys",
		"GET /admin/stats",
		"GET /admin/users",
		"GET /admin/users/{id}",
		"GET /api/v1/keys",
		"GET /api/v1/keys/{id}",
		"GET /api/v1/users/me",
		"GET /apply.schema.json",
		"GET /healthz",
		"GET /oauth/authorize",
		"GET /openapi.yaml",
		"GET /readyz",
		"PATCH /admin/clients/{id}",
		"PATCH /admin/keys/{id}",
		"PATCH /admin/users/{id}",
		"PATCH /api/v1/keys/{id}",
		"POST /admin/clients",
		"POST /admin/clients/{id}/refresh-keys",
		"POST /admin/clients/{id}/revoke-tokens",
		"POST /admin/clients/{id}/secrets",
		"POST /admin/guards/probe",
		"POST /admin/keys/report",
		"POST /admin/keys/revoke",
		"POST /admin/keys/{id}/rotate",
		"POST /admin/signing-keys/rotate",
		"POST /admin/users",
		"POST /admin/users/{id}/invite",
		"POST /admin/users/{id}/keys",
		"POST /api/v1/keys",
		"POST /api/v1/keys/revoke",
		"POST /api/v1/keys/{id}/rotate",
		"POST /oauth/authorize",
		"POST /oauth/changes",
		"POST /oauth/confirm",
		"POST /oauth/introspect",
		"POST /oauth/revoke",
		"POST /oauth/token",
		"PUT /admin/clients/{id}",
	}
	var got []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			got = append(got, method+" "+path)
			req := httptest.NewRequest(method, strings.NewReplacer("{id}", "a.b~c", "{secret_id}", "S1").Replace(path), nil)
			if route, _, err := router.FindRoute(req); err != nil || route.Path != path {
				t.Errorf("%s %s: got route %+v, %v", method, req.URL, route, err)
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

// TestOpenAPIPromises holds the document to what is promised of every response.
func TestOpenAPIPromises(t *testing.T) {
	doc := loadOpenAPI(t)
	cacheable := []string{
		"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/oauth-protected-resource",
		"/.well-known/jwks.json", "/openapi.yaml", "/apply.schema.json",
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 || doc.Tags.Get(op.Tags[0]) == nil {
				t.Errorf("%s: lacks an id, a summary or a declared tag", name)
			}
			if op.Security == nil {
				t.Errorf("%s: does not say who may call it", name)
			}
			want := []string{"500"}
			if strings.HasPrefix(path, "/admin/") {
				want = append(want, "401", "403", "429", "503")
			}
			if strings.HasPrefix(path, "/oauth/") && path != "/oauth/authorize" { // which reads nothing
				want = append(want, "400", "401", "429", "503")
			}
			if strings.HasPrefix(path, "/api/") {
				want = append(want, "400", "401", "429", "503")
			}
			if op.RequestBody != nil {
				want = append(want, "408", "413", "415")
			}
			for _, status := range want {
				if op.Responses.Value(status) == nil {
					t.Errorf("%s: lacks the response %s", name, status)
				}
			}
			for status, resp := range op.Responses.Map() {
				failed := status[0] == '4' || status[0] == '5'
				checkPromises(t, name+" "+status, status, resp.Value, failed || !slices.Contains(cacheable, path))
				if failed && resp.Value.Content["application/json"] == nil {
					t.Errorf("%s %s: lacks the error shape", name, status)
				}
			}
		}
	}
}

func checkPromises(t *testing.T, name, status string, resp *openapi3.Response, noStore bool) {
	t.Helper()
	want := []string{"X-Request-Id"}
	if noStore {
		want = append(want, "Cache-Control", "Pragma")
	}
	switch status {
	case "401":
		want = append(want, "WWW-Authenticate")
	case "429", "503":
		want = append(want, "Retry-After")
	}
	for _, header := range want {
		if h := resp.Headers[header]; h == nil || !h.Value.Required {
			t.Errorf("%s: does not promise the header %s", name, header)
		}
	}
}
