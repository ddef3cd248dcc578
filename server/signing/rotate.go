package signing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	ErrNotPublished = errors.New("the next signing key has been published for less than 10 minutes")
	// ErrConflict: another rotation was first; it matches store.ErrConflict. Keys shows its result.
	ErrConflict = fmt.Errorf("another rotation of the signing keys came first: %w", store.ErrConflict)
)

// NotPublishedError is ErrNotPublished with the time from which a rotation works.
type NotPublishedError struct{ Until time.Time }

func (e *NotPublishedError) Error() string {
	return fmt.Sprintf("%v: retry at %s", ErrNotPublished, e.Until.Format(time.RFC3339))
}

func (e *NotPublishedError) Unwrap() error { return ErrNotPublished }

// Compromised says which keys an attacker may have, as an operator tells a rotation.
type Compromised int

const (
	// NoKeys: the rotation promotes the next key and retires the active one.
	NoKeys Compromised = iota
	// CurrentKeys: the active and the next key are replaced and dropped from the JWKS. They are sealed in one record
	// under one master key: an attacker who has one has the other.
	CurrentKeys
	// AllKeys: the retired keys are dropped as well. Their private halves are in earlier copies of the record.
	AllKeys
)

// Rotate replaces the active key, for an operator. A *NotPublishedError: it is too early, unless keys are compromised.
// ErrConflict: the keys were rotated since this replica last read them, and a second rotation is not what was asked
// for. ErrMasterKey: this replica could not sign with the next key.
func (r *Ring) Rotate(ctx context.Context, compromised Compromised) error {
	// Before the wait for the other changes: of two that are asked for at once, the second must notice
	// the first.
	seen := r.view.Load().ring
	return r.exclusive(ctx, func() error {
		if err := r.Ready(); err != nil {
			return err
		}
		ring, err := r.stored(ctx)
		if err != nil {
			return err
		}
		how := newRotation(&seen, compromised)
		if how.done(ring) {
			return r.lost(ctx, ring, how)
		}
		if err := r.promotable(ring, compromised); err != nil {
			return err
		}
		return r.rotate(ctx, ring, how)
	})
}

// Affected is what a rotation replaces, by the keys that this replica knows: for the audit log.
func (r *Ring) Affected(compromised Compromised) map[string]string {
	ring := r.view.Load().ring
	active, next := ring.Active().ID, ring.Next().ID
	switch compromised {
	case CurrentKeys:
		return map[string]string{"dropped": active + " " + next}
	case AllKeys:
		retired := len(ring.Keys) - 2
		return map[string]string{"dropped": active + " " + next, "retired_dropped": strconv.Itoa(retired)}
	}
	return map[string]string{"replaced": active, "promoted": next}
}

// rotation is one rotation that was asked for.
type rotation struct {
	compromised Compromised
	// named are the keys that it is to replace, by the ring that was known when it was asked for. So another rotation
	// that comes between neither hides a compromised key among the retired nor makes this one a second one.
	named map[string]bool
}

func newRotation(seen *store.Keyring, compromised Compromised) rotation {
	o := rotation{compromised, map[string]bool{}}
	for _, k := range seen.Keys {
		switch state := k.State(); {
		case compromised == AllKeys, state == store.KeyActive, compromised == CurrentKeys && state == store.KeyNext:
			o.named[k.ID] = true
		}
	}
	return o
}

// done is whether another rotation was first.
func (o rotation) done(ring *store.Keyring) bool {
	if o.compromised == NoKeys {
		return !o.named[ring.Active().ID]
	}
	return !slices.ContainsFunc(ring.Keys, func(k store.SigningKey) bool { return o.named[k.ID] })
}

// keeps is whether a retired key stays published.
func (o rotation) keeps(k store.SigningKey) bool {
	return o.compromised == NoKeys || o.compromised == CurrentKeys && !o.named[k.ID]
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

// promotable is why the next key cannot sign yet; nil: it can. A replica that cannot open it lacks a master key that
// another one has, so it rotates no compromised key either: the others may be unable to open what it seals.
func (r *Ring) promotable(ring *store.Keyring, compromised Compromised) error {
	if until := promotableFrom(ring); compromised == NoKeys && r.now().Before(until) {
		return &NotPublishedError{Until: until}
	}
	return r.openable(ring.Next())
}

func promotableFrom(ring *store.Keyring) time.Time {
	return ring.Next().PublishedAt.Add(PromotableAfter)
}

// rotate replaces ring by the one after it. It gives up if another rotation was first, and tries again after any other
// change.
func (r *Ring) rotate(ctx context.Context, ring *store.Keyring, how rotation) error {
	began := time.Now()
	fresh, err := r.newKeys(how.compromised)
	if err != nil {
		return err
	}
	ctx, cancel := extend(ctx, time.Since(began))
	defer cancel()
	for {
		next := r.successor(ring, fresh, how)
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
		if how.done(ring) {
			return r.lost(ctx, ring, how)
		}
	}
}

// newKeys are the keys that a rotation adds: a next one, and an active one if the next key cannot be promoted.
func (r *Ring) newKeys(compromised Compromised) (fresh []store.SigningKey, err error) {
	fresh = make([]store.SigningKey, 1, 2)
	if compromised != NoKeys {
		fresh = fresh[:2]
	}
	for i := range fresh {
		if fresh[i], err = r.newKey(); err != nil {
			return nil, err
		}
	}
	return fresh, nil
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
// keys, whose answer was lost: so the write is confirmed before the caller learns that they are gone.
func (r *Ring) lost(ctx context.Context, ring *store.Keyring, how rotation) error {
	_, _ = r.takeOver(ctx, ring)
	if how.compromised != NoKeys {
		if err := r.store.Confirm(ctx); err != nil {
			return fmt.Errorf("rotate the signing keys: %w", err)
		}
	}
	return ErrConflict
}

// successor is the ring after a rotation.
func (r *Ring) successor(ring *store.Keyring, fresh []store.SigningKey, how rotation) store.Keyring {
	now := r.now()
	active := ring.Next()
	if how.compromised != NoKeys {
		active = fresh[1]
	}
	active.ActivatedAt, active.TokenTTLMax = now, r.options.TokenTTLMax
	keys := []store.SigningKey{active, fresh[0]}
	if how.compromised == NoKeys {
		// It never signs again, so its private part is not needed.
		old := ring.Active()
		old.Sealed = nil
		old.RetiredAt, old.RemoveAt = now, now.Add(max(old.TokenTTLMax, r.options.TokenTTLMax)+retiredFor)
		keys = append(keys, old)
	}
	for _, k := range ring.Keys {
		if k.State() == store.KeyRetired && k.RemoveAt.After(now) && how.keeps(k) {
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
		return settled(r.rotate(ctx, ring, newRotation(ring, NoKeys)))
	}
	kept := r.unexpired(ring)
	if len(kept.Keys) == len(ring.Keys) {
		return nil
	}
	return settled(r.replace(ctx, ring, &kept))
}

// settled drops the errors of a write that need no action. After a conflict the winner has done the same, and the next
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
