package schemas

import (
	"testing"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	extauthz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	mutation "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	mesh "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// message reads a document as a message, which has a member for each of the document's.
func message(t *testing.T, document []byte, m proto.Message) {
	t.Helper()
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(text, m); err != nil {
		t.Fatal(err)
	}
	validate(t, m)
}

// validate holds a message to the rules that Envoy's API has for its members.
func validate(t *testing.T, m proto.Message) {
	t.Helper()
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			t.Error(err)
		}
	}
}

// inside is the message in an Any.
func inside(t *testing.T, any *anypb.Any, m proto.Message) {
	t.Helper()
	if err := any.UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	validate(t, m)
}

func TestEnvoy(t *testing.T) {
	var c bootstrap.Bootstrap
	message(t, documents(t, "envoy.yaml")[0], &c)
	var manager hcm.HttpConnectionManager
	inside(t, c.StaticResources.Listeners[0].FilterChains[0].Filters[0].GetTypedConfig(), &manager)
	if len(manager.HttpFilters) != 3 {
		t.Fatalf("there are %d filters", len(manager.HttpFilters))
	}
	var strip mutation.HeaderMutation
	inside(t, manager.HttpFilters[0].GetTypedConfig(), &strip)
	if got := strip.Mutations.RequestMutations[0].GetRemoveOnMatch().KeyMatcher; got.GetPrefix() != "x-auth-" || !got.IgnoreCase {
		t.Errorf("what is stripped is %v", got)
	}
	var guard extauthz.ExtAuthz
	inside(t, manager.HttpFilters[1].GetTypedConfig(), &guard)
	var allowed []string
	for _, p := range guard.GetHttpService().AuthorizationResponse.AllowedUpstreamHeaders.Patterns {
		allowed = append(allowed, p.GetExact())
	}
	wantNames(t, allowed)
	if guard.FailureModeAllow || guard.StatusOnError.Code != 503 || guard.WithRequestBody != nil || guard.GetHttpService().PathPrefix != "/verify/scope=read" {
		t.Errorf("the guard is asked by %v", &guard)
	}
	inside(t, manager.HttpFilters[2].GetTypedConfig(), &router.Router{})
}

func TestIstio(t *testing.T) {
	all := documents(t, "istio.yaml")
	var m mesh.MeshConfig
	message(t, all[0], &m)
	guard := m.ExtensionProviders[0].GetEnvoyExtAuthzHttp()
	wantNames(t, guard.HeadersToUpstreamOnAllow)
	if guard.FailOpen || guard.StatusOnError != "503" || guard.PathPrefix != "/verify/scope=read" || guard.IncludeRequestBodyInCheck != nil {
		t.Errorf("the guard is asked by %v", guard)
	}
	var object struct {
		APIVersion, Kind string
		Metadata         struct{ Name, Namespace string }
		Spec             any
	}
	strict(t, all[1], &object)
	spec, err := yaml.Marshal(object.Spec)
	if err != nil {
		t.Fatal(err)
	}
	var policy security.AuthorizationPolicy
	message(t, spec, &policy)
	if policy.Action != security.AuthorizationPolicy_CUSTOM || policy.GetProvider().Name != m.ExtensionProviders[0].Name {
		t.Errorf("the policy is %v", &policy)
	}
}

func TestGatewayAPI(t *testing.T) {
	var route gateway.HTTPRoute
	strict(t, documents(t, "gateway-api.yaml")[0], &route)
	filter := route.Spec.Rules[0].Filters[0]
	if filter.Type != gateway.HTTPRouteFilterExternalAuth || filter.ExternalAuth.ExternalAuthProtocol != gateway.HTTPRouteExternalAuthHTTPProtocol {
		t.Fatalf("the filter is %+v", filter)
	}
	wantNames(t, filter.ExternalAuth.HTTPAuthConfig.AllowedResponseHeaders)
	if got := filter.ExternalAuth.HTTPAuthConfig.Path; got != "/verify/scope=read" || filter.ExternalAuth.ForwardBody != nil {
		t.Errorf("the guard is asked by %+v", filter.ExternalAuth)
	}
}
