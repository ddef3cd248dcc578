package declare_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/declare"
)

var update = flag.Bool("update", false, "write docs/deploy/apply.schema.json")

const schemaFile = "../../docs/deploy/apply.schema.json"

// TestSchemaFile: the schema among the documents is that which a server has.
func TestSchemaFile(t *testing.T) {
	if *update {
		if err := os.WriteFile(schemaFile, declare.Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, declare.Schema()) {
		t.Error("docs/deploy/apply.schema.json is not that of the code; run go test ./server/declare -run Schema -update")
	}
}

// TestSchemaMembers: a declaration has each member of a client but for its owner, which is that of the file.
func TestSchemaMembers(t *testing.T) {
	var schema struct {
		Defs map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(declare.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	for _, m := range clients.Members {
		name := strings.TrimPrefix(m.Name, "client_")
		if schema.Defs["client"].Properties[name] == nil && name != "managed_by" {
			t.Errorf("server/declare/members.go: clientMembers lacks %s", m.Name)
		}
	}
}

// TestSchemaAgrees: what the schema accepts is what is read, as far as a schema can tell.
func TestSchemaAgrees(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(declare.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("apply.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("apply.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		head, head + "clients:", head + "clients: {a: }", head + "users: {ada@example.com: }",
		client("name: A\nscope: [read]\ngrant_types: []\naccess_token_ttl: 1h30m\nrate_limit: 20/s\ndisabled: false\nname2: x"),
		client("name: A\nscope: [read]\ngrant_types: []\naccess_token_ttl: 1h30m\nrate_limit: 20/s\ndisabled: false\naccess_token_format: opaque"),
		client("secrets: [{sha256: " + digestA + "}]"), client("secrets: []"), client("secrets: [{sha256: x}]"), client("secrets: [{}]"),
		client("secret_file: good"), client("secret_file: good\nsecrets: [{sha256: " + digestA + "}]"),
		client("jwks: {keys: []}\nname: 5"), client("scope: read"), client("scope: [a, a]"), client("disabled: x"), client("access_token_format: x"),
		client("access_token_ttl: 5"), "version: 1", "owner: a", "version: 2\nowner: a", "version: 1\nowner: a b", head + "foo: 1",
		head + "users: {ada@example.com: {role: operator, name: Ada, disabled: true}}", head + "users: {ada: {}}",
		head + "users: {ada@example.com: {role: admin}}", head + "clients: {a/b: {}}", head + "clients: {usr_x: {}}",
	} {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		asJSON, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			t.Fatal(err)
		}
		invalid := schema.Validate(instance)
		_, said := read(text)
		beyond := slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "must not begin with usr_") })
		if (invalid != nil) != (len(said) > 0) && !beyond {
			t.Errorf("%s\nthe schema says %v, reading says %q", text, invalid, said)
		}
	}
}
