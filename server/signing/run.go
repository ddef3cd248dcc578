package signing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

const (
	reloadEvery = 10 * time.Second
	retryFirst  = 100 * time.Millisecond
	retryMost   = 5 * time.Second
	// stepBudget bounds one reload, so that a store that hangs delays the next by no more than that.
	stepBudget = 5 * time.Second
)

// Load reads the ring, and makes the first active and next key if there is none. Of replicas that start
// together one makes them and the others read. ErrMasterKey: a stored key does not open, see Ready for
// whether it is the one that signs.
func (r *Ring) Load(ctx context.Context) error {
	return r.exclusive(ctx, func() error {
		_, err := r.load(ctx)
		return err
	})
}

// Run keeps the ring loaded and rotates it until ctx ends.
func (r *Ring) Run(ctx context.Context) {
	retry := retryFirst
	for {
		step, cancel := context.WithTimeout(ctx, stepBudget)
		_ = r.Tick(step) // it logs what matters
		cancel()
		wait := reloadEvery
		if r.Ready() != nil {
			wait, retry = retry, min(2*retry, retryMost)
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

// Tick is one step of Run: it reads the ring, then rotates or cleans it if the time has come.
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
		return ring, r.apply(ring)
	case passing(err) && r.Ready() == nil:
		// Tokens cannot be recorded either while the store is away, so signing with what may be an old
		// key does no harm.
		return nil, err
	}
	return nil, r.stop(err)
}

// passing tells a store that cannot be reached from a record that cannot be used.
func passing(err error) bool {
	if errors.Is(err, store.ErrNewerRecord) || errors.Is(err, store.ErrKeyringDamaged) {
		return false
	}
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// report logs a trouble when it begins, when it becomes another one and when it ends.
func (r *Ring) report(ctx context.Context, err error) {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	var trouble string
	level := slog.LevelError
	switch {
	case err == nil:
	case errors.Is(err, ErrMasterKey):
		trouble = "master key"
	case passing(err):
		trouble, level = "store", slog.LevelWarn
	default:
		trouble = "record"
	}
	was := r.trouble.Swap(&trouble)
	switch {
	case was != nil && *was == trouble, was == nil && trouble == "":
	case trouble == "":
		r.log.Info("the signing keys are up to date again")
	default:
		r.log.Log(ctx, level, "the signing keys could not be reloaded", "error", err)
	}
}
