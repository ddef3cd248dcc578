package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// KeyBytes is the length of a master key, which makes it AES-256.
const KeyBytes = 32

// ErrMasterKey: no master key opens the sealed text, or it was sealed for another context, or it is damaged. These
// cannot be told apart.
var ErrMasterKey = errors.New("no master key opens it")

// Vault seals under the first master key and opens under any. It is safe for concurrent use.
type Vault struct{ keys []cipher.AEAD }

// New creates a vault of one or more master keys, of [KeyBytes] each. It keeps none of the slices.
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

// Stale is whether a sealed text opens, but under another master key than the first. It has to be resealed before
// that key is removed.
func (v *Vault) Stale(sealed, context []byte) bool {
	plain, key, err := v.open(sealed, context)
	clear(plain)
	return err == nil && key > 0
}

// Reseal seals under the first master key what is sealed under another of the list. The result is nil for what is
// under the first already; [ErrMasterKey]: it does not open.
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
