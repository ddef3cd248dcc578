package jwks

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var b64 = base64.RawURLEncoding

// jwk is a key as JSON, with some members changed: nil removes one.
type jwk map[string]any

func (k jwk) with(name string, value any) jwk {
	changed := jwk{}
	for n, v := range k {
		changed[n] = v
	}
	if changed[name] = value; value == nil {
		delete(changed, name)
	}
	return changed
}

func setOf(t testing.TB, keys ...jwk) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func ecKey(t testing.TB) jwk {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return jwk{"kty": "EC", "crv": "P-256", "x": b64.EncodeToString(point[1:33]), "y": b64.EncodeToString(point[33:])}
}

func edKey(t testing.TB) jwk {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jwk{"kty": "OKP", "crv": "Ed25519", "x": b64.EncodeToString(public)}
}

// rsaPair is created once, because that is slow.
var rsaPair = sync.OnceValue(func() *rsa.PrivateKey {
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return pair
})

func rsaJWK() jwk { return rsaOf(rsaPair().N, big.NewInt(65537)) }

func rsaOf(n, e *big.Int) jwk {
	return jwk{"kty": "RSA", "n": b64.EncodeToString(n.Bytes()), "e": b64.EncodeToString(e.Bytes())}
}

// odd is an odd number of so many bits.
func odd(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.SetBit(n, 0, 1)
}

// The example of RFC 7638 §3.1.
const (
	rfc7638 = `{"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRX` +
		`jBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI` +
		`SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256"}]}`
	rfc7638Thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
)

func TestRegisteredKeyWithoutKidHasItsThumbprint(t *testing.T) {
	canonical, set, err := ParseRegistered([]byte(rfc7638))
	if err != nil {
		t.Fatal(err)
	}
	k := set.Keys[0]
	if k.ID != rfc7638Thumbprint || k.Thumbprint != rfc7638Thumbprint || k.Algorithm != "RS256" {
		t.Errorf("got kid %q, thumbprint %q, alg %q", k.ID, k.Thumbprint, k.Algorithm)
	}
	if !strings.Contains(string(canonical), `"kid":"`+rfc7638Thumbprint+`"`) {
		t.Errorf("got %s, want the kid in it", canonical)
	}
	again, set2, err := ParseRegistered(canonical)
	if err != nil || string(again) != string(canonical) || !cmp.Equal(set, set2) {
		t.Errorf("the canonical form is read as %s, %v", again, err)
	}
}

func TestFetchedKeyWithoutKidIsFoundByItsThumbprint(t *testing.T) {
	set := parseFetched(t, rfc7638)
	for kid, want := range map[string]int{rfc7638Thumbprint: 1, "": 1, "another": 0} {
		if got := len(set.Find("RS256", kid)); got != want {
			t.Errorf("kid %q: got %d keys, want %d", kid, got, want)
		}
	}
}

func TestRegisteredSets(t *testing.T) {
	ec, ed, rs := ecKey(t).with("kid", "a"), edKey(t).with("kid", "b"), rsaJWK().with("kid", "c")
	pad := func(size int) string {
		set := setOf(t, ec)
		return set + strings.Repeat(" ", size-len(set))
	}
	for name, c := range map[string]struct {
		set  string
		keys int
	}{
		"one of each type":              {setOf(t, ec, ed, rs), 3},
		"a key of the largest size":     {setOf(t, rsaOf(odd(8192), big.NewInt(3))), 1},
		"use, alg and key_ops that fit": {setOf(t, ec.with("use", "sig").with("alg", "ES256").with("key_ops", []string{"verify", "sign"})), 1},
		"both algorithms of RSA":        {setOf(t, rs.with("alg", "PS256"), rs.with("kid", "d").with("alg", "RS256")), 2},
		"unknown members":               {setOf(t, ec.with("x5t", "abc").with("nbf", 12)), 1},
		"null for an optional member":   {strings.Replace(setOf(t, ec), `"kid"`, `"use":null,"d":null,"key_ops":null,"kid"`, 1), 1},
		"the largest number of keys":    {setOf(t, ecKey(t), ecKey(t), ecKey(t), ecKey(t), ecKey(t), ecKey(t), ecKey(t), ecKey(t), ecKey(t), ecKey(t)), 10},
		"the largest size":              {pad(8192), 1},
	} {
		canonical, set, err := ParseRegistered([]byte(c.set))
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case len(set.Keys) != c.keys:
			t.Errorf("%s: got %d keys, want %d", name, len(set.Keys), c.keys)
		default:
			if again, _, err := ParseRegistered(canonical); err != nil || string(again) != string(canonical) {
				t.Errorf("%s: the canonical form is read as %s, %v", name, again, err)
			}
		}
	}
}

// A rejected set is told by the member that is wrong, and no value of a member is in the error: it may be a private key.
func TestRegisteredSetsRejected(t *testing.T) {
	ec, ed, rs := ecKey(t), edKey(t), rsaJWK()
	const canary = "Q0FOQVJZ"
	eleven := make([]jwk, 11)
	for i := range eleven {
		eleven[i] = ec.with("kid", fmt.Sprint(i))
	}
	unnamed := []jwk{rs} // under the limit of a set without kids, and over it with them
	for i := range 5 {
		unnamed = append(unnamed, rsaOf(new(big.Int).Add(odd(8192), big.NewInt(int64(2*i))), big.NewInt(3)))
	}
	unnamed = append(unnamed, ecKey(t), ecKey(t), ecKey(t), ecKey(t))
	if size := len(setOf(t, unnamed...)); size > 8192 {
		t.Fatalf("the set has %d bytes without kids", size)
	}
	small, _ := hex.DecodeString("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
	for name, c := range map[string]struct{ set, names string }{
		"a private EC key":                 {setOf(t, ec.with("d", canary)), "d belongs"},
		"a symmetric key":                  {setOf(t, jwk{"kty": "oct", "k": canary}), "k belongs"},
		"a prime of an RSA key":            {setOf(t, rs.with("p", canary)), "p belongs"},
		"other primes of an RSA key":       {setOf(t, rs.with("oth", []jwk{{"r": canary}})), "oth belongs"},
		"the seed of a post-quantum key":   {setOf(t, jwk{"kty": "AKP", "alg": "ML-DSA-44", "priv": canary}), "priv belongs"},
		"a private member that is empty":   {setOf(t, ec.with("d", "")), "d belongs"},
		"11 keys":                          {setOf(t, eleven...), "keys must have 1 to 10"},
		"no key":                           {`{"keys":[]}`, "keys must have 1 to 10"},
		"8193 bytes":                       {setOf(t, ec) + strings.Repeat(" ", 8193-len(setOf(t, ec))), "8192 bytes"},
		"8192 bytes that kids exceed":      {setOf(t, unnamed...), "the kid of each key included"},
		"a kid twice":                      {setOf(t, ec.with("kid", "same"), ed.with("kid", "same")), "kid"},
		"a key twice, without kid":         {setOf(t, ec, ec), "kid"},
		"a key for encryption":             {setOf(t, ec.with("use", "enc")), "use"},
		"a key to sign with":               {setOf(t, ec.with("key_ops", []string{"sign"})), "key_ops"},
		"key_ops that is a string":         {setOf(t, ec.with("key_ops", "verify")), "key_ops"},
		"P-192":                            {setOf(t, ec.with("crv", "P-192")), "crv"},
		"P-384":                            {setOf(t, ec.with("crv", "P-384")), "crv"},
		"secp256k1":                        {setOf(t, ec.with("crv", "secp256k1")), "crv"},
		"X25519":                           {setOf(t, ed.with("crv", "X25519")), "crv"},
		"no point of the curve":            {setOf(t, ec.with("y", ec["x"])), "x and y"},
		"a coordinate that is short":       {setOf(t, ec.with("x", b64.EncodeToString(make([]byte, 31)))), "x must have 32"},
		"an Ed25519 key of 31 bytes":       {setOf(t, ed.with("x", b64.EncodeToString(make([]byte, 31)))), "x must have 32"},
		"an Ed25519 key of small order":    {setOf(t, ed.with("x", b64.EncodeToString(small))), "x is not"},
		"RSA of 1024 bits":                 {setOf(t, rsaOf(odd(1024), big.NewInt(65537))), "n must have"},
		"RSA of 2047 bits":                 {setOf(t, rsaOf(odd(2047), big.NewInt(65537))), "n must have"},
		"RSA of 8193 bits":                 {setOf(t, rsaOf(odd(8193), big.NewInt(65537))), "n must have"},
		"RSA with an even modulus":         {setOf(t, rsaOf(new(big.Int).Lsh(big.NewInt(1), 2047), big.NewInt(65537))), "n is not"},
		"RSA with e = 1":                   {setOf(t, rsaOf(odd(2048), big.NewInt(1))), "e must be"},
		"RSA with e = 2":                   {setOf(t, rsaOf(odd(2048), big.NewInt(2))), "e must be"},
		"RSA with an even e":               {setOf(t, rsaOf(odd(2048), big.NewInt(65536))), "e must be"},
		"RSA with an e of 32 bits":         {setOf(t, rsaOf(odd(2048), odd(32))), "e must be"},
		"RSA without e":                    {setOf(t, rs.with("e", nil)), "e is missing"},
		"base64 with padding":              {setOf(t, rs.with("e", "Aw==")), "e must be base64url"},
		"base64 of the other alphabet":     {setOf(t, ed.with("x", "+/"+ed["x"].(string)[2:])), "x must be base64url"},
		"a line break in base64":           {setOf(t, ed.with("x", ed["x"].(string)+"\n")), "x must be base64url"},
		"an alg of another type":           {setOf(t, ec.with("alg", "RS256")), "alg must be ES256"},
		"an alg for encryption":            {setOf(t, rs.with("alg", "RSA-OAEP")), "alg must be PS256 or RS256"},
		"a symmetric alg":                  {setOf(t, rs.with("alg", "HS256")), "alg"},
		"a kid that is empty":              {setOf(t, ec.with("kid", "")), "kid"},
		"a kid that is a number":           {setOf(t, ec.with("kid", 7)), "kid"},
		"a kid that moves the cursor":      {setOf(t, ec.with("kid", "\x1b[A")), "kid"},
		"an unknown kty":                   {setOf(t, jwk{"kty": canary}), "kty"},
		"no kty":                           {setOf(t, jwk{}), "kty"},
		"a member twice in a key":          {strings.Replace(setOf(t, ec), `"kty"`, `"kty":"EC","kty"`, 1), "each member once"},
		"keys twice":                       {`{"keys":[],` + setOf(t, ec)[1:], "each member once"},
		"keys that is an object":           {`{"keys":{}}`, "keys must be an array"},
		"no keys":                          {`{}`, "keys must be an array"},
		"keys in capitals":                 {strings.Replace(setOf(t, ec), "keys", "Keys", 1), "keys must be an array"},
		"a set that is a string":           {`"` + canary + `"`, "must be a JSON object"},
		"a set that is null":               {`null`, "must be a JSON object"},
		"a key that is null":               {`{"keys":[null]}`, "must be a JSON object"},
		"a key that is a string":           {`{"keys":["` + canary + `"]}`, "must be a JSON object"},
		"something behind the set":         {setOf(t, ec) + canary, "must be a JSON object"},
		"bytes that are not UTF-8":         {strings.Replace(setOf(t, ec.with("kid", "?")), "?", "\xff", 1), "must be a JSON object"},
		"a deep array":                     {`{"keys":` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + `}`, "must"},
		"a private member deep in nothing": {`{"keys":[{"kty":"EC","d":{"d":"` + canary + `"}}]}`, "d belongs"},
	} {
		_, _, err := ParseRegistered([]byte(c.set))
		switch {
		case err == nil:
			t.Errorf("%s: is accepted", name)
		case !strings.Contains(err.Error(), c.names):
			t.Errorf("%s: got %q, want %q in it", name, err, c.names)
		case strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), ec["x"].(string)):
			t.Errorf("%s: the error has a value: %v", name, err)
		}
	}
}

func TestKeyFitsByTypeAndByItsOwnAlg(t *testing.T) {
	set := parseFetched(t, setOf(t, ecKey(t), edKey(t), rsaJWK(), rsaJWK().with("alg", "PS256")))
	want := [][]string{{"ES256"}, {"EdDSA"}, {"PS256", "RS256"}, {"PS256"}}
	for i := range set.Keys {
		var got []string
		for _, alg := range append(Algorithms, "", "none", "HS256", "ES256K", "Ed25519", "RSA1_5", "es256") {
			if set.Keys[i].Fits(alg) {
				got = append(got, alg)
			}
		}
		if !cmp.Equal(got, want[i]) {
			t.Errorf("key %d fits %v, want %v", i, got, want[i])
		}
	}
}

func TestFindByKidAndAlgorithm(t *testing.T) {
	set := parseFetched(t, setOf(t,
		ecKey(t).with("kid", "both"), rsaJWK().with("kid", "both"), // of one kid, by type
		rsaOf(odd(2048), big.NewInt(3)).with("kid", "rsa"), rsaOf(odd(3072), big.NewInt(3)).with("kid", "rsa"), // of one kid and type
		edKey(t))) // without kid
	for name, c := range map[string]struct {
		alg, kid string
		want     int
	}{
		"one kid of two types: EC":    {"ES256", "both", 1},
		"one kid of two types: RSA":   {"RS256", "both", 1},
		"one kid of one type":         {"PS256", "rsa", 2},
		"no kid: each that fits":      {"RS256", "", 3},
		"a kid that no key has":       {"ES256", "other", 0},
		"a key without kid, by a kid": {"EdDSA", "both", 0},
		"a key without kid":           {"EdDSA", "", 1},
	} {
		if got := len(set.Find(c.alg, c.kid)); got != c.want {
			t.Errorf("%s: got %d keys, want %d", name, got, c.want)
		}
	}
}

// FuzzParse: what is registered can be fetched as well, its canonical form is stable, and each of its keys fits an
// algorithm and is found by its kid.
func FuzzParse(f *testing.F) {
	f.Add([]byte(rfc7638))
	f.Add([]byte(setOf(f, ecKey(f).with("kid", "a").with("use", "sig"), edKey(f).with("alg", "EdDSA"))))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},null,{"kty":"EC","crv":"P-256","x":"","y":"AA"}]}`))
	f.Add([]byte(`{"keys":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		canonical, set, err := ParseRegistered(raw)
		fetched, fetchedErr := ParseFetched(raw)
		if fetchedErr == nil && (len(fetched.Keys) == 0 || len(fetched.Keys) > 100) {
			t.Fatalf("fetched %d keys", len(fetched.Keys))
		}
		if err != nil {
			return
		}
		if fetchedErr != nil || len(fetched.Keys) != len(set.Keys) {
			t.Fatalf("registered, but fetched as %v, %v", fetched, fetchedErr)
		}
		again, set2, err := ParseRegistered(canonical)
		if err != nil || string(again) != string(canonical) || !cmp.Equal(set, set2) {
			t.Fatalf("%s is read as %s, %v", canonical, again, err)
		}
		for i := range set.Keys {
			k := &set.Keys[i]
			fits := 0
			for _, alg := range Algorithms {
				for _, found := range set.Find(alg, k.ID) {
					if found == k {
						fits++
					}
				}
			}
			if fits == 0 || len(k.Thumbprint) != 43 {
				t.Fatalf("a key of thumbprint %q fits %d algorithms", k.Thumbprint, fits)
			}
		}
	})
}
