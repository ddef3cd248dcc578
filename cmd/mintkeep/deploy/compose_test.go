package deploy

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// composition is compose.yaml, as far as the tests read it.
type composition struct {
	Services map[string]service
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]any
	Secrets  map[string]struct{ File string }
}

type service struct {
	Image       string
	Command     []string
	Environment map[string]string
	Secrets     []grant
	Volumes     []string
	Tmpfs       []string
	Ports       []string
	Profiles    []string
	User        string
	Networks    any
	NetworkMode string            `yaml:"network_mode"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	CapAdd      []string          `yaml:"cap_add"`
	SecurityOpt []string          `yaml:"security_opt"`
	DependsOn   map[string]any    `yaml:"depends_on"`
	Sysctls     map[string]string `yaml:"sysctls"`
	Healthcheck struct{ Test []string }
}

// grant is a secret that a service may read, below /run/secrets. It is written as a name, or as source and target.
type grant struct{ Source, Target string }

// UnmarshalYAML reads either form.
func (g *grant) UnmarshalYAML(text []byte) error {
	type object grant
	if err := yaml.Unmarshal(text, (*object)(g)); err == nil && g.Source != "" {
		return nil
	}
	err := yaml.Unmarshal(text, &g.Source)
	g.Target = g.Source
	return err
}

// networks are the names of the networks that a service is in.
func (s service) networks() []string {
	var names []string
	switch all := s.Networks.(type) {
	case []any:
		for _, name := range all {
			names = append(names, name.(string))
		}
	case map[string]any:
		for name := range all {
			names = append(names, name)
		}
	}
	return names
}

var variable = regexp.MustCompile(`\$\{([A-Z_]+)(?::[-?]([^}]*))?\}`)

// interpolate replaces the variables of a file as Compose does. A variable that has no value has its default, or, if it is
// required, the message.
func interpolate(text string, values map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		parts := variable.FindStringSubmatch(found)
		if value, ok := values[parts[1]]; ok {
			return value
		}
		return parts[2]
	})
}

var composeValues = map[string]string{"MINTKEEP_HOST": "auth.localhost", "MINTKEEP_USER": "1000:1000"}

func parseComposition(t *testing.T, text string) composition {
	t.Helper()
	var c composition
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(yaml.FormatError(err, false, true))
	}
	return c
}

// compose.yaml is valid by the schema of the Compose Specification, which testdata has a copy of.
func TestComposeSchema(t *testing.T) {
	var document any
	if err := yaml.Unmarshal([]byte(interpolate(read(t, recipes+"/compose.yaml"), composeValues)), &document); err != nil {
		t.Fatal(yaml.FormatError(err, false, true))
	}
	// The validator wants the types of encoding/json.
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile("testdata/compose-spec.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(instance); err != nil {
		t.Error(err)
	}
}

// What Compose itself checks beyond its schema, and what an operator relies on.
func TestComposeServices(t *testing.T) {
	c := parseComposition(t, interpolate(read(t, recipes+"/compose.yaml"), composeValues))
	if !c.Networks["data"].Internal {
		t.Error("the network of Redis is not internal")
	}
	ports := map[string]string{"proxy": "443:443", "orders": "127.0.0.1:8080:8080"}
	for name, s := range c.Services {
		for _, secret := range s.Secrets {
			if file := c.Secrets[secret.Source].File; file != "./secrets/"+secret.Source {
				t.Errorf("%s: the secret %s is the file %q", name, secret.Source, file)
			}
		}
		for _, network := range s.networks() {
			if _, ok := c.Networks[network]; !ok {
				t.Errorf("%s: there is no network %s", name, network)
			}
		}
		for other := range s.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s depends on %s, which does not exist", name, other)
			}
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) || s.User == "" {
			t.Errorf("%s is not confined: %+v", name, s)
		}
		if len(s.CapAdd) != 0 && !strings.HasPrefix(s.Image, "caddy:") {
			t.Errorf("%s has the capabilities %q", name, s.CapAdd)
		}
		if len(s.Healthcheck.Test) == 0 && name != "cli" {
			t.Errorf("%s has no health check", name)
		}
		if got := strings.Join(s.Ports, " "); got != ports[name] {
			t.Errorf("%s publishes %q, want %q", name, got, ports[name])
		}
		if slices.Contains(s.networks(), "data") && name != "redis" && !strings.HasPrefix(name, "mintkeep-") {
			t.Errorf("%s reaches Redis", name)
		}
	}
}

// A variable that no program reads would be a setting without an effect.
func TestComposeSettings(t *testing.T) {
	c := parseComposition(t, interpolate(read(t, recipes+"/compose.yaml"), composeValues))
	for name, s := range c.Services {
		if !strings.Contains(s.Image, "/mintkeep:") || name == "cli" {
			continue
		}
		for variable := range s.Environment {
			if !slices.ContainsFunc(config.Settings(), func(known config.Setting) bool {
				return known.Name == variable || known.Secret && known.File() == variable
			}) {
				t.Errorf("%s: %s is not a setting", name, variable)
			}
		}
	}
}

// The users of Redis have the rights that docs/operations.md explains.
func TestComposeRights(t *testing.T) {
	i := newInstallation(t, "auth.localhost")
	acl := read(t, filepath.Join(i.dir, "secrets/redis-acl"))
	for _, user := range []string{"mintkeep", "mintkeep-backup"} {
		found := regexp.MustCompile(`(?m)^user ` + user + ` on #[0-9a-f]{64} (.*)$`).FindStringSubmatch(acl)
		if want := storetest.DocumentedRights(user); found == nil || found[1] != want {
			t.Errorf("%s has %q, want %q", user, found, want)
		}
	}
}

// Both files for HAProxy repeat the same requests. TestProxies runs the one that is not for Compose.
func TestComposeProxyRepeats(t *testing.T) {
	const begins, ends = "    # A request that failed", "    server "
	var parts []string
	for _, file := range []string{"/haproxy.cfg", "/proxies/haproxy.cfg"} {
		_, part, found := strings.Cut(read(t, recipes+file), begins)
		if !found {
			t.Fatalf("%s does not say what is repeated", file)
		}
		part, _, _ = strings.Cut(part, ends)
		parts = append(parts, part)
	}
	if parts[0] != parts[1] {
		t.Errorf("one has\n%s\nand the other\n%s", parts[0], parts[1])
	}
}
