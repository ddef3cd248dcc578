package store

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// limit is a counter and how far it may go: most times in a window that the first opens.
type limit struct {
	key    string
	most   int64
	window time.Duration
}

// countShared counts n under a limit, for all replicas together, in one round trip. It says whether that was one too
// many, and then for how long.
func (s *Store) countShared(ctx context.Context, l limit, n int64) (over bool, retryAfter time.Duration, err error) {
	var count *redis.IntCmd
	var left *redis.DurationCmd
	if _, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.SetNX(ctx, l.key, 0, l.window)
		count = p.IncrBy(ctx, l.key, n)
		left = p.PTTL(ctx, l.key)
		return nil
	}); err != nil {
		return false, 0, unavailable("count", err)
	}
	if left.Val() < 0 { // expired between SET and INCRBY, which left a counter without an expiry
		left.SetVal(l.window)
		_ = s.rdb.PExpire(ctx, l.key, l.window).Err()
	}
	if count.Val() > l.most {
		return true, left.Val(), nil
	}
	return false, 0, nil
}

const (
	// countersKept bounds the memory of one process's counters.
	countersKept = 100_000
	// countersSwept is how often those that are over are dropped.
	countersSwept = time.Minute
)

// counters are those of one process alone. They stand in for Redis's where there is none: there are no
// replicas to share with, and miniredis would keep the name of each key for ever.
type counters struct {
	mu    sync.Mutex
	all   map[string]counter
	sweep time.Time // due by then
}

type counter struct {
	n       int64
	expires time.Time
}

// count counts once under each limit, up to the first that is over.
func (c *counters) count(now time.Time, limits []limit) (over bool, retryAfter time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !now.Before(c.sweep) || len(c.all) > countersKept {
		c.drop(now)
	}
	for _, l := range limits {
		at := c.all[l.key]
		if !now.Before(at.expires) {
			at = counter{expires: now.Add(l.window)}
		}
		at.n++
		c.all[l.key] = at
		if at.n > l.most {
			return true, at.expires.Sub(now)
		}
	}
	return false, 0
}

// uncount takes back what was counted under each limit.
func (c *counters) uncount(now time.Time, limits []limit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range limits {
		if at := c.all[l.key]; now.Before(at.expires) {
			at.n--
			c.all[l.key] = at
		}
	}
}

// drop forgets the counters whose window is over, and all of them where that would leave too many: a caller who uses
// 100,000 names is not stopped by one more.
func (c *counters) drop(now time.Time) {
	left := map[string]counter{} // a map does not shrink
	for key, at := range c.all {
		if now.Before(at.expires) {
			left[key] = at
		}
	}
	if len(left) > countersKept/2 { // else this would be done again at once
		left = map[string]counter{}
	}
	c.all, c.sweep = left, now.Add(countersSwept)
}
