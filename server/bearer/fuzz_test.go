package bearer

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A token is read without a panic, and what it says survives being written again.
func FuzzPeek(f *testing.F) {
	jwt := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	for _, seed := range []string{
		"", ".", "..", "...", "a.b.c", jwt(`{}`), jwt(`null`), jwt(`{"aud":null}`), jwt(`{"aud":[]}`), jwt(`{"aud":"a"}`), jwt(`{"aud":["a","b"]}`),
		jwt(`{"aud":{}}`), jwt(`{"exp":1e999}`), jwt(`{"exp":9223372036854775807}`), jwt(`{"exp":"1"}`), jwt(strings.Repeat("[", 11_000)),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c := peek(token)
		if c == nil {
			return
		}
		if strings.Count(token, ".") != 2 {
			t.Fatalf("%q is no compact JWS", token)
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again := peek(jwt(string(written)))
		if again == nil {
			t.Fatalf("%s is not read again", written)
		}
		if len(c.Audience) == 0 { // null and [] are as good as none
			c.Audience, again.Audience = nil, nil
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
