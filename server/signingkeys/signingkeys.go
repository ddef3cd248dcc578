// Package signingkeys rotates the signing keys for an operator, and records it.
package signingkeys

import (
	"context"
	"errors"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Rotator rotates the signing keys. All fields are required.
type Rotator struct {
	Ring  *signing.Ring
	Audit *audit.Log
	Now   func() time.Time
}

// Rotate replaces the active key. The audit log treats compromised keys as a change, not as a revocation: while the store
// takes no writes, they cannot be replaced either.
func (k *Rotator) Rotate(ctx context.Context, compromised signing.Compromised, by audit.Actor) error {
	if err := k.Ring.Ready(); err != nil {
		return err
	}
	// Asked beforehand, so that the audit log has no rotation that was rejected.
	if from := k.PossibleFrom(); compromised == signing.NoKeys && k.Now().Before(from) {
		return k.notRotated(&signing.NotPublishedError{Until: from})
	}
	what := audit.Record{Action: audit.SigningKeyRotated, Target: audit.SigningKeysTarget, Detail: k.Ring.Affected(compromised)}
	if compromised != signing.NoKeys {
		what.Action = audit.SigningKeyCompromised
	}
	return k.notRotated(k.Audit.Change(ctx, by, what, func(ctx context.Context) error {
		return k.Ring.Rotate(ctx, compromised)
	}))
}

// PossibleFrom is when the next key may sign: until then the keys can only be rotated as compromised. It is the zero time
// while there is no next key.
func (k *Rotator) PossibleFrom() time.Time {
	for _, key := range k.Ring.Keys() {
		if key.State == store.KeyNext {
			return key.PublishedAt.Add(signing.PromotableAfter)
		}
	}
	return time.Time{}
}

func (k *Rotator) notRotated(err error) error {
	var notPublished *signing.NotPublishedError
	switch {
	case errors.As(err, &notPublished):
		until := notPublished.Until.UTC().Add(time.Second - 1).Truncate(time.Second) // never a moment too soon
		early := web.Conflict("The next key has been published for less than 10 minutes; retry at %s", until.Format(time.RFC3339))
		early.RetryAfter = max(until.Sub(k.Now()), time.Second)
		return early
	case errors.Is(err, store.ErrConflict):
		return web.Conflict("Another rotation of the signing keys came first; list the keys before you retry")
	}
	return err
}
