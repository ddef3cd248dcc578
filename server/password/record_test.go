package password

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

const (
	goodSalt = "c2FsdHNhbHRzYWx0c2FsdA"
	goodSum  = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
	good     = "$argon2id$v=19$m=19456,t=2,p=1$" + goodSalt + "$" + goodSum
)

func TestParse(t *testing.T) {
	r, err := parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if r.cost != Recommended || string(r.salt) != "saltsaltsaltsalt" || string(r.sum) != "0123456789abcdef0123456789abcdef" {
		t.Errorf("got %+v", r)
	}
}

func TestParseRejects(t *testing.T) {
	for name, phc := range map[string]string{
		"nothing":           "",
		"separators":        "$$$$$",
		"a part more":       good + "$",
		"text in front":     "x" + good,
		"argon2i":           strings.Replace(good, "argon2id", "argon2i", 1),
		"an older version":  strings.Replace(good, "v=19", "v=16", 1),
		"no version":        strings.Replace(good, "$v=19", "", 1),
		"another order":     strings.Replace(good, "m=19456,t=2", "t=2,m=19456", 1),
		"a cost more":       strings.Replace(good, "p=1", "p=1,data=x", 1),
		"a cost less":       strings.Replace(good, ",p=1", "", 1),
		"no memory":         strings.Replace(good, "m=19456", "m=0", 1),
		"the whole memory":  strings.Replace(good, "m=19456", "m=4294967295", 1),
		"beyond numbers":    strings.Replace(good, "m=19456", "m=99999999999", 1),
		"a leading zero":    strings.Replace(good, "t=2", "t=02", 1),
		"a sign":            strings.Replace(good, "t=2", "t=+2", 1),
		"a space":           strings.Replace(good, "t=2", "t= 2", 1),
		"no passes":         strings.Replace(good, "t=2", "t=0", 1),
		"passes for a year": strings.Replace(good, "t=2", "t=99999999", 1),
		"lanes as letters":  strings.Replace(good, "p=1", "p=one", 1),
		"no lanes":          strings.Replace(good, "p=1", "p=0", 1),
		"lanes that wrap":   strings.Replace(good, "p=1", "p=257", 1),
		"no salt":           strings.Replace(good, goodSalt, "", 1),
		"a short salt":      strings.Replace(good, goodSalt, "c2FsdA", 1),
		"padding":           strings.Replace(good, goodSalt, goodSalt+"==", 1),
		"a loose last bit":  strings.Replace(good, goodSalt, goodSalt[:21]+"B", 1),
		"no sum":            strings.Replace(good, goodSum, "", 1),
		"a short sum":       strings.Replace(good, goodSum, goodSum[:8], 1),
		"a long sum":        strings.Replace(good, goodSum, base64.RawStdEncoding.EncodeToString(make([]byte, 65)), 1),
		"a line break":      good + "\n",
	} {
		if r, err := parse([]byte(phc)); !errors.Is(err, errRecord) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
}

// The reference implementation's vectors for version 19, with what its command prints.
func TestSum(t *testing.T) {
	for _, c := range []struct {
		cost           Cost
		password, salt string
		want           string
	}{
		{Cost{1 << 8, 2, 1}, "password", "somesalt", "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"},
		{Cost{1 << 8, 2, 2}, "password", "somesalt", "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"},
		{Cost{1 << 16, 2, 1}, "differentpassword", "somesalt", "0b84d652cf6b0c4beaef0dfe278ba6a80df6696281d7e0d2891b817d8c458fde"},
	} {
		got := sum(c.password, record{cost: c.cost, salt: []byte(c.salt), sum: make([]byte, 32)})
		if hex.EncodeToString(got) != c.want {
			t.Errorf("%s, %+v: got %x, want %s", c.password, c.cost, got, c.want)
		}
	}
}

// FuzzParse: what is accepted is within bounds, and is written as it was read.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, "t=2", "t=+2", 1)))
	f.Add([]byte("$argon2id$v=19$m=,t=,p=$$"))
	f.Fuzz(func(t *testing.T, phc []byte) {
		r, err := parse(phc)
		if err != nil {
			return
		}
		if c := r.cost; c.Memory < 1 || c.Memory > maxMemory || c.Passes < 1 || c.Passes > maxPasses || c.Lanes < 1 || c.Lanes > maxLanes {
			t.Errorf("%q: out of bounds: %+v", phc, c)
		}
		if len(r.salt) < minBytes || len(r.sum) < minSum || max(len(r.salt), len(r.sum)) > maxBytes {
			t.Errorf("%q: a salt of %d and a sum of %d bytes", phc, len(r.salt), len(r.sum))
		}
		if again := r.encode(); !bytes.Equal(again, phc) {
			t.Errorf("%q became %q", phc, again)
		}
	})
}
