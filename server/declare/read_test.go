package declare_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/declare"
)

// offers are those of a server, as far as the tests need them.
var offers = clients.Offers{
	AuthMethods:   []string{"client_secret_basic", "client_secret_post", "private_key_jwt"},
	SecretMethods: []string{"client_secret_basic", "client_secret_post"},
	GrantTypes:    []string{"client_credentials"},
}

// The digests of two secrets, and a file with a secret.
const (
	digestA = "c7b2a5d0a26d3bc4d2bd5dd6b6a7e3f9e7a9a2a54c8d3c2b6a3d7c8a1b9f0e11"
	digestB = "0e11c7b2a5d0a26d3bc4d2bd5dd6b6a7e3f9e7a9a2a54c8d3c2b6a3d7c8a1b9f"
)

func readSecret(_, path string) (string, error) {
	switch path {
	case "good":
		return strings.Repeat("x", 40), nil
	case "short":
		return "short", nil
	}
	return "", errors.New("the file is not there")
}

func read(files ...string) (*declare.Declaration, []string) {
	var all []declare.File
	for i, text := range files {
		all = append(all, declare.File{Name: string(rune('a'+i)) + ".yaml", Text: []byte(text)})
	}
	d, mistakes := declare.Read(all, declare.Options{Offers: offers, ReadSecret: readSecret})
	var said []string
	for _, m := range mistakes {
		said = append(said, m.String())
	}
	return d, said
}

const head = "version: 1\nowner: platform\n"

// client is a document with one client, whose members begin at line 5.
func client(members string) string {
	return head + "clients:\n  billing:\n    " + strings.ReplaceAll(strings.TrimSpace(members), "\n", "\n    ") + "\n"
}

// An unknown member behind a secret that is not used is told for itself alone.
func TestUnknownMemberBehindASecret(t *testing.T) {
	_, said := read(client("secret_file: good\naudiense: [https://a.example]\ntoken_endpoint_auth_method: private_key_jwt\njwks_uri: https://a.example/k"))
	if len(said) != 2 || !strings.Contains(said[0], "secret_file: is not used") || !strings.Contains(said[1], "audiense: is not known") {
		t.Errorf("got %q", said)
	}
}

// TestReadMistakes: each is said with its file, its line and its path.
func TestReadMistakes(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"an unknown member":            {client("name: Billing\nscop: [read]"), "a.yaml:6: clients.billing.scop: is not known"},
		"an unknown top-level member":  {head + "client: {}", "a.yaml:3: client: is not known"},
		"a member twice":               {client("name: A\nname: B"), "a.yaml:6: clients.billing.name: appears twice: line 5 has it too"},
		"an id twice":                  {head + "clients:\n  a: {}\n  a: {}", "a.yaml:5: clients.a: appears twice: line 4 has it too"},
		"no version":                   {"owner: platform", "a.yaml:1: version: is missing"},
		"another version":              {"version: 2\nowner: platform", "a.yaml:1: version: must be 1"},
		"no owner":                     {"version: 1", "a.yaml:1: owner: is missing"},
		"a bad owner":                  {"version: 1\nowner: a b", "a.yaml:2: owner: must be 1 to 64"},
		"a scope that is none":         {client(`scope: ['a"b']`), "a.yaml:5: clients.billing.scope: must be space-separated scope tokens"},
		"two scopes in one item":       {client("scope:\n  - read\n  - a b"), "a.yaml:7: clients.billing.scope[1]: must be one word"},
		"a scope twice":                {client("scope: [read, read]"), "a.yaml:5: clients.billing.scope[1]: appears twice"},
		"a scope that is a text":       {client("scope: read write"), "a.yaml:5: clients.billing.scope: must be a list of strings"},
		"an unknown scope of Mintkeep": {client("scope: ['mintkeep:admn']"), "a.yaml:5: clients.billing.scope: contains an unknown mintkeep: scope"},
		"a name that is a number":      {client("name: 5"), "a.yaml:5: clients.billing.name: must be a string: put it in quotes"},
		"an audience that is no URI":   {client("audience: [orders]"), "a.yaml:5: clients.billing.audience: must be absolute URIs"},
		"a lifetime without a unit":    {client("access_token_ttl: '900'"), "a.yaml:5: clients.billing.access_token_ttl: must be a duration of whole seconds"},
		"a lifetime of half a second":  {client("access_token_ttl: 1.5s"), "a.yaml:5: clients.billing.access_token_ttl: must be a duration of whole seconds"},
		"a rate without a unit":        {client("rate_limit: '600'"), "a.yaml:5: clients.billing.rate_limit: must be"},
		"disabled as a word":           {client("disabled: yes"), "a.yaml:5: clients.billing.disabled: must be true or false"},
		"a method that is none":        {client("token_endpoint_auth_method: none"), "a.yaml:5: clients.billing.token_endpoint_auth_method: none is not supported"},
		"a method without its key":     {client("token_endpoint_auth_method: private_key_jwt"), "a.yaml:5: clients.billing.token_endpoint_auth_method: private_key_jwt needs a key"},
		"keys that are none":           {client("jwks: {keys: []}"), "a.yaml:5: clients.billing.jwks: "},
		"an id that is none":           {head + "clients: {a/b: {}}", "a.yaml:3: clients.a/b: must be 1 to 128"},
		"a client that is a list":      {head + "clients: {a: []}", "a.yaml:3: clients.a: must be a mapping"},
		"an alias":                     {client("name: &n A\nscope: [*n]"), "clients.billing.scope[0]: must be a string"},
		"a merge key":                  {client("<<: {name: A}"), "a.yaml:5: clients.billing: must have plain names"},
		"a secret in the file":         {client("secrets: [{secret: abc, sha256: " + digestA + "}]"), "a.yaml:5: clients.billing.secrets[0].secret: is not known: a secret has sha256 alone, and never itself"},
		"a secret without a digest":    {client("secrets:\n  - {}"), "a.yaml:6: clients.billing.secrets[0]: sha256: is missing"},
		"no secrets":                   {client("secrets: []"), "a.yaml:5: clients.billing.secrets: must be a list of 1 or 2"},
		"a digest that is none":        {client("secrets: [{sha256: abc}]"), "clients.billing.secrets[0].sha256: must be 64 hexadecimal digits"},
		"a digest twice":               {client("secrets: [{sha256: " + digestA + "}, {sha256: " + strings.ToUpper(digestA) + "}]"), "clients.billing.secrets[1].sha256: appears twice"},
		"a weak secret": {
			client("secrets: [{sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b}]"), // secret
			"clients.billing.secrets[0].sha256: is the digest of a secret that is easy to guess",
		},
		"a file without a secret":       {client("secret_file: none"), "a.yaml:5: clients.billing.secret_file: the file is not there"},
		"a file with a short secret":    {client("secret_file: short"), "a.yaml:5: clients.billing.secret_file: the secret in the file must be 32 to 256"},
		"secrets and the file of one":   {client("secret_file: good\nsecrets: [{sha256: " + digestA + "}]"), "a.yaml:6: clients.billing.secrets: a client has secrets or secret_file, not both"},
		"a secret that is not used":     {client("secret_file: good\ntoken_endpoint_auth_method: private_key_jwt\njwks_uri: https://a.example/k"), "a.yaml:5: clients.billing.secret_file: is not used with this"},
		"a user without an address":     {head + "users: {ada: {}}", "a.yaml:3: users.ada: must be one address"},
		"a role that is none":           {head + "users:\n  ada@example.com: {role: admin}", "a.yaml:4: users.ada@example.com.role: must be developer or operator"},
		"a password":                    {head + "users:\n  ada@example.com: {password: x}", "a.yaml:4: users.ada@example.com.password: is not known"},
		"a user twice, in another case": {head + "users: {ada@example.com: {}, ADA@example.com: {}}", "a.yaml:3: users.ADA@example.com: is declared twice"},
		"no YAML":                       {head + "clients: [\n", "is not YAML"},
		"a text":                        {"hello", "a.yaml:1: must be a mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			_, said := read(tt.text)
			if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, tt.want) }) {
				t.Errorf("got %q, want %q", said, tt.want)
			}
		})
	}
}

// TestReadAllMistakes: those of all files are said at once, in their order.
func TestReadAllMistakes(t *testing.T) {
	_, said := read(client("nam: A\nrate_limit: 600\nscope: ['a\\b']"), client("name: A"), head+"clients:\n  orders: {audience: [x]}\nfoo: 1")
	for i := range said {
		said[i], _, _ = strings.Cut(said[i], ": ")
	}
	if diff := cmp.Diff([]string{"a.yaml:5", "a.yaml:6", "a.yaml:7", "c.yaml:4", "c.yaml:5", "b.yaml:4"}, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestReadMistakesQuoteNoSecret: a secret at the wrong place is not repeated.
func TestReadMistakesQuoteNoSecret(t *testing.T) {
	for _, text := range []string{
		client("secrets: [{sha256: canary}]"), client("secrets: canary"), client("secrets: [canary]"), client("jwks: canary"), client("rate_limit: canary"),
		client("secret_file: [canary]"), head + "clients: canary", "canary: [", "version: canary\nowner: [canary]", client("scope: ['\"canary']"), "\"canary\n: '",
	} {
		_, said := read(text)
		if all := strings.Join(said, "\n"); all == "" || strings.Contains(strings.ReplaceAll(all, "canary: is not known", ""), "canary") {
			t.Errorf("%q: got %q", text, all)
		}
	}
}

// TestRead: documents, files and owners come together, with the names of the API.
func TestRead(t *testing.T) {
	d, said := read(head+`
clients:
  billing:
    name: Billing
    scope: [read, payments:write]
    grant_types: []
    access_token_ttl: 15m
    audience: [https://orders.example.com]
    secrets: [{sha256: `+strings.ToUpper(digestA)+`}]
    disabled: true
  true: {name: ~}
---
version: 1
owner: infra
users: {Ada@example.com: {role: operator, name: Ada}}
---
# nothing
`, `{"version": 1, "owner": "platform", "clients": {"123": {"secret_file": "good"}}}`, "")
	if len(said) > 0 {
		t.Fatal(said)
	}
	if diff := cmp.Diff([]string{"platform", "infra"}, d.Owners); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	got := map[string]string{}
	for _, c := range d.Clients {
		members, err := json.Marshal(c.Members)
		if err != nil {
			t.Fatal(err)
		}
		got[c.ID] = c.Owner + " " + string(members) + " " + strings.Join(c.Secrets, " ")
	}
	for _, u := range d.Users {
		got[u.ID] = u.Owner + " " + u.Role + " " + u.Name
	}
	want := map[string]string{
		"billing": `platform {"access_token_ttl":900,"audience":["https://orders.example.com"],"client_name":"Billing","disabled":true,` +
			`"grant_types":[],"managed_by":"platform","scope":"read payments:write"} ` + digestA,
		"true":            `platform {"managed_by":"platform"} `,
		"123":             `platform {"managed_by":"platform"} 5d8f8bf1cb9cfa1ca1db2b1a0a3cd9a6ee5c6bd4a31e2a1dd5a5cc60c3e5b5b1`,
		"Ada@example.com": "infra operator Ada",
	}
	want["123"] = got["123"] // its digest is checked with a real server
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzRead: nothing that a file may have makes reading fail otherwise than with its errors, and what is read can be planned.
func FuzzRead(f *testing.F) {
	f.Add(head)
	f.Add(client("name: A\nscope: [read]\njwks: {keys: [{kty: EC}]}\nsecrets: [{sha256: " + digestA + "}]"))
	f.Add(client("name: &a A\n<<: *a\naudience: !!str x"))
	f.Add(head + "users:\n  ? [a]\n  : |\n    x\n---\n- 1\n...\n%TAG ! tag:x\n")
	f.Add(`{"version": 1, "owner": "o", "clients": {"a": {"scope": ["a", 1, null, .5, .inf]}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		d, said := read(text)
		if len(said) > 0 {
			return
		}
		plan, _ := declare.NewPlan(d, declare.Live{Users: []adminapi.User{{Email: "ada@example.com"}}}, declare.Policy{Prune: true, Adopt: true})
		if len(plan.Steps) > len(d.Clients)+len(d.Users)+1 {
			t.Errorf("got %d steps", len(plan.Steps))
		}
	})
}
