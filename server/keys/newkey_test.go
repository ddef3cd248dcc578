package keys_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
)

func TestReadNewKey(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for body, want := range map[string]keys.NewKey{
		`{"name":"x"}`: {Name: "x"},
		`{"name":"  trimmed  ","scope":"","expires_at":null}`:   {Name: "trimmed"},
		`{"name":"naïve ☃","scope":"read write"}`:               {Name: "naïve ☃", Scope: "read write"},
		`{"name":"x","expires_at":"2026-01-02T05:04:06+02:00"}`: {Name: "x", ExpiresAt: now.Add(time.Second)},
		`{"name":"` + strings.Repeat("é", 100) + `"}`:           {Name: strings.Repeat("é", 100)},
	} {
		var o web.Object
		if err := json.Unmarshal([]byte(body), &o); err != nil {
			t.Fatal(err)
		}
		got, err := keys.ReadNewKey(o, now)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", body, err, diff)
		}
	}
	for body, member := range map[string]string{
		`{}`: "name", `{"name":null}`: "name", `{"name":1}`: "name", `{"name":" "}`: "name", `{"name":"a\u0000"}`: "name", `{"name":"a\u202e"}`: "name",
		`{"name":"` + strings.Repeat("x", 101) + `"}`: "name", `{"name":"x","scope":1}`: "scope", `{"name":"x","scope":" "}`: "scope",
		`{"name":"x","expires_at":1}`: "expires_at", `{"name":"x","expires_at":"soon"}`: "expires_at",
		`{"name":"x","expires_at":"2026-01-02T03:04:05Z"}`: "expires_at", `{"name":"x","expires_at":"2126-01-02T03:04:05Z"}`: "expires_at",
	} {
		var o web.Object
		if err := json.Unmarshal([]byte(body), &o); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.ReadNewKey(o, now); err == nil || !strings.Contains(err.Error(), member+": ") {
			t.Errorf("%s: got %v, want what is wrong with %s", body, err, member)
		}
	}
}
