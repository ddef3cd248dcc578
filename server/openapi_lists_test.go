package server_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/oauth"
)

// TestOpenAPILists holds the document's enumerations to the lists of client authentication methods, grants and algorithms.
func TestOpenAPILists(t *testing.T) {
	schemas := loadOpenAPI(t).Components.Schemas
	property := func(schema, name string) *openapi3.Schema {
		ref := schemas[schema].Value.Properties[name]
		if ref == nil {
			t.Fatalf("openapi.yaml: schema %s has no %s", schema, name)
		}
		return ref.Value
	}
	offers := oauth.Offers(oauth.AuthMethods()...)
	for what, list := range map[string]struct {
		schema *openapi3.Schema
		want   []string
	}{
		"AuthMethod":                             {schemas["AuthMethod"].Value, offers.AuthMethods},
		"AuthMethods":                            {schemas["AuthMethods"].Value.Items.Value, offers.AuthMethods},
		"ClientRegistration, the method":         {property("ClientRegistration", "token_endpoint_auth_method"), offers.AuthMethods},
		"ClientPatch, the method":                {property("ClientPatch", "token_endpoint_auth_method"), offers.AuthMethods},
		"Client, the method":                     {property("Client", "token_endpoint_auth_method"), offers.AuthMethods},
		"RegisteredClient, the method":           {property("RegisteredClient", "token_endpoint_auth_method"), offers.AuthMethods},
		"GrantTypes":                             {schemas["GrantTypes"].Value.Items.Value, offers.GrantTypes},
		"ClientRegistration, the grants":         {property("ClientRegistration", "grant_types").Items.Value, offers.GrantTypes},
		"ClientPatch, the grants":                {property("ClientPatch", "grant_types").Items.Value, offers.GrantTypes},
		"TokenRequest, the grant":                {property("TokenRequest", "grant_type"), offers.GrantTypes},
		"Metadata, grant_types_supported":        {property("Metadata", "grant_types_supported").Items.Value, offers.GrantTypes},
		"Metadata, the methods at introspection": {property("Metadata", "introspection_endpoint_auth_methods_supported").Items.Value, offers.AuthMethods},
		"AuthAlgorithms":                         {schemas["AuthAlgorithms"].Value.Items.Value, jwks.Algorithms},
		"SigningAlg":                             {schemas["SigningAlg"].Value, jwks.Algorithms},
		"ClientPatch, the algorithm":             {property("ClientPatch", "token_endpoint_auth_signing_alg"), jwks.Algorithms},
		"ClientKey, the algorithm":               {property("ClientKey", "alg"), jwks.Algorithms},
	} {
		if got := enumerated(list.schema); !slices.Equal(got, list.want) {
			t.Errorf("openapi.yaml: %s has %q, want %q", what, got, list.want)
		}
	}
	for what, s := range map[string]*openapi3.Schema{
		"GrantTypes": schemas["GrantTypes"].Value, "Metadata, grant_types_supported": property("Metadata", "grant_types_supported"),
	} {
		if s.MaxItems == nil || *s.MaxItems != uint64(len(offers.GrantTypes)) {
			t.Errorf("openapi.yaml: %s may not have as many as there are, %d", what, len(offers.GrantTypes))
		}
	}
}

// enumerated are the values of an enum or a const, without null.
func enumerated(s *openapi3.Schema) []string {
	values := s.Enum
	if s.Const != nil {
		values = []any{s.Const}
	}
	var names []string
	for _, v := range values {
		if v != nil {
			names = append(names, fmt.Sprint(v))
		}
	}
	return names
}

// listed are names as an array in JSON has them.
func listed(names []string) (list []any) {
	for _, name := range names {
		list = append(list, name)
	}
	return list
}
