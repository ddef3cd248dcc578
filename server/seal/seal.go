package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// KeyBytes is the length of a master key, which makes it AES-256.
const KeyBytes = 32

// ErrMasterKey: no master key opens the sealed text, or it was sealed for another context, or it is damaged. These
// cannot be told apart.
var ErrMasterKey = errors.New("no master key opens it")

// Vault seals under the first master key and opens under any. It is safe for concurrent use, and the list can be replaced
// meanwhile.
type Vault struct{ list atomic.Pointer[masterKeys] }

// masterKeys is a list. It is never changed.
type masterKeys struct {
	keys    [][]byte
	ciphers []cipher.AEAD
}

// New creates a vault of one or more master keys, of [KeyBytes] each. It keeps none of the slices.
func New(list [][]byte) (*Vault, error) {
	if len(list) == 0 {
		return nil, errors.New("no master key")
	}
	m := &masterKeys{}
	for i, key := range list {
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
		m.keys, m.ciphers = append(m.keys, bytes.Clone(key)), append(m.ciphers, aead)
	}
	v := &Vault{}
	v.list.Store(m)
	return v, nil
}

// Replace has v seal and open under the list of another vault, at once and for all that share v.
func (v *Vault) Replace(by *Vault) { v.list.Store(by.list.Load()) }

// Equal is whether both vaults have the same list.
func (v *Vault) Equal(other *Vault) bool {
	return slices.EqualFunc(v.list.Load().keys, other.list.Load().keys, bytes.Equal)
}

// Derive makes a key of 32 bytes from each master key of the present list, for one purpose alone (RFC 5869): purpose is
// HKDF's info. The caller seals with the first of them and opens with all, and asks again each time.
func (v *Vault) Derive(purpose string) [][]byte {
	list := v.list.Load().keys
	derived := make([][]byte, len(list))
	for i, master := range list {
		key, err := hkdf.Key(sha256.New, master, nil, purpose, sha256.Size)
		if err != nil {
			panic(err) // only for a key length that SHA-256 cannot give
		}
		derived[i] = key
	}
	return derived
}

// Seal encrypts plain for the context. The same twice gives different bytes.
func (v *Vault) Seal(plain, context []byte) []byte {
	return v.list.Load().ciphers[0].Seal(nil, nil, plain, context)
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
	for i, aead := range v.list.Load().ciphers {
		if plain, err := aead.Open(nil, nil, sealed, context); err == nil {
			return plain, i, nil
		}
	}
	return nil, 0, ErrMasterKey
}
