package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// KeyBytes is the length of a master key, which makes it AES-256.
const KeyBytes = 32

// ErrMasterKey says that none of the master keys opens what was sealed, or that it was not sealed for this
// context, or is damaged: which of them cannot be told.
var ErrMasterKey = errors.New("no master key opens it")

// Vault seals under the first master key and opens under any. It is safe for concurrent use.
type Vault struct{ keys []cipher.AEAD }

// New makes a vault of one master key or more, of [KeyBytes] each. It keeps none of the slices.
func New(masterKeys [][]byte) (*Vault, error) {
	if len(masterKeys) == 0 {
		return nil, errors.New("no master key")
	}
	v := &Vault{}
	for i, key := range masterKeys {
		if len(key) != KeyBytes {
			return nil, fmt.Errorf("master key %d has %d bytes, not %d", i+1, len(key), KeyBytes)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		v.keys = append(v.keys, aead)
	}
	return v, nil
}

// Seal encrypts plain for the context. The same twice gives different bytes.
func (v *Vault) Seal(plain, context []byte) []byte {
	return v.keys[0].Seal(nil, nil, plain, context)
}

// Open decrypts what was sealed for the context, or answers [ErrMasterKey].
func (v *Vault) Open(sealed, context []byte) ([]byte, error) {
	plain, _, err := v.open(sealed, context)
	return plain, err
}

// Stale says whether what opens would be sealed under another master key today, so that it should be
// sealed anew before the old key is given up.
func (v *Vault) Stale(sealed, context []byte) bool {
	plain, key, err := v.open(sealed, context)
	clear(plain)
	return err == nil && key > 0
}

// Reseal seals under the first master key what is sealed under another of the list. It answers nil for what is
// under the first already, and [ErrMasterKey] for what does not open.
func (v *Vault) Reseal(sealed, context []byte) (fresh []byte, err error) {
	plain, key, err := v.open(sealed, context)
	defer clear(plain)
	if err != nil || key == 0 {
		return nil, err
	}
	return v.Seal(plain, context), nil
}

func (v *Vault) open(sealed, context []byte) (plain []byte, key int, err error) {
	for i, aead := range v.keys {
		if plain, err := aead.Open(nil, nil, sealed, context); err == nil {
			return plain, i, nil
		}
	}
	return nil, 0, ErrMasterKey
}
