package seal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/mintkeep/mintkeep/server/seal"
)

var (
	keyA = bytes.Repeat([]byte("a"), seal.KeyBytes)
	keyB = bytes.Repeat([]byte("b"), seal.KeyBytes)
)

func vault(t testing.TB, masterKeys ...[]byte) *seal.Vault {
	t.Helper()
	v, err := seal.New(masterKeys)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What was sealed opens in its own context and with a right master key only.
func TestOpen(t *testing.T) {
	plain, context := []byte("a secret"), []byte("k1")
	sealed := vault(t, keyA).Seal(plain, context)
	if again := vault(t, keyA).Seal(plain, context); bytes.Equal(sealed, again) {
		t.Error("sealing twice gives the same bytes: the nonce is not random")
	}
	if bytes.Contains(sealed, plain) {
		t.Error("the plain text is in it")
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)/2] ^= 1
	for name, c := range map[string]struct {
		vault   *seal.Vault
		context string
		sealed  []byte
		opens   bool
		stale   bool
	}{
		"its master key":           {vault(t, keyA), "k1", sealed, true, false},
		"the first among others":   {vault(t, keyA, keyB), "k1", sealed, true, false},
		"the second among others":  {vault(t, keyB, keyA), "k1", sealed, true, true},
		"another master key":       {vault(t, keyB), "k1", sealed, false, false},
		"another context":          {vault(t, keyA), "k2", sealed, false, false},
		"another context, also":    {vault(t, keyB, keyA), "", sealed, false, false},
		"a changed bit":            {vault(t, keyA), "k1", flipped, false, false},
		"cut at its end":           {vault(t, keyA), "k1", sealed[:len(sealed)-1], false, false},
		"cut shorter than a nonce": {vault(t, keyA), "k1", sealed[:10], false, false},
		"nothing":                  {vault(t, keyA), "k1", nil, false, false},
	} {
		got, err := c.vault.Open(c.sealed, []byte(c.context))
		switch {
		case c.opens && (err != nil || !bytes.Equal(got, plain)):
			t.Errorf("%s: got %q, %v", name, got, err)
		case !c.opens && (!errors.Is(err, seal.ErrMasterKey) || got != nil):
			t.Errorf("%s: got %q, %v, want %v", name, got, err, seal.ErrMasterKey)
		}
		if got := c.vault.Stale(c.sealed, []byte(c.context)); got != c.stale {
			t.Errorf("%s: stale is %v, want %v", name, got, c.stale)
		}
	}
}

// What is sealed again is the same, under the first master key and for the same context; what is there already is
// left as it is, and what does not open stays closed.
func TestReseal(t *testing.T) {
	plain, context := []byte("a secret"), []byte("k1")
	old := vault(t, keyA).Seal(plain, context)
	fresh, err := vault(t, keyB, keyA).Reseal(old, context)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := vault(t, keyB).Open(fresh, context); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("sealed anew, it opens as %q, %v; want %q", got, err, plain)
	}
	if again, err := vault(t, keyB, keyA).Reseal(fresh, context); again != nil || err != nil {
		t.Errorf("sealed anew twice: got %x, %v; want nothing to do", again, err)
	}
	for name, v := range map[string]*seal.Vault{"another master key": vault(t, keyB), "another context": vault(t, keyB, keyA)} {
		given := context
		if name == "another context" {
			given = []byte("k2")
		}
		if got, err := v.Reseal(old, given); got != nil || !errors.Is(err, seal.ErrMasterKey) {
			t.Errorf("%s: got %x, %v; want %v", name, got, err, seal.ErrMasterKey)
		}
	}
}

// Signing keys were sealed so before this package existed, and are in the Redis of installations.
func TestOpensWhatIsStored(t *testing.T) {
	stored, err := hex.DecodeString("0854c1a17671eef9eee84284998e78dd1e93f08225fea756d94d558b51d1abfbd6996cb0c4ef0614ba")
	if err != nil {
		t.Fatal(err)
	}
	got, err := vault(t, keyA).Open(stored, []byte("k1"))
	if want := "a private key"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestNew(t *testing.T) {
	for name, keys := range map[string][][]byte{
		"none":      nil,
		"too short": {keyA, keyB[:31]},
		"AES-128":   {keyA[:16]},
		"too long":  {append(bytes.Clone(keyA), 0)},
	} {
		if _, err := seal.New(keys); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// The caller may clear its copy.
	key := bytes.Clone(keyA)
	v := vault(t, key)
	clear(key)
	if _, err := vault(t, keyA).Open(v.Seal([]byte("x"), nil), nil); err != nil {
		t.Errorf("the vault keeps the caller's slice: %v", err)
	}
}
