package jwks

import (
	"fmt"
	"strings"
	"testing"
)

func parseFetched(t testing.TB, set string) *Set {
	t.Helper()
	parsed, err := ParseFetched([]byte(set))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestFetchedSetSkipsWhatCannotBeUsed(t *testing.T) {
	keys := []jwk{
		{"kty": "oct", "k": "AAAA", "kid": "symmetric"},
		{"kty": "LATTICE", "kid": "unknown"},
		{"kty": "RSA", "n": "!", "e": "AQAB", "kid": "broken"},
		ecKey(t).with("use", "enc").with("kid", "encryption"),
		ecKey(t).with("d", "AAAA").with("kid", "private"),
		ecKey(t).with("kid", 7),
	}
	good := ecKey(t)
	for i := range 90 {
		keys = append(keys, good.with("kid", fmt.Sprint("good", i)))
	}
	set := parseFetched(t, setOf(t, keys...))
	if len(set.Keys) != 90 || len(set.Find("ES256", "good89")) != 1 || len(set.Find("ES256", "encryption")) != 0 {
		t.Errorf("got %d keys, want the 90 good ones", len(set.Keys))
	}
	if mixed := parseFetched(t, `{"keys":[null,"x",7,[],`+setOf(t, good)[len(`{"keys":[`):]); len(mixed.Keys) != 1 {
		t.Errorf("beside elements that are no objects: got %d keys, want 1", len(mixed.Keys))
	}
}

func TestFetchedSetsRejected(t *testing.T) {
	many := make([]jwk, 101)
	for i := range many {
		many[i] = jwk{"kty": "oct"}
	}
	many[0] = ecKey(t)
	for name, set := range map[string]string{
		"more than 100 keys":    setOf(t, many...),
		"no key":                `{"keys":[]}`,
		"no key that is usable": setOf(t, jwk{"kty": "oct", "k": "AAAA"}),
		"HTML":                  "<html></html>",
		"nothing":               "",
		"a byte order mark":     "\ufeff" + setOf(t, ecKey(t)),
		"keys twice":            `{"keys":[],` + setOf(t, ecKey(t))[1:],
		"keys that is null":     `{"keys":null}`,
		"an array":              `[]`,
		"deep JSON":             strings.Repeat(`{"keys":[`, 20000),
		"a set that breaks off": setOf(t, ecKey(t))[:40],
		"an array 100,000 deep": `{"keys":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`,
	} {
		if _, err := ParseFetched([]byte(set)); err == nil {
			t.Errorf("%s: is accepted", name)
		}
	}
}
