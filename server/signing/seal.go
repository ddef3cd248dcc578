package signing

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/mintkeep/mintkeep/store"
)

// ErrMasterKey says that the stored keys were sealed under a master key that this replica was not
// given.
var ErrMasterKey = errors.New("MINTKEEP_MASTER_KEY does not open the signing keys in Redis: add the master key that was in use before " +
	"to the comma-separated list (the first seals, all open); if it is lost, stop every replica and delete the Redis key mk:signing-keys: " +
	"new signing keys are made at the next start, and no JWT signed before can be verified any more")

// masterKeyBytes makes it AES-256.
const masterKeyBytes = 32

// vault seals under the first master key and opens under any.
type vault []cipher.AEAD

func newVault(masterKeys [][]byte) (vault, error) {
	if len(masterKeys) == 0 {
		return nil, errors.New("no master key")
	}
	var v vault
	for i, key := range masterKeys {
		if len(key) != masterKeyBytes {
			return nil, fmt.Errorf("master key %d has %d bytes, not %d", i+1, len(key), masterKeyBytes)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		v = append(v, aead)
	}
	return v, nil
}

// seal binds the private key to its id, so that records cannot be swapped.
func (v vault) seal(id string, private crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return v[0].Seal(nil, nil, der, []byte(id)), nil
}

// open answers ErrMasterKey when no master key fits.
func (v vault) open(key store.SigningKey) (crypto.Signer, error) {
	for _, aead := range v {
		der, err := aead.Open(nil, nil, key.Sealed, []byte(key.ID))
		if err != nil {
			continue
		}
		defer clear(der)
		private, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", key.ID, err)
		}
		pair, ok := private.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("signing key %s: a key of type %T cannot sign", key.ID, private)
		}
		return pair, nil
	}
	return nil, fmt.Errorf("signing key %s: %w", key.ID, ErrMasterKey)
}
