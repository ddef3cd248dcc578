package store

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// ending is a command that takes something away for good, which makes it an end: DEL of a key, or HDEL of fields
// of one. Redis carries it out even when it is out of memory, and it may be sent again.
type ending []any

func deletion(key string) ending { return ending{"del", key} }

func removal(key string, fields ...string) ending {
	e := ending{"hdel", key}
	for _, field := range fields {
		e = append(e, field)
	}
	return e
}

// end carries ends out, and tells how much each of them took away: nothing, if it had ended before. With an
// error, some may have ended.
func (s *Store) end(ctx context.Context, op string, ends ...ending) ([]int64, error) {
	if len(ends) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.IntCmd, len(ends))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, e := range ends {
			cmds[i] = redis.NewIntCmd(ctx, e...)
			_ = p.Process(ctx, cmds[i])
		}
		return nil
	}); err != nil {
		return nil, unavailable(op, err)
	}
	took := make([]int64, len(ends))
	for i, cmd := range cmds {
		took[i] = cmd.Val()
	}
	return took, nil
}
