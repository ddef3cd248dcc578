package declare_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/declare"
)

// live is a client of a server, enabled, with these secrets.
func live(t *testing.T, secrets ...adminapi.Secret) declare.Live {
	t.Helper()
	body, err := json.Marshal(adminapi.Client{
		ID: "billing", GrantTypes: []string{"client_credentials"}, TokenFormat: "jwt", ManagedBy: "platform", Secrets: secrets,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := declare.ReadClient(body, offers)
	if err != nil {
		t.Fatal(err)
	}
	return declare.Live{Clients: []declare.LiveClient{c}}
}

// TestPlanSecrets: a secret that takes the place of another lets it expire; one that is in no file any more is revoked; and what
// was planned is as declared afterwards.
func TestPlanSecrets(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	secret := func(id, digest string) adminapi.Secret { return adminapi.Secret{ID: id, SHA256: digest} }
	expiring := func(s adminapi.Secret) adminapi.Secret { s.ExpiresAt = &soon; return s }
	a, b := secret("1", digestA), secret("2", digestB)
	other, imported := secret("3", strings.Repeat("3", 64)), secret("4", "")
	for name, tt := range map[string]struct {
		declared []string
		has      []adminapi.Secret
		want     []declare.SecretChange
	}{
		"as declared":                          {[]string{digestA}, []adminapi.Secret{a}, nil},
		"both as declared, in another order":   {[]string{digestB, digestA}, []adminapi.Secret{a, b}, nil},
		"none is there":                        {[]string{digestA}, nil, []declare.SecretChange{{Add: digestA, Keep: true}}},
		"neither is there":                     {[]string{digestA, digestB}, nil, []declare.SecretChange{{Add: digestA, Keep: true}, {Add: digestB, Keep: true}}},
		"a second one":                         {[]string{digestA, digestB}, []adminapi.Secret{a}, []declare.SecretChange{{Add: digestB, Keep: true}}},
		"another one in its place":             {[]string{digestB}, []adminapi.Secret{a}, []declare.SecretChange{{Add: digestB}}},
		"after that, while it expires":         {[]string{digestB}, []adminapi.Secret{expiring(a), b}, nil},
		"the first of two is not declared":     {[]string{digestB}, []adminapi.Secret{a, b}, []declare.SecretChange{{Revoke: "1"}}},
		"an imported one in its place":         {[]string{digestA}, []adminapi.Secret{imported}, []declare.SecretChange{{Add: digestA}}},
		"another one in the place of one of 2": {[]string{digestA, digestB}, []adminapi.Secret{a, other}, []declare.SecretChange{{Revoke: "3"}, {Add: digestB, Keep: true}}},
		"another one in the place of 2":        {[]string{digestA}, []adminapi.Secret{other, b}, []declare.SecretChange{{Revoke: "3"}, {Add: digestA}}},
		"a declared one that expires":          {[]string{digestA}, []adminapi.Secret{expiring(a)}, []declare.SecretChange{{Add: digestA, Renew: true, Keep: true}}},
		"both expire":                          {[]string{digestA, digestB}, []adminapi.Secret{expiring(a), expiring(b)}, []declare.SecretChange{{Add: digestA, Renew: true, Keep: true}, {Add: digestB, Renew: true, Keep: true}}},
		"one of both expires":                  {[]string{digestA, digestB}, []adminapi.Secret{expiring(a), b}, []declare.SecretChange{{Add: digestA, Renew: true, Keep: true}}},
		"the other way round":                  {[]string{digestB, digestA}, []adminapi.Secret{expiring(a), b}, []declare.SecretChange{{Add: digestA, Renew: true, Keep: true}}},
		"a replacement is taken back":          {[]string{digestA}, []adminapi.Secret{expiring(a), b}, []declare.SecretChange{{Add: digestA, Renew: true}}},
		"taken back, while the other expires":  {[]string{digestA}, []adminapi.Secret{a, expiring(b)}, nil},
		"beside two, of which one expires":     {[]string{digestA}, []adminapi.Secret{expiring(other), b}, []declare.SecretChange{{Revoke: "3"}, {Add: digestA}}},
	} {
		t.Run(name, func(t *testing.T) {
			var items []string
			for _, digest := range tt.declared {
				items = append(items, "{sha256: "+digest+"}")
			}
			d, said := read(client("secrets: [" + strings.Join(items, ", ") + "]"))
			plan, mistakes := declare.NewPlan(d, live(t, tt.has...), declare.Policy{})
			if len(said)+len(mistakes) > 0 {
				t.Fatal(said, mistakes)
			}
			var got []declare.SecretChange
			for _, step := range plan.Steps {
				got = append(got, step.Secrets...)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlanKeys: a public key that is removed is revoked, which the plan says; one that is added is not.
func TestPlanKeys(t *testing.T) {
	for name, tt := range map[string]struct{ before, after, want string }{
		"one is added":    {"a", "a b", ""},
		"one is replaced": {"a", "b", "1 key"},
		"all are removed": {"a b", "", "2 keys"},
		"another order":   {"a b", "b a", ""},
	} {
		if got := declare.KeysRemoved(tt.before, tt.after); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestPlanKeySetURL: without the URL at which its keys are, a client cannot authenticate by them any more.
func TestPlanKeySetURL(t *testing.T) {
	const from, to = "https://a.example/jwks.json", "https://b.example/jwks.json"
	for name, tt := range map[string]struct{ live, declared, want string }{
		"it is removed":  {from, "", "~ change client billing: jwks_uri " + from + " → none (revokes the keys at " + from + ")"},
		"it is replaced": {from, to, "~ change client billing: jwks_uri " + from + " → " + to + " (revokes the keys at " + from + ")"},
		"it is new":      {"", to, "~ change client billing: jwks_uri none → " + to},
	} {
		t.Run(name, func(t *testing.T) {
			member := ""
			if tt.declared != "" {
				member = "jwks_uri: " + tt.declared
			}
			d, said := read(client(member))
			has := live(t)
			has.Clients[0].Metadata.JWKSURI = tt.live
			plan, mistakes := declare.NewPlan(d, has, declare.Policy{})
			if len(said)+len(mistakes) > 0 {
				t.Fatal(said, mistakes)
			}
			if got := plan.Lines(); len(got) != 1 || got[0].String() != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
			if want := tt.live != ""; plan.Revoking() != want {
				t.Errorf("the plan revokes: %t, want %t", plan.Revoking(), want)
			}
		})
	}
}

// TestPlanDrift: a member has drifted if something else than the declaration has changed it last, and that has not failed.
func TestPlanDrift(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	event := func(action, changed, owner, request string) adminapi.Event {
		return adminapi.Event{
			At: at, Actor: "client:" + request, Action: action, Target: "client:billing", RequestID: request,
			Detail: map[string]string{"changed": changed, "owner": owner},
		}
	}
	created := event("client.created", "", "platform", "create")
	for name, tt := range map[string]struct {
		events []adminapi.Event // the newest first
		want   string           // by whom; empty: it is the file that has changed
	}{
		"nothing since it was applied": {[]adminapi.Event{created}, ""},
		"another actor":                {[]adminapi.Event{event("client.updated", "scope rate_limit", "", "x"), created}, "client:x"},
		"another declaration":          {[]adminapi.Event{event("client.updated", "rate_limit", "infra", "x"), created}, "client:x"},
		"another member":               {[]adminapi.Event{event("client.updated", "scope", "", "x"), created}, ""},
		"another client":               {[]adminapi.Event{{Action: "client.updated", Target: "client:b", Detail: map[string]string{"changed": "rate_limit"}}, created}, ""},
		"it was applied again":         {[]adminapi.Event{event("client.updated", "rate_limit", "platform", "y"), event("client.updated", "rate_limit", "", "x"), created}, ""},
		"that failed": {
			[]adminapi.Event{event("client.updated.failed", "rate_limit", "", "x"), event("client.updated", "rate_limit", "", "x"), created}, "",
		},
		"the log does not say": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := read(client("rate_limit: 600/m"))
			plan, _ := declare.NewPlan(d, live(t), declare.Policy{})
			attribution := plan.Attribute()
			for _, e := range tt.events {
				attribution.Add(e)
			}
			got := ""
			if drift := plan.Steps[0].Members[0].Drift; drift != nil {
				got = drift.By
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestPlanLines: what users read of a plan.
func TestPlanLines(t *testing.T) {
	d, _ := read(client("scope: [read]\nsecrets: [{sha256: "+digestA+"}]\ndisabled: true") + "  orders: {}\n")
	plan, _ := declare.NewPlan(d, live(t, adminapi.Secret{ID: "sec_1"}, adminapi.Secret{ID: "sec_2"}), declare.Policy{})
	var got []string
	for _, line := range plan.Lines() {
		got = append(got, line.String())
	}
	want := []string{
		"+ create client orders",
		"~ change client billing: scope none → read",
		"~ change client billing: disabled false → true (revokes its tokens)",
		"~ change client billing: secrets sec_1 → none (revokes 1 secret)",
		"~ change client billing: secrets none → sha256 c7b2a5d0…",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
