package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// UserRecord is a person as a walk over everybody meets them, which somebody whose record cannot be read must
// not end.
type UserRecord struct {
	ID   string
	User *User // nil if the record cannot be read
	Err  error // why: [ErrNewerRecord], or [ErrUnavailable] for a damaged one
}

// UserRecords reads at most limit people, in the order of their ids; after is where the last page ended. next is
// empty behind the last page; a page may be short, even empty, before: who is gone is not in it. Who comes while
// a walk is under way may be in it or not.
func (s *Store) UserRecords(ctx context.Context, after string, limit int) (page []UserRecord, next string, err error) {
	ids, err := s.entries(ctx, &directoryWalk{directory: users, last: after}, limit)
	if err != nil || len(ids) == 0 {
		return nil, "", err
	}
	cmds := make([]*redis.MapStringStringCmd, len(ids))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = p.HGetAll(ctx, userKey(id))
		}
		return nil
	}); err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return nil, "", unavailable("read people", err)
	}
	for i, cmd := range cmds {
		r := UserRecord{ID: ids[i]}
		if r.Err = cmd.Err(); r.Err == nil {
			r.User, r.Err = decodeUser(r.ID, cmd.Val())
		} else {
			r.Err = fmt.Errorf("user %s: %w", r.ID, unavailable("read", r.Err))
		}
		if !isNotFound(r.Err) {
			page = append(page, r)
		}
	}
	if len(ids) == limit {
		next = ids[limit-1]
	}
	return page, next, nil
}
