package rekey

import (
	"context"
	"errors"
	"fmt"

	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
)

// Options for Run. Store and MasterKeys are required.
type Options struct {
	Store *store.Store
	// MasterKeys are 32 bytes each: the first seals, all open. With one alone, Run looks whether everything opens
	// under it.
	MasterKeys [][]byte
	// DryRun counts what would be sealed anew and writes nothing.
	DryRun bool
	// Progress is told how many people are done, of how many, as far as is known. May be nil.
	Progress func(done, all int64)
}

// Result is what Run found.
type Result struct {
	SigningKeys, Passwords Count
	// Problems are what could not be opened or read. While there are any, no master key may be given up.
	Problems []Problem
}

// Count is how many there are of what is sealed.
type Count struct {
	Anew    int64 // sealed anew, or to be by who only counts
	Already int64 // under the first master key before
}

// Problem is something that was left as it is.
type Problem struct {
	Of  string // "signing key …" or "password of usr_…"
	Err error  // matches seal.ErrMasterKey if no key of the list opens it; else the record cannot be read
}

// Run walks through everything that is sealed, and has it confirmed, whoever sealed it: an old key is given up for
// what it says. The error matches store.ErrUnavailable when Redis does not answer, or cannot confirm; the result says
// then how far it came, and what was done holds.
func Run(ctx context.Context, o Options) (Result, error) {
	vault, err := seal.New(o.MasterKeys)
	if err != nil {
		return Result{}, err
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	w := &walk{Options: o, vault: vault}
	if err := w.signingKeys(ctx); err != nil {
		return w.result, err
	}
	if err := w.people(ctx); err != nil {
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

// signingKeys replaces the ring, again if somebody rotates at the same time.
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
		if n.Anew > 0 && !w.DryRun {
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
				n.Already++
			default:
				n.Anew++
				key.Sealed = fresh
			}
		}
		next.Keys = append(next.Keys, key)
	}
	return next, n, problems
}

// pageSize is how many people are read at once.
const pageSize = 200

func (w *walk) people(ctx context.Context) error {
	totals, err := w.Store.Totals(ctx)
	if err != nil {
		return err
	}
	all, done := totals.Users, int64(0)
	for after, first := "", true; first || after != ""; first = false {
		page, next, err := w.Store.UserRecords(ctx, after, pageSize)
		if err != nil {
			return stopped(done, all, err)
		}
		for _, r := range page {
			if err := w.person(ctx, r); err != nil {
				return stopped(done, all, err)
			}
			done++
		}
		after = next
		w.Progress(done, max(all, done))
	}
	return nil
}

func stopped(done, all int64, err error) error {
	return fmt.Errorf("stopped after %d of %d people: %w", done, max(all, done), err)
}

// person seals a password anew, again if another was set at the same time: that one may have been sealed by a
// replica that has the old key in front.
func (w *walk) person(ctx context.Context, r store.UserRecord) error {
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
			w.result.Passwords.Already++
			return nil
		case fresh == nil || w.DryRun:
			w.result.Passwords.Anew++
			return nil
		}
		err = w.Store.RehashPassword(ctx, r.ID, r.User.Password, fresh)
		if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		r.User, r.Err = w.Store.User(ctx, r.ID)
	}
}

// password is a person's, sealed under the first master key; nil if it is so already.
func (w *walk) password(r store.UserRecord) ([]byte, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	return password.Reseal(w.vault, r.ID, r.User.Password)
}
