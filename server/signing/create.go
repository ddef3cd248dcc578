package signing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/store"
)

const (
	// publishedAfter: every replica has reloaded by then.
	publishedAfter = 30 * time.Second
	// claimTTL is longer than the creation of two RSA keys takes on a slow machine.
	claimTTL = 10 * time.Second
	// claimPoll is how often a replica checks whether the one that creates the keys is done.
	claimPoll = 50 * time.Millisecond
)

// newKey creates a next key. An RSA key takes time: if it is called between a read and the write that
// depends on it, the write is likely to conflict.
func (r *Ring) newKey() (store.SigningKey, error) {
	pair, err := generate(r.options.Algorithm)
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("create a signing key: %w", err)
	}
	id, err := jwks.Thumbprint(pair.Public()) // the kid: no two keys can share one
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("create a signing key: %w", err)
	}
	public, err := publicJWK(id, pair.Public())
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("create a signing key: %w", err)
	}
	sealed, err := r.seal(id, pair)
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("seal a signing key: %w", err)
	}
	now := r.now()
	return store.SigningKey{
		ID: id, Algorithm: r.options.Algorithm, Sealed: sealed, Public: public,
		CreatedAt: now, PublishedAt: now.Add(publishedAfter),
	}, nil
}

// now is in whole seconds, as it is stored and shown.
func (r *Ring) now() time.Time { return r.options.Now().UTC().Truncate(time.Second) }

// first creates the first two keys, or waits for the replica that is creating them.
func (r *Ring) first(ctx context.Context) (*store.Keyring, error) {
	for {
		mine, err := r.store.ClaimKeyring(ctx, nil, r.owner, claimTTL)
		if err != nil {
			return nil, err
		}
		if mine {
			return r.createFirst(ctx)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the replica that creates the signing keys: %w: %w", store.ErrUnavailable, ctx.Err())
		case <-time.After(claimPoll):
		}
		ring, err := r.store.Keyring(ctx)
		if !errors.Is(err, store.ErrNotFound) {
			return ring, err
		}
	}
}

func (r *Ring) createFirst(ctx context.Context) (*store.Keyring, error) {
	// The claim may have been won just after another replica was done with it.
	ring, err := r.store.Keyring(ctx)
	if !errors.Is(err, store.ErrNotFound) {
		return ring, err
	}
	began := time.Now()
	active, err := r.newKey()
	if err != nil {
		return nil, err
	}
	next, err := r.newKey()
	if err != nil {
		return nil, err
	}
	// Nothing was signed before, so no resource server holds a JWKS without it.
	active.ActivatedAt, active.PublishedAt = active.CreatedAt, active.CreatedAt
	active.TokenTTLMax = r.options.TokenTTLMax
	ctx, cancel := extend(ctx, time.Since(began))
	defer cancel()
	ring = &store.Keyring{Keys: []store.SigningKey{active, next}}
	err = r.store.ReplaceKeyring(ctx, nil, *ring)
	if errors.Is(err, store.ErrConflict) {
		return r.store.Keyring(ctx)
	}
	return ring, err
}

// extend gives ctx back the time that the creation of a key took: a request's budget is one of store
// time, and an RSA key can cost all of it.
func extend(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), deadline.Add(by))
}
