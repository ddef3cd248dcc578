package signing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

const (
	reloadEvery = 10 * time.Second
	retryFirst  = 100 * time.Millisecond
	retryMax    = 5 * time.Second
	// stepBudget bounds one reload, so that a store that hangs delays the next by no more than that.
	stepBudget = 5 * time.Second
)

// Load reads the ring, and creates the first active and next key if there is none. Of replicas that start
// together one creates them and the others read. ErrMasterKey: a stored key does not open; Ready tells
// whether it is the active one.
func (r *Ring) Load(ctx context.Context) error {
	return r.exclusive(ctx, func() error {
		_, err := r.load(ctx)
		return err
	})
}

// Run keeps the ring loaded and rotates it until ctx is done.
func (r *Ring) Run(ctx context.Context) {
	retry := retryFirst
	for {
		step, cancel := context.WithTimeout(ctx, stepBudget)
		_ = r.Tick(step) // logs its error
		cancel()
		wait := reloadEvery
		if r.Ready() != nil {
			wait, retry = retry, min(2*retry, retryMax)
		} else {
			retry = retryFirst
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Tick is one step of Run: it reads the ring, then rotates it or removes old keys if that is due.
func (r *Ring) Tick(ctx context.Context) error {
	err := r.exclusive(ctx, func() error {
		ring, err := r.load(ctx)
		if err != nil {
			return err
		}
		return r.maintain(ctx, ring)
	})
	r.report(ctx, err)
	return err
}

// exclusive runs change alone in this process, so that no older ring replaces a newer one. It waits no
// longer than ctx.
func (r *Ring) exclusive(ctx context.Context, change func() error) error {
	select {
	case r.changing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("another change of the signing keys is under way: %w: %w", store.ErrUnavailable, ctx.Err())
	}
	defer func() { <-r.changing }()
	return change()
}

func (r *Ring) load(ctx context.Context) (*store.Keyring, error) {
	ring, err := r.store.Keyring(ctx)
	if errors.Is(err, store.ErrNotFound) {
		ring, err = r.first(ctx)
	}
	switch {
	case err == nil:
		return r.takeOver(ctx, ring)
	case transient(err) && r.Ready() == nil:
		// Tokens cannot be recorded either while the store is unreachable, so it does no harm to sign with
		// what may be an old key.
		return nil, err
	}
	return nil, r.stop(err)
}

// takeOver raises a ring that was read, and makes it the one that requests see. If Redis takes no writes, the ring is used as it
// was read, and a later Tick raises it: no token can be recorded meanwhile either, and revocations need a replica that is ready.
func (r *Ring) takeOver(ctx context.Context, ring *store.Keyring) (*store.Keyring, error) {
	raised, err := r.raise(ctx, ring)
	switch {
	case err == nil:
		return raised, r.apply(raised)
	case transient(err):
		return nil, cmp.Or(r.apply(ring), err)
	}
	return nil, r.stop(err)
}

// raise returns ring with at least this replica's longest lifetime of a token in the record of the active key. It is tried
// before this replica signs with the key: so a replica that retires the key knows when its last token expires.
func (r *Ring) raise(ctx context.Context, ring *store.Keyring) (*store.Keyring, error) {
	for ring.Active().TokenTTLMax < r.options.TokenTTLMax {
		raised := store.Keyring{Keys: slices.Clone(ring.Keys)}
		for i := range raised.Keys {
			if k := &raised.Keys[i]; k.State() == store.KeyActive {
				k.TokenTTLMax = r.options.TokenTTLMax
			}
		}
		err := settled(r.store.ReplaceKeyring(ctx, ring, raised))
		if err == nil {
			ring, err = r.store.Keyring(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
	return ring, nil
}

// transient is whether the store could not be reached; otherwise the record cannot be used.
func transient(err error) bool {
	if errors.Is(err, store.ErrNewerRecord) || errors.Is(err, store.ErrKeyringDamaged) {
		return false
	}
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// report logs a kind of failure when it begins, when it changes and when it is over.
func (r *Ring) report(ctx context.Context, err error) {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	var failure string
	level := slog.LevelError
	switch {
	case err == nil:
	case errors.Is(err, ErrMasterKey):
		failure = "master key"
	case transient(err):
		failure, level = "store", slog.LevelWarn
	default:
		failure = "record"
	}
	was := r.failure.Swap(&failure)
	switch {
	case was != nil && *was == failure, was == nil && failure == "":
	case failure == "":
		r.log.Info("the signing keys are up to date again")
	default:
		r.log.Log(ctx, level, "the signing keys could not be reloaded", "error", err)
	}
}
