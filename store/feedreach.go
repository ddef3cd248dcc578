package store

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// FeedReach is how much of the feed Redis has.
type FeedReach struct {
	Entries int64
	Span    time.Duration // from the oldest to the newest
}

// FeedReach reads it. A guard that was away for longer than the span forgets all its answers.
func (s *Store) FeedReach(ctx context.Context) (reach FeedReach, err error) {
	const op = "measure the feed"
	var entries *redis.IntCmd
	var oldest, newest *redis.XMessageSliceCmd
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		entries = p.XLen(ctx, feedKey)
		oldest, newest = p.XRangeN(ctx, feedKey, "-", "+", 1), p.XRevRangeN(ctx, feedKey, "+", "-", 1)
		return nil
	}); err != nil {
		return reach, unavailable(op, err)
	}
	reach.Entries = entries.Val()
	if len(oldest.Val()) == 0 || len(newest.Val()) == 0 {
		return reach, nil
	}
	from, err := streamTime(oldest.Val()[0].ID)
	if err != nil {
		return reach, unavailable(op, err)
	}
	to, err := streamTime(newest.Val()[0].ID)
	reach.Span = sinceOpened(to, from)
	return reach, unavailable(op, err)
}
