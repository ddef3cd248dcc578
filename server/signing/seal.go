package signing

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/store"
)

// ErrMasterKey: the stored keys were sealed under a master key that this replica does not have.
var ErrMasterKey = errors.New("MINTKEEP_MASTER_KEY does not decrypt the signing keys in Redis: set it to the master key of the other replicas; after a change of the master key, add the previous one " +
	"to the comma-separated list (the first encrypts, all decrypt); if the previous one is lost, stop every replica and delete the Redis key mk:signing-keys: " +
	"the next start creates new signing keys, and earlier JWTs can no longer be verified offline")

// seal binds the private key to its id, so that records cannot be swapped.
func (r *Ring) seal(id string, private crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return r.vault.Seal(der, []byte(id)), nil
}

// Reseal seals the private part of a key under the vault's first master key, as seal.Vault.Reseal does.
func Reseal(v *seal.Vault, key store.SigningKey) (fresh []byte, err error) {
	return v.Reseal(key.Sealed, []byte(key.ID))
}

// open opens the private part of a key: ErrMasterKey if no master key fits.
func (r *Ring) open(key store.SigningKey) (crypto.Signer, error) {
	der, err := r.vault.Open(key.Sealed, []byte(key.ID))
	if err != nil { // which has no other cause
		return nil, fmt.Errorf("signing key %s: %w", key.ID, ErrMasterKey)
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
