package signing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

const (
	// PromotableAfter is how long a key is published before it signs: twice the max-age of the JWKS.
	PromotableAfter = 10 * time.Minute
	// retiredFor is how much longer than its tokens a retired key stays: replicas that had not
	// reloaded still signed with it, and clocks differ.
	retiredFor = 5 * time.Minute
)

var (
	// ErrNotPublished: the next key is too new to sign; errors.As a *NotPublishedError tells until when.
	ErrNotPublished = errors.New("the next signing key has not been published for 10 minutes yet")
	// ErrConflict: another rotation was first; it matches store.ErrConflict. Keys shows its result.
	ErrConflict = fmt.Errorf("the signing keys were rotated by somebody else at the same time: %w", store.ErrConflict)
)

// NotPublishedError is ErrNotPublished with the time from which a rotation works.
type NotPublishedError struct{ Until time.Time }

func (e *NotPublishedError) Error() string {
	return fmt.Sprintf("%v: wait until %s", ErrNotPublished, e.Until.Format(time.RFC3339))
}

func (e *NotPublishedError) Unwrap() error { return ErrNotPublished }

// Rotate promotes the next key and creates a new one, for an operator. A *NotPublishedError: it is too
// early, unless the active key is compromised; that one is dropped from the JWKS at once. ErrConflict:
// the keys were rotated since this replica last read them, and a second rotation is not what was asked
// for. ErrMasterKey: this replica could not sign with the next key.
func (r *Ring) Rotate(ctx context.Context, compromised bool) error {
	// Before the wait for the other changes: of two that are asked for at once, the second must notice
	// the first.
	replaced := r.view.Load().ring.Active().ID
	return r.exclusive(ctx, func() error {
		if err := r.Ready(); err != nil {
			return err
		}
		ring, err := r.stored(ctx)
		if err != nil {
			return err
		}
		if ring.Active().ID != replaced {
			return r.lost(ctx, ring, compromised)
		}
		if err := r.promotable(ring, compromised); err != nil {
			return err
		}
		return r.rotate(ctx, ring, compromised)
	})
}

// stored is the ring to be rotated. If it is gone, the next Tick creates another.
func (r *Ring) stored(ctx context.Context) (*store.Keyring, error) {
	ring, err := r.store.Keyring(ctx)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("the record is gone: %w", store.ErrUnavailable)
	}
	if err != nil {
		return nil, fmt.Errorf("rotate the signing keys: %w", err)
	}
	return ring, nil
}

// promotable is why the next key cannot sign yet; nil: it can.
func (r *Ring) promotable(ring *store.Keyring, compromised bool) error {
	if until := promotableFrom(ring); !compromised && r.now().Before(until) {
		return &NotPublishedError{Until: until}
	}
	return r.openable(ring.Next())
}

func promotableFrom(ring *store.Keyring) time.Time {
	return ring.Next().PublishedAt.Add(PromotableAfter)
}

// rotate replaces ring by the one after it. It gives up if the active key has been replaced meanwhile,
// and tries again after any other change.
func (r *Ring) rotate(ctx context.Context, ring *store.Keyring, compromised bool) error {
	replaced := ring.Active().ID
	began := time.Now()
	fresh, err := r.newKey()
	if err != nil {
		return err
	}
	ctx, cancel := extend(ctx, time.Since(began))
	defer cancel()
	for {
		next := r.promoted(ring, fresh, compromised)
		err := r.replace(ctx, ring, &next)
		if err == nil {
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("rotate the signing keys: %w", err)
		}
		if ring, err = r.stored(ctx); err != nil {
			return err
		}
		if ring.Active().ID != replaced {
			return r.lost(ctx, ring, compromised)
		}
	}
}

// replace writes a ring and takes it over, also if the write is not confirmed: the other replicas read it too.
func (r *Ring) replace(ctx context.Context, ring, next *store.Keyring) error {
	err := r.store.ReplaceKeyring(ctx, ring, *next)
	if err != nil && !errors.Is(err, store.ErrUnconfirmed) {
		return err
	}
	return cmp.Or(r.apply(next), err)
}

// lost takes over the ring of the rotation that won. If a key of it does not open, the next Tick reports
// that: here the error is the lost race. The winner may be an earlier try to drop the same compromised
// key, whose answer was lost: so the write is confirmed before the caller learns that the key is gone.
func (r *Ring) lost(ctx context.Context, ring *store.Keyring, compromised bool) error {
	_ = r.apply(ring)
	if compromised {
		if err := r.store.Confirm(ctx); err != nil {
			return fmt.Errorf("rotate the signing keys: %w", err)
		}
	}
	return ErrConflict
}

// promoted is the ring after a rotation.
func (r *Ring) promoted(ring *store.Keyring, fresh store.SigningKey, compromised bool) store.Keyring {
	now := r.now()
	active, old := ring.Next(), ring.Active()
	active.ActivatedAt = now
	keys := []store.SigningKey{active, fresh}
	if !compromised {
		// It never signs again, so its private part is not needed.
		old.Sealed = nil
		old.RetiredAt, old.RemoveAt = now, now.Add(r.options.TokenTTLMax+retiredFor)
		keys = append(keys, old)
	}
	for _, k := range ring.Keys {
		if k.State() == store.KeyRetired && k.RemoveAt.After(now) {
			keys = append(keys, k)
		}
	}
	return store.Keyring{Keys: keys}
}

// maintain makes an automatic rotation, or removes keys whose last token has expired, if either is due.
// Every replica tries; one succeeds, and the others find it done. The keys of ring are known to open.
func (r *Ring) maintain(ctx context.Context, ring *store.Keyring) error {
	if r.rotationDue(ring) {
		mine, err := r.store.ClaimKeyring(ctx, ring, r.owner, claimTTL)
		if err != nil || !mine {
			return err
		}
		return settled(r.rotate(ctx, ring, false))
	}
	kept := r.unexpired(ring)
	if len(kept.Keys) == len(ring.Keys) {
		return nil
	}
	return settled(r.replace(ctx, ring, &kept))
}

// settled drops the errors that need no action. After a conflict the winner has done the same, and the next
// reload shows it. If a write is not confirmed and Redis loses it, a later Tick makes it again; no caller
// waits for it.
func settled(err error) error {
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnconfirmed) {
		return nil
	}
	return err
}

func (r *Ring) rotationDue(ring *store.Keyring) bool {
	age := r.now().Sub(ring.Active().ActivatedAt)
	return r.options.Rotation > 0 && age >= r.options.Rotation && !r.now().Before(promotableFrom(ring))
}

func (r *Ring) unexpired(ring *store.Keyring) store.Keyring {
	var kept store.Keyring
	for _, k := range ring.Keys {
		if k.State() != store.KeyRetired || k.RemoveAt.After(r.now()) {
			kept.Keys = append(kept.Keys, k)
		}
	}
	return kept
}
