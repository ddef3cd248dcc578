package assertion

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/jwks"
)

const issuer = "https://auth.example.com"

var (
	now   = time.Unix(1_800_000_000, 0)
	rules = Rules{ClientID: "billing", Issuer: issuer}
	b64   = base64.RawURLEncoding
)

func compact(header, claims, signature string) string {
	return b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(claims)) + "." + b64.EncodeToString([]byte(signature))
}

const (
	goodHeader = `{"alg":"ES256","kid":"a","typ":"JWT"}`
	goodClaims = `{"iss":"billing","sub":"billing","aud":"https://auth.example.com","exp":1800000060,"iat":1800000000,"jti":"x"}`
)

func TestMalformed(t *testing.T) {
	good := compact(goodHeader, goodClaims, "signature")
	if reason := Parse(good).Check(rules, now); reason != "" {
		t.Fatalf("a good one is rejected: %s", reason)
	}
	header, payload := b64.EncodeToString([]byte(goodHeader)), b64.EncodeToString([]byte(goodClaims))
	for name, text := range map[string]string{
		"nothing":                          "",
		"one part":                         "x",
		"two parts":                        header + "." + payload,
		"four parts":                       good + ".x",
		"five parts, as of a JWE":          good + ".x.x",
		"empty parts":                      "..",
		"a header that is null":            "null.e30.x",
		"a header that is JSON's null":     compact("null", goodClaims, "s"),
		"claims that are null":             compact(goodHeader, "null", "s"),
		"claims that are an array":         compact(goodHeader, "[]", "s"),
		"claims that are a string":         compact(goodHeader, `"x"`, "s"),
		"something behind the claims":      compact(goodHeader, goodClaims+"x", "s"),
		"no claims":                        compact(goodHeader, "", "s"),
		"a space in front":                 " " + good,
		"a space behind":                   good + " ",
		"a line break behind":              good + "\n",
		"a line break within":              good[:8] + "\r\n" + good[8:],
		"padding":                          good + "==",
		"the other alphabet":               header + "." + payload + ".+/+/",
		"bits behind the end":              header + "." + payload + ".AB",
		"the header twice alg":             compact(`{"alg":"ES256","alg":"ES256"}`, goodClaims, "s"),
		"a claim twice":                    compact(goodHeader, strings.Replace(goodClaims, `"sub"`, `"sub":"x","sub"`, 1), "s"),
		"an unknown claim twice":           compact(goodHeader, strings.Replace(goodClaims, `"sub"`, `"x":1,"x":1,"sub"`, 1), "s"),
		"a claim twice, once escaped":      compact(goodHeader, strings.Replace(goodClaims, `"sub"`, `"\u0073ub":"x","sub"`, 1), "s"),
		"bytes that are not UTF-8":         compact(goodHeader, strings.Replace(goodClaims, `"x"`, "\"\xff\"", 1), "s"),
		"crit":                             compact(`{"alg":"ES256","crit":["foo"],"foo":1}`, goodClaims, "s"),
		"crit that is null":                compact(`{"alg":"ES256","crit":null}`, goodClaims, "s"),
		"b64":                              compact(`{"alg":"ES256","b64":false}`, goodClaims, "s"),
		"b64 that is true":                 compact(`{"alg":"ES256","b64":true}`, goodClaims, "s"),
		"deep claims":                      compact(goodHeader, strings.Repeat(`{"a":`, 2000), "s"),
		"more than the largest":            compact(goodHeader, goodClaims, strings.Repeat("s", MaxSize)),
		"JSON instead of the compact form": `{"payload":"` + payload + `","protected":"` + header + `","signature":"AA"}`,
	} {
		if reason := Parse(text).Check(rules, now); reason != Malformed {
			t.Errorf("%s: got %q", name, reason)
		}
	}
}

// A name in other letters is another name: it neither stands for the member, nor stands beside it twice.
func TestNamesAreExact(t *testing.T) {
	claims := strings.Replace(goodClaims, `"sub"`, `"SUB":"x","Sub":"y","sub"`, 1)
	if reason := Parse(compact(goodHeader, claims, "s")).Check(rules, now); reason != "" {
		t.Errorf("beside others: got %q", reason)
	}
	if reason := Parse(compact(goodHeader, strings.Replace(goodClaims, `"sub"`, `"Sub"`, 1), "s")).Check(rules, now); reason != Subject {
		t.Errorf("instead of it: got %q, want %q", reason, Subject)
	}
}

// The instants are told by a table over the HTTP interface; here are the two that are kept.
func TestCreatedAndExpires(t *testing.T) {
	for name, c := range map[string]struct {
		exp, iat         string
		created, expires time.Time
	}{
		"until exp":                   {"1800000060", `"iat":1800000000,`, now, now.Add(90 * time.Second)},
		"until 5 minutes after iat":   {"1800003600", `"iat":1800000000,`, now, now.Add(330 * time.Second)},
		"without iat":                 {"1800000250", ``, now.Add(-50 * time.Second), now.Add(280 * time.Second)},
		"fractions":                   {"1800000060.5", `"iat":1799999999.25,`, now.Add(-750 * time.Millisecond), now.Add(90500 * time.Millisecond)},
		"a time written by its power": {"1.80000006e9", `"iat":1.8e9,`, now, now.Add(90 * time.Second)},
	} {
		a := Parse(compact(goodHeader, `{"iss":"billing","sub":"billing","aud":"`+issuer+`",`+c.iat+`"exp":`+c.exp+`,"jti":"x"}`, "s"))
		if reason := a.Check(rules, now); reason != "" || !a.Created.Equal(c.created) || !a.Expires.Equal(c.expires) {
			t.Errorf("%s: got %q, %v to %v, want %v to %v", name, reason, a.Created, a.Expires, c.created, c.expires)
		}
	}
}

// BenchmarkAssertion is what an assertion costs, and of that the verification.
// A signature that no key can have made is rejected, and crypto/rsa is not given it: it would reject it without work, by which
// a client's key could be told from a decoy.
func TestImpossibleSignatures(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys := &jwks.Set{Keys: []jwks.Key{{ID: "a", Public: private.Public()}}}
	for name, signature := range map[string]string{
		"above the modulus": strings.Repeat("\xff", 256),
		"a short one":       "x",
		"a long one":        strings.Repeat("x", 512),
		"none":              "",
	} {
		for _, alg := range []string{"PS256", "RS256"} {
			if _, reason := Parse(compact(`{"alg":"`+alg+`","kid":"a"}`, goodClaims, signature)).Signer(keys); reason != Signature {
				t.Errorf("%s, %s: got %q", name, alg, reason)
			}
		}
		for _, key := range []*rsa.PublicKey{&private.PublicKey, decoyRSA} {
			used, given, possible := verifiable(key, []byte(signature))
			if possible || len(given) != used.Size() || new(big.Int).SetBytes(given).Cmp(used.N) >= 0 {
				t.Errorf("%s: crypto/rsa is given %d bytes", name, len(given))
			}
		}
	}
}

func BenchmarkAssertion(b *testing.B) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	signed := b64.EncodeToString([]byte(goodHeader)) + "." + b64.EncodeToString([]byte(goodClaims))
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	text := signed + "." + b64.EncodeToString(signature)
	keys := &jwks.Set{Keys: []jwks.Key{{ID: "a", Public: &private.PublicKey}}}
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a := Parse(text)
			if reason := a.Check(rules, now); reason != "" {
				b.Fatal(reason)
			}
			if _, reason := a.Signer(keys); reason != "" {
				b.Fatal(reason)
			}
		}
	})
	b.Run("without verification", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if reason := Parse(text).Check(rules, now); reason != "" {
				b.Fatal(reason)
			}
		}
	})
	b.Run("verification", func(b *testing.B) {
		for b.Loop() {
			if !ecdsa.Verify(&private.PublicKey, digest[:], r, s) {
				b.Fatal("not verified")
			}
		}
	})
}

// A name that stands twice is found, however many others there are.
func TestMemberTwice(t *testing.T) {
	for _, n := range []int{1, 2, 15, 16, 17, 40} {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf(`"m%d":0`, i))
		}
		object := func(more ...string) string {
			return b64.EncodeToString([]byte("{" + strings.Join(append(slices.Clone(names), more...), ",") + "}"))
		}
		if !members(object(), func(string, string) {}) {
			t.Errorf("%d different names are rejected", n)
		}
		for i := range n {
			if members(object(names[i]), func(string, string) {}) {
				t.Errorf("name %d of %d stands twice, and is accepted", i+1, n)
			}
		}
	}
}

// What the walk through an object finds is what package json finds.
func TestMembers(t *testing.T) {
	for _, object := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":"b","c":[1,{"d":"]}"}],"e":{"f":"\\\""},"g":-1.5e3,"h":true,"i":null}`,
		"{\n\t\"a\" :\r 1 ,\"b\": [ ] , \"c\":{ } }", `{"":"","\u0061":"\u0062"}`, `{"a\\":1,"a\"":{"a":{"a":[[]]}}}`,
	} {
		if !members(b64.EncodeToString([]byte(object)), func(string, string) {}) {
			t.Errorf("%q is rejected", object)
		}
		sameMembers(t, object)
	}
}

func sameMembers(t *testing.T, object string) {
	t.Helper()
	got, want := map[string]string{}, map[string]json.RawMessage{}
	ok := members(b64.EncodeToString([]byte(object)), func(name, value string) { got[name] = value })
	if err := json.Unmarshal([]byte(object), &want); ok && (err != nil || want == nil) {
		t.Fatalf("%q is accepted as an object: %v", object, err)
	}
	if !ok {
		return
	}
	if len(got) != len(want) {
		t.Fatalf("%q has the members %q, want %q", object, got, want)
	}
	for name, value := range want {
		if got[name] != string(value) {
			t.Fatalf("%q has %q under %q, want %q", object, got[name], name, value)
		}
	}
}

// FuzzParse: what is accepted says what the rules ask for, once, and is accepted for as long as is kept; and no text signs
// itself.
func FuzzParse(f *testing.F) {
	f.Add(goodHeader, goodClaims, []byte("signature"), "")
	f.Add(`{"alg":"EdDSA"}`, strings.Replace(goodClaims, `"iat":1800000000,`, "", 1), []byte{}, "")
	f.Add(`{"alg":"none","typ":null}`, `{"aud":[]}`, []byte{}, "null.e30.x")
	f.Add(`{"alg":"RS256","kid":7,"crit":null}`, `{"exp":1e400,"jti":"\ud800"}`, make([]byte, 256), "a.b.c.d")
	keys := &jwks.Set{Keys: []jwks.Key{{ID: "a", Public: decoyP256}, {ID: "b", Public: decoyEd25519}, {ID: "c", Public: decoyRSA}}}
	f.Fuzz(func(t *testing.T, header, claims string, signature []byte, text string) {
		sameMembers(t, header)
		sameMembers(t, claims)
		for _, a := range []*Assertion{Parse(text), Parse(compact(header, claims, string(signature)))} {
			reason := a.Check(rules, now)
			if _, unsigned := a.Signer(keys); unsigned == "" {
				t.Fatal("a key that no one has has signed it")
			}
			if reason != "" {
				continue
			}
			if a.Issuer != rules.ClientID || a.Subject != rules.ClientID || a.ID == "" || len(a.ID) > 256 {
				t.Fatalf("accepted %+v", a)
			}
			if !a.Expires.After(now) || a.Expires.After(now.Add(6*time.Minute)) || a.Created.After(now.Add(allowance)) {
				t.Fatalf("accepted from %v to %v", a.Created, a.Expires)
			}
			if again := a.Check(rules, a.Expires.Add(-time.Millisecond)); again != "" {
				t.Fatalf("a moment before it expires: %s", again)
			}
			if again := a.Check(rules, a.Expires); again != Expired {
				t.Fatalf("when it expires: %q", again)
			}
		}
	})
}
