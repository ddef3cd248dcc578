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
var ErrMasterKey = errors.New("MINTKEEP_MASTER_KEY does not open the signing keys in Redis: see that it is the one that the other replicas have; or, after a change, add the master key that was in use before " +
	"to the comma-separated list (the first seals, all open); if it is lost, stop every replica and delete the Redis key mk:signing-keys: " +
	"new signing keys are made at the next start, and no JWT signed before can be verified any more")

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
