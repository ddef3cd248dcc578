package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// repeat is an end being carried out again. One with a sign is looked at first: what is there may be newer.
type repeat struct {
	ending
	done *redis.IntCmd
	look *redis.SliceCmd
}

func newRepeat(ctx context.Context, p redis.Pipeliner, e ending) repeat {
	if e.sign != "" {
		return repeat{ending: e, look: p.HMGet(ctx, e.key(), metaField, e.sign)}
	}
	r := repeat{ending: e, done: redis.NewIntCmd(ctx, e.args...)}
	_ = p.Process(ctx, r.done)
	return r
}

// held is whether the end holds.
func (r repeat) held() (bool, error) {
	if r.look == nil {
		return true, r.done.Err()
	}
	return !r.alive(r.look.Val()), r.look.Err()
}

// alive is whether the life that was ended is there, by its first field and the sign.
func (e ending) alive(fields []any) bool {
	if len(fields) < 2 || fields[0] == nil {
		return false
	}
	sign, _ := fields[1].(string)
	return sign == e.was
}

// repeat ends what is alive again. That nobody begins a newer life meanwhile, through a replica whose gate is open,
// is for WATCH to see: then nothing is done, and the next pulse looks again.
func (e *epoch) repeat(ctx context.Context, end ending) error {
	err := e.rdb.Watch(ctx, func(tx *redis.Tx) error {
		fields, err := tx.HMGet(ctx, end.key(), metaField, end.sign).Result()
		if err != nil || !end.alive(fields) {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			return p.Process(ctx, redis.NewIntCmd(ctx, end.args...))
		})
		return err
	}, end.key())
	if errors.Is(err, redis.TxFailedErr) {
		return nil
	}
	return err
}
