package schemas

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/gopher-lua/parse"
	"sigs.k8s.io/yaml"
)

// names are the headers of the guard, in lower case. A recipe that leaves one out lets its caller choose it.
var names = []string{
	"x-auth-subject", "x-auth-client-id", "x-auth-scope", "x-auth-type", "x-auth-credential-id", "x-auth-audience", "x-auth-expires", "x-auth-actor",
}

func wantNames(t *testing.T, got []string) {
	t.Helper()
	var lower []string
	for _, name := range got {
		lower = append(lower, strings.ToLower(name))
	}
	if !slices.Equal(lower, names) {
		t.Errorf("the headers are %q, want %q", lower, names)
	}
}

// documents are the YAML documents of a file.
func documents(t *testing.T, file string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../docs/gateways", file))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(text, []byte("\n---\n"))
}

// strict reads a document that has only members that v has.
func strict(t *testing.T, document []byte, v any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(document, v); err != nil {
		t.Fatal(err)
	}
}

// lua is whether a text is Lua 5.1, which LuaJIT reads.
func lua(t *testing.T, text string) {
	t.Helper()
	if _, err := parse.Parse(strings.NewReader(text), "recipe"); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
}

// traefik has the members of Traefik's dynamic configuration that the recipe uses.
type traefik struct {
	HTTP struct {
		Routers map[string]struct {
			EntryPoints, Middlewares []string
			Rule, Service            string
		}
		Middlewares map[string]struct {
			Headers *struct {
				CustomRequestHeaders map[string]string
			}
			ForwardAuth *struct {
				Address                                 string
				TrustForwardHeader                      bool
				AuthRequestHeaders, AuthResponseHeaders []string
			}
		}
		Services map[string]struct {
			LoadBalancer struct {
				Servers []struct{ URL string }
			}
		}
	}
}

func TestTraefik(t *testing.T) {
	var c traefik
	strict(t, documents(t, "traefik.yaml")[0], &c)
	guard := c.HTTP.Middlewares["guard"].ForwardAuth
	wantNames(t, guard.AuthResponseHeaders)
	if guard.Address != "http://127.0.0.1:8181/verify?scope=read" || guard.TrustForwardHeader || !slices.Equal(guard.AuthRequestHeaders, []string{"Authorization"}) {
		t.Errorf("the guard is asked by %+v", guard)
	}
	router := c.HTTP.Routers["orders"]
	if !slices.Equal(router.Middlewares, []string{"strip", "guard"}) || c.HTTP.Services[router.Service].LoadBalancer.Servers == nil {
		t.Errorf("the router is %+v", router)
	}
	var stripped []string
	for _, name := range names {
		if value, there := c.HTTP.Middlewares["strip"].Headers.CustomRequestHeaders[underscored(name)]; there && value == "" {
			stripped = append(stripped, name)
		}
	}
	wantNames(t, stripped)
}

// underscored is X_Auth_Client_Id for x-auth-client-id.
func underscored(name string) string {
	parts := strings.Split(name, "-")
	for i, part := range parts {
		parts[i] = strings.ToUpper(part[:1]) + part[1:]
	}
	return strings.Join(parts, "_")
}

// apisix has the members of APISIX's routes and of the plugins that the recipe uses.
type apisix struct {
	Routes []struct {
		ID, URI string
		Plugins struct {
			Pre struct {
				Phase     string
				Functions []string
			} `json:"serverless-pre-function"`
			Auth struct {
				URI              string
				Method           string   `json:"request_method"` // GET or POST
				RequestHeaders   []string `json:"request_headers"`
				UpstreamHeaders  []string `json:"upstream_headers"`
				ClientHeaders    []string `json:"client_headers"`
				Timeout          int
				Keepalive        bool
				KeepalivePool    int  `json:"keepalive_pool"`
				AllowDegradation bool `json:"allow_degradation"`
				StatusOnError    int  `json:"status_on_error"`
			} `json:"forward-auth"`
		}
		Upstream struct {
			Type  string
			Nodes map[string]int
		}
	}
}

func TestAPISIX(t *testing.T) {
	var c apisix
	document := documents(t, "apisix.yaml")[0]
	strict(t, document, &c)
	auth, pre := c.Routes[0].Plugins.Auth, c.Routes[0].Plugins.Pre
	wantNames(t, auth.UpstreamHeaders)
	if auth.URI != "http://127.0.0.1:8181/verify?scope=read" || auth.Method != "GET" || auth.AllowDegradation || auth.StatusOnError != 503 ||
		!slices.Equal(auth.RequestHeaders, []string{"Authorization"}) || !slices.Contains(auth.ClientHeaders, "WWW-Authenticate") {
		t.Errorf("the guard is asked by %+v", auth)
	}
	if pre.Phase != "rewrite" || len(pre.Functions) != 1 {
		t.Errorf("before it runs %+v", pre)
	}
	lua(t, pre.Functions[0])
	if !bytes.HasSuffix(document, []byte("\n#END\n")) {
		t.Error("APISIX reads no file without #END at its end")
	}
}

// kong has the members of Kong's declarative configuration that the recipe uses.
type kong struct {
	Format   string `json:"_format_version"`
	Services []struct {
		Name, URL string
		Routes    []struct {
			Name  string
			Paths []string
			Strip bool `json:"strip_path"`
		}
		Plugins []struct {
			Name   string
			Config struct{ Access []string }
		}
	}
}

func TestKong(t *testing.T) {
	var c kong
	strict(t, documents(t, "kong.yaml")[0], &c)
	plugin := c.Services[0].Plugins[0]
	if plugin.Name != "pre-function" || len(plugin.Config.Access) != 1 || c.Services[0].Routes[0].Strip {
		t.Fatalf("the service is %+v", c.Services[0])
	}
	text := plugin.Config.Access[0]
	lua(t, text)
	for _, name := range names {
		if !strings.Contains(strings.ToLower(text), `"`+name+`"`) {
			t.Errorf("%s is not passed on", name)
		}
	}
}
