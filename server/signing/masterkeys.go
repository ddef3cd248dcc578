package signing

import (
	"context"
	"errors"

	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/store"
)

// ReplaceMasterKeys has the vault take another list of master keys, and tells whether it is another. The list must open the
// signing keys: ErrMasterKey if it does not, and then the old one stays. While the store does not answer, the keys that
// this replica knows decide.
func (r *Ring) ReplaceMasterKeys(ctx context.Context, list [][]byte) (changed bool, err error) {
	fresh, err := seal.New(list)
	if err != nil || r.vault.Equal(fresh) {
		return false, err
	}
	return true, r.exclusive(ctx, func() error {
		ring, err := r.store.Keyring(ctx)
		switch {
		case errors.Is(err, store.ErrNotFound): // there is none yet
			ring = &store.Keyring{}
		case err != nil && transient(err):
			ring = &r.view.Load().ring
		case err != nil:
			return err
		}
		for _, key := range ring.Keys {
			if len(key.Sealed) == 0 { // retired
				continue
			}
			if _, err := fresh.Open(key.Sealed, []byte(key.ID)); err != nil {
				return ErrMasterKey
			}
		}
		r.vault.Replace(fresh)
		if r.Ready() == nil {
			return nil
		}
		_, _ = r.load(ctx) // Run repeats it and logs its error
		return nil
	})
}
