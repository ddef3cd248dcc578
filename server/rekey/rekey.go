package rekey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
)

// Options for Run. Store and MasterKeys are required.
type Options struct {
	Store *store.Store
	// MasterKeys are 32 bytes each: the first seals, all open. With a single one, Run checks that everything opens
	// under it.
	MasterKeys [][]byte
	// Compromised is whether an old master key has leaked: then all signing keys are replaced, and dropped from the JWKS.
	// They stay as they are while there are Problems.
	Compromised bool
	// DryRun counts what would be resealed or dropped and writes nothing.
	DryRun bool
	// Now defaults to time.Now.
	Now func() time.Time
	// Progress is told how many users are done, of how many. May be nil.
	Progress func(done, all int64)
}

// Result is what Run found.
type Result struct {
	SigningKeys, Passwords Count
	Dropped                int64 // signing keys; in a dry run: to be dropped
	// Problems are what could not be opened or read. While there are any, no master key may be removed.
	Problems []Problem
}

// Count is how many sealed texts there are of a kind.
type Count struct {
	Resealed int64 // in a dry run: to be resealed
	Current  int64 // were under the first master key before
}

// Problem is a sealed text that was left as it is.
type Problem struct {
	Of  string // "signing key …" or "password of usr_…"
	Err error  // matches seal.ErrMasterKey if no key of the list opens it; else the record cannot be read
}

// Run reseals everything, and waits for the barrier: an old master key is removed because of the result. The error
// matches store.ErrUnavailable if Redis does not answer, or does not confirm; the result is then how far Run came, and
// what it has written stays.
func Run(ctx context.Context, o Options) (Result, error) {
	vault, err := seal.New(o.MasterKeys)
	if err != nil {
		return Result{}, err
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	w := &walk{Options: o, vault: vault}
	if err := w.signingKeys(ctx); err != nil {
		return w.result, err
	}
	if o.Compromised && len(w.result.Problems) == 0 {
		if err := w.dropSigningKeys(ctx); err != nil {
			return w.result, err
		}
	}
	if err := w.users(ctx); err != nil {
		return w.result, err
	}
	return w.result, o.Store.Confirm(ctx)
}

// walk is one Run.
type walk struct {
	Options
	vault  *seal.Vault
	result Result
}

func (w *walk) problem(of string, err error) {
	w.result.Problems = append(w.result.Problems, Problem{of, err})
}

// signingKeys replaces the ring, and tries again after a rotation at the same time.
func (w *walk) signingKeys(ctx context.Context) error {
	for {
		ring, err := w.Store.Keyring(ctx)
		switch {
		case errors.Is(err, store.ErrNotFound): // no server was started yet
			return nil
		case errors.Is(err, store.ErrNewerRecord), errors.Is(err, store.ErrKeyringDamaged):
			w.problem("the signing keys", err)
			return nil
		case err != nil:
			return err
		}
		next, n, problems := w.resealed(ring)
		if n.Resealed > 0 && !w.DryRun {
			err = w.Store.ReplaceKeyring(ctx, ring, next)
		}
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		w.result.SigningKeys = n
		w.result.Problems = append(w.result.Problems, problems...)
		return nil
	}
}

// resealed is the ring with its private keys under the first master key. Retired keys have none.
func (w *walk) resealed(ring *store.Keyring) (next store.Keyring, n Count, problems []Problem) {
	for _, key := range ring.Keys {
		if len(key.Sealed) > 0 || key.State() != store.KeyRetired {
			fresh, err := signing.Reseal(w.vault, key)
			switch {
			case err != nil:
				problems = append(problems, Problem{"signing key " + key.ID, err})
			case fresh == nil:
				n.Current++
			default:
				n.Resealed++
				key.Sealed = fresh
			}
		}
		next.Keys = append(next.Keys, key)
	}
	return next, n, problems
}

// actor is who drops the signing keys.
var actor = audit.Tool("mintkeep rekey")

// dropSigningKeys replaces each signing key, as a server does that is told that all are compromised. If another such
// rotation was first, it has dropped them.
func (w *walk) dropSigningKeys(ctx context.Context) error {
	stored, err := w.Store.Keyring(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ring, err := signing.New(signing.Options{
		Store: w.Store, MasterKeys: w.MasterKeys, Algorithm: stored.Next().Algorithm, Now: w.Now,
	})
	if err != nil {
		return err
	}
	if err := ring.Load(ctx); err != nil {
		return err
	}
	w.result.Dropped = int64(len(ring.Keys()))
	if w.DryRun {
		return nil
	}
	log := audit.Log{Store: w.Store, Now: w.Now}
	what := audit.Record{
		Action: audit.SigningKeyCompromised, Target: audit.SigningKeysTarget, Detail: ring.Affected(signing.AllKeys),
	}
	err = log.Change(ctx, actor, what, func(ctx context.Context) error { return ring.Rotate(ctx, signing.AllKeys) })
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// users goes through all users, also those that the list of users lacks: an old master key is removed because of it.
func (w *walk) users(ctx context.Context) error {
	done := int64(0)
	err := w.Store.EachUserPage(ctx, func(page []store.UserRecord, all int) error {
		for _, r := range page {
			if err := w.user(ctx, r); err != nil {
				return err
			}
			done++
		}
		w.Progress(done, int64(all))
		return nil
	})
	if err != nil {
		return fmt.Errorf("stopped after %d users: %w", done, err)
	}
	return nil
}

// user reseals a password, and tries again if another was set at the same time: that one may have been sealed by a
// replica that has the old key in front.
func (w *walk) user(ctx context.Context, r store.UserRecord) error {
	for wrote := false; ; wrote = true {
		switch {
		case errors.Is(r.Err, store.ErrNotFound): // deleted meanwhile
			return nil
		case r.Err != nil && wrote: // it could be read just now, so it is Redis
			return r.Err
		case r.Err == nil && len(r.User.Password) == 0:
			return nil
		}
		fresh, err := w.password(r)
		switch {
		case err != nil:
			w.problem("password of "+r.ID, err)
			return nil
		case fresh == nil && !wrote:
			w.result.Passwords.Current++
			return nil
		case fresh == nil || w.DryRun:
			w.result.Passwords.Resealed++
			return nil
		}
		err = w.Store.RehashPassword(ctx, r.ID, r.User.Password, fresh)
		if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		r.User, r.Err = w.Store.User(ctx, r.ID)
	}
}

// password is the hash of a user's password, sealed under the first master key; nil if it is so already.
func (w *walk) password(r store.UserRecord) ([]byte, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	return password.Reseal(w.vault, r.ID, r.User.Password)
}
