package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// change reads under WATCH on key and writes what the plan says in one MULTI, again when somebody
// else wrote in between: of two changes at once, the second sees the first. ErrConflict if there is
// no end to it. What it has written is confirmed as an end is: ErrUnconfirmed if it cannot be.
func (s *Store) change(ctx context.Context, op, key string, plan func(*redis.Tx) (func(redis.Pipeliner), error)) error {
	const tries = 10
	done, err := s.turn(ctx, op)
	if err != nil {
		return err
	}
	defer done()
	for range tries {
		err := s.rdb.Watch(ctx, func(tx *redis.Tx) error {
			write, err := plan(tx)
			if err != nil {
				return err
			}
			written, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { write(p); return nil })
			if err != nil || len(written) == 0 {
				return err
			}
			return s.confirmChange(ctx, op, tx)
		}, key)
		var verdict *planError
		switch {
		case err == nil:
			return s.decide(ctx, op)
		case errors.Is(err, redis.TxFailedErr):
			continue
		case errors.As(err, &verdict):
			return verdict.error
		default:
			return unavailable(op, err)
		}
	}
	return fmt.Errorf("%s: %w", op, ErrConflict)
}

// planError marks an error of the caller's own, met while a change was planned: it is not the
// backend's and goes back as it is.
type planError struct{ error }

func (e *planError) Unwrap() error { return e.error }
