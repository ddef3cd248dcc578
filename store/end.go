package store

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// ending is a command that takes something away for good, which makes it an end: DEL of a key, or HDEL of fields
// of one. Redis carries it out even when it is out of memory, and it may be sent again.
type ending struct {
	args []any

	// sign and was tell the life that is ended from a newer one under the same key: the field sign had the value
	// was. Without a sign, what is ended never comes back: its name is drawn at random.
	sign, was string
}

func deletion(key string) ending { return ending{args: []any{"del", key}} }

func removal(key string, fields ...string) ending {
	e := ending{args: []any{"hdel", key}}
	for _, field := range fields {
		e.args = append(e.args, field)
	}
	return e
}

// while has the ending repeated, should Redis lose it, only as long as the field has this value.
func (e ending) while(field, value string) ending {
	e.sign, e.was = field, value
	return e
}

func (e ending) key() string { return e.args[1].(string) }

// sign reads the field that tells this life of a record from a newer one, and whether the record is there.
func (s *Store) sign(ctx context.Context, key, field string) (was string, there bool, err error) {
	fields, err := s.rdb.HMGet(ctx, key, metaField, field).Result()
	if err != nil || len(fields) < 2 {
		return "", false, err
	}
	was, _ = fields[1].(string)
	return was, fields[0] != nil, nil
}

// end carries ends out, and tells how much each of them took away: nothing, if it had ended before. With
// ErrUnconfirmed all have ended, and it tells as well; with another error, some may have.
func (s *Store) end(ctx context.Context, op string, ends ...ending) ([]int64, error) {
	if len(ends) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.IntCmd, len(ends))
	for i, e := range ends {
		cmds[i] = redis.NewIntCmd(ctx, e.args...)
	}
	err := s.carryOut(ctx, op, cmds)
	if failed(err) {
		return nil, err
	}
	s.note(ends...)
	took := make([]int64, len(ends))
	for i, cmd := range cmds {
		took[i] = cmd.Val()
	}
	return took, err
}
