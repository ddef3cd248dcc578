package store

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The limits on failed authentications, in a window of a minute that the first failure opens. Only
// failures are counted, so that a correct secret costs nothing here and is always honoured.
const (
	failureWindow      = time.Minute
	failuresPerPair    = 10  // of one client from one address
	failuresPerAddress = 300 // from one address
)

// CountFailure counts a failed authentication of client from address, and says whether that was one too
// many, and then for how long. The counters are shared by all replicas; while the store does not answer,
// each counts for itself.
func (s *Store) CountFailure(ctx context.Context, client string, address netip.Addr) (over bool, retryAfter time.Duration) {
	subjects := failureSubjects(client, address)
	if s.embedded { // no replicas to share with, and miniredis would keep each key's name for ever
		return s.failures.count(s.now(), subjects)
	}
	over, retryAfter, err := s.countShared(ctx, subjects)
	if err != nil {
		s.log.WarnContext(ctx, "failed authentications are counted by this replica alone", "error", err)
		return s.failures.count(s.now(), subjects)
	}
	return over, retryAfter
}

// subject is what a counter counts for, and its limit.
type subject struct {
	key   string
	limit int64
}

func failureSubjects(client string, address netip.Addr) [2]subject {
	address = address.Unmap() // else the whole of IPv4 would be one /64
	from := address.String()
	if address.Is6() { // a subscriber has a whole /64
		if p, err := address.Prefix(64); err == nil {
			from = p.String()
		}
	}
	// A digest, because the client's name is the caller's choice.
	pair := DigestOf(client + "\x00" + from)
	return [2]subject{
		{"mk:f:" + string(pair[:16]), failuresPerPair},
		{"mk:f:" + from, failuresPerAddress},
	}
}

func (s *Store) countShared(ctx context.Context, subjects [2]subject) (over bool, retryAfter time.Duration, err error) {
	var counts [2]*redis.IntCmd
	var left [2]*redis.DurationCmd
	// One round trip. A retry after a lost answer counts twice, against somebody who failed.
	if _, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, subject := range subjects {
			p.SetNX(ctx, subject.key, 0, failureWindow)
			counts[i] = p.Incr(ctx, subject.key)
			left[i] = p.PTTL(ctx, subject.key)
		}
		return nil
	}); err != nil {
		return false, 0, unavailable("count failure", err)
	}
	for i, subject := range subjects {
		if left[i].Val() < 0 { // expired between SET and INCR, which left a counter without an end
			left[i].SetVal(failureWindow)
			_ = s.rdb.Expire(ctx, subject.key, failureWindow).Err()
		}
		if counts[i].Val() > subject.limit {
			over, retryAfter = true, max(retryAfter, left[i].Val())
		}
	}
	return over, retryAfter, nil
}

// failuresKept bounds the memory of the counters of one process.
const failuresKept = 100_000

// failures are the counters of one process, all in the same window.
type failures struct {
	mu     sync.Mutex
	ends   time.Time
	counts map[string]int64
}

func (f *failures) count(now time.Time, subjects [2]subject) (over bool, retryAfter time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !now.Before(f.ends) || len(f.counts) > failuresKept {
		f.ends, f.counts = now.Add(failureWindow), map[string]int64{}
	}
	for _, subject := range subjects {
		f.counts[subject.key]++
		over = over || f.counts[subject.key] > subject.limit
	}
	if over {
		retryAfter = f.ends.Sub(now)
	}
	return over, retryAfter
}
