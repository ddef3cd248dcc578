package store

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// idempotencyLifetime is how long a form is remembered after it was submitted.
const idempotencyLifetime = time.Hour

func idempotencyKey(d Digest) string { return "mk:o:" + string(d[:16]) }

// ClaimIdempotencyKey says whether a form is submitted for the first time: of two requests that claim the same digest
// within an hour, one is the first, and the other gets what [Store.CompleteIdempotencyKey] has left. Nothing is left while
// the first is under way, or if its outcome is unknown: after an error the claim may stand all the same.
func (s *Store) ClaimIdempotencyKey(ctx context.Context, d Digest) (first bool, left string, err error) {
	first, err = s.rdb.SetNX(ctx, idempotencyKey(d), "", idempotencyLifetime).Result()
	if err != nil || first {
		return first, "", unavailable("claim an idempotency key", err)
	}
	left, err = s.rdb.Get(ctx, idempotencyKey(d)).Result()
	if errors.Is(err, redis.Nil) {
		return false, "", nil
	}
	return false, left, unavailable("claim an idempotency key", err)
}

// CompleteIdempotencyKey leaves the outcome for a request that claims the same digest; an empty one lets the form be
// submitted again.
func (s *Store) CompleteIdempotencyKey(ctx context.Context, d Digest, left string) {
	var err error
	if left == "" {
		err = s.rdb.Del(ctx, idempotencyKey(d)).Err()
	} else {
		err = s.rdb.Set(ctx, idempotencyKey(d), left, idempotencyLifetime).Err()
	}
	if err != nil {
		s.log.WarnContext(ctx, "remembering a submitted form failed", "error", err)
	}
}
