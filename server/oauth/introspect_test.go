package oauth

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
)

// An active answer has the members of its two schemas in openapi.yaml, and no others.
func TestIntrospectionHasTheMembersOfItsSchemas(t *testing.T) {
	loader := openapi3.NewLoader()
	document, err := loader.LoadFromFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, name := range []string{"ActiveToken", "ActiveKey"} {
		for member := range document.Components.Schemas[name].Value.Properties {
			want = append(want, member)
		}
	}
	for field := range reflect.TypeFor[introspection]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		got = append(got, name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
		t.Errorf("members (-server/openapi.yaml +server/oauth/introspect.go)\n%s", diff)
	}
}
