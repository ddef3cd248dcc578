package signing

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// No private key is in Redis but sealed, whatever state it is in.
func TestNoPrivateKeyInRedis(t *testing.T) {
	for _, algorithm := range []string{es256, eddsa, rs256} {
		t.Run(algorithm, func(t *testing.T) {
			b := storetest.Embedded(t)
			master := bytes.Repeat([]byte("m"), seal.KeyBytes)
			r, err := New(Options{
				Store: b.Open(t), MasterKeys: [][]byte{master}, Algorithm: algorithm, TokenTTLMax: time.Hour, Now: b.Clock.Now,
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			secrets := [][]byte{master}
			for _, key := range r.view.Load().ring.Keys {
				pair, err := r.open(key)
				if err != nil {
					t.Fatal(err)
				}
				der, err := x509.MarshalPKCS8PrivateKey(pair)
				if err != nil {
					t.Fatal(err)
				}
				// The last bytes are private in each algorithm's encoding but the P-256 one, which ends
				// with the public key.
				secrets = append(secrets, der, der[len(der)/4:len(der)/4+24])
			}
			for range 2 { // next, active and retired, one after the other
				assertAbsent(t, b.Dump(t), secrets)
				b.Clock.Advance(time.Hour)
				if err := r.Rotate(t.Context(), NoKeys); err != nil {
					t.Fatal(err)
				}
			}
			assertAbsent(t, b.Dump(t), secrets)
			for _, key := range r.view.Load().ring.Keys {
				if key.State() == store.KeyRetired && len(key.Sealed) > 0 {
					t.Error("a retired key keeps its private part")
				}
			}
		})
	}
}

func assertAbsent(t *testing.T, dump storetest.Dump, secrets [][]byte) {
	t.Helper()
	if len(dump.Keys()) == 0 {
		t.Fatal("nothing is stored")
	}
	for _, secret := range secrets {
		forms := []string{string(secret), hex.EncodeToString(secret)}
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			// Inside a longer text, base64 may begin at any of three offsets.
			for skip := range 3 {
				part := secret[skip:]
				forms = append(forms, e.EncodeToString(part[:len(part)/3*3]))
			}
		}
		for _, form := range forms {
			if keys := dump.Find(form); keys != nil {
				t.Errorf("a secret is in %v", keys)
			}
		}
	}
}

// A sealed key opens with its own id and a right master key only; once retired, there is nothing to open.
func TestSeal(t *testing.T) {
	pair, err := generate(es256)
	if err != nil {
		t.Fatal(err)
	}
	a, b := bytes.Repeat([]byte("a"), 32), bytes.Repeat([]byte("b"), 32)
	ra, rb, both := ringUnder(t, a), ringUnder(t, b), ringUnder(t, b, a)
	sealed, err := ra.seal("k1", pair)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ring   *Ring
		id     string
		sealed []byte
		want   error
	}{
		"its master key":        {ra, "k1", sealed, nil},
		"among others":          {both, "k1", sealed, nil},
		"another master key":    {rb, "k1", sealed, ErrMasterKey},
		"another id":            {ra, "k2", sealed, ErrMasterKey},
		"nothing, once retired": {ra, "k1", nil, ErrMasterKey},
	} {
		opened, err := c.ring.open(store.SigningKey{ID: c.id, Sealed: c.sealed})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if c.want == nil {
			got, _ := x509.MarshalPKCS8PrivateKey(opened)
			want, _ := x509.MarshalPKCS8PrivateKey(pair)
			if !bytes.Equal(got, want) {
				t.Errorf("%s: another key came out", name)
			}
		}
	}
}

func ringUnder(t *testing.T, masterKeys ...[]byte) *Ring {
	t.Helper()
	v, err := seal.New(masterKeys)
	if err != nil {
		t.Fatal(err)
	}
	return &Ring{vault: v}
}
