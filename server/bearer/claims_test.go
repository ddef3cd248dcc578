package bearer

import (
	"encoding/json"
	"slices"
	"testing"
)

// An audience is read as any JSON string or array of them is, and written in the shorter form.
func TestAudience(t *testing.T) {
	for text, want := range map[string]struct {
		audience Audience
		written  string
	}{
		`"https://orders.example.com"`: {Audience{"https://orders.example.com"}, `"https://orders.example.com"`},
		`""`:                           {Audience{""}, `""`},
		`"a\u0062\"\\\n"`:              {Audience{"ab\"\\\n"}, `"ab\"\\\n"`},
		`"é"`:                          {Audience{"é"}, `"é"`},
		"\"\xff\"":                     {Audience{"\ufffd"}, "\"\ufffd\""},
		`["a"]`:                        {Audience{"a"}, `"a"`},
		`["a","b"]`:                    {Audience{"a", "b"}, `["a","b"]`},
		`[]`:                           {Audience{}, `[]`},
		`null`:                         {nil, `null`},
	} {
		var a Audience
		if err := json.Unmarshal([]byte(text), &a); err != nil || !slices.Equal(a, want.audience) {
			t.Errorf("%s is read as %q %v, want %q", text, a, err, want.audience)
		}
		for _, v := range []any{a, a.Form()} {
			if written, err := json.Marshal(v); err != nil || string(written) != want.written {
				t.Errorf("%s is written as %s %v, want %s", text, written, err, want.written)
			}
		}
	}
	for _, text := range []string{`1`, `{}`, `[1]`, `true`} {
		var a Audience
		if err := json.Unmarshal([]byte(text), &a); err == nil {
			t.Errorf("%s is read as %q", text, a)
		}
	}
}
