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

	// untold is whether nobody was told that it was carried out: what became of it is not known.
	untold bool

	// beside is whether another ending takes the same away, as long as the life lasts that is ended.
	beside bool
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

// removals are the end of fields of a record, and whether the record is there. The value of the first is the sign of the
// life that ends with all of them. Each of the others ends by its own as well, for the first may come back alone, when
// what was disabled is enabled.
func (s *Store) removals(ctx context.Context, key string, fields ...string) (ends []ending, there bool, err error) {
	values, err := s.rdb.HMGet(ctx, key, append([]string{metaField}, fields...)...).Result()
	if err != nil || len(values) <= len(fields) {
		return nil, false, err
	}
	was, _ := values[1].(string)
	ends = append(ends, removal(key, fields...).while(fields[0], was))
	for i, field := range fields[1:] {
		if was, ok := values[i+2].(string); ok {
			e := removal(key, field).while(field, was)
			e.beside = true
			ends = append(ends, e)
		}
	}
	return ends, values[0] != nil, nil
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
	if failed(err) { // perhaps: then its repetition finds nothing to do, and nothing to remember
		s.noteUntold(perhaps(ends, cmds, err))
		return nil, err
	}
	err = s.note(err, ends...)
	took := make([]int64, len(ends))
	for i, cmd := range cmds {
		took[i] = cmd.Val()
	}
	return took, err
}

// perhaps are the ends that may have been carried out: those that were sent, and that Redis has not refused.
func perhaps(ends []ending, cmds []*redis.IntCmd, err error) (sent []ending) {
	for i, e := range ends {
		if !unsent(err) && Refusal(cmds[i].Err()) == "" {
			sent = append(sent, e)
		}
	}
	return sent
}
