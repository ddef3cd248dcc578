package store

import (
	"fmt"
	"sync"
	"time"
)

const (
	// replaysKept bounds the replay records of the embedded store. More are not dropped: their assertions could be used
	// again. The next assertion is rejected with ErrUnavailable instead.
	replaysKept = 1 << 18
	// replaysSwept is how often those that have expired are dropped, at most.
	replaysSwept = time.Second
)

var errReplaysFull = fmt.Errorf("%w: more than %d assertions were used within their lifetime", ErrUnavailable, replaysKept)

// replays are the replay records of the embedded store, by digest: when each expires. In miniredis each would leave its
// name for ever.
type replays struct {
	mu    sync.Mutex
	all   map[[16]byte]int64 // milliseconds
	swept time.Time
}

// use records that an assertion is used. ErrReplayed: it was before.
func (r *replays) use(digest [16]byte, now time.Time, left time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if expires, there := r.all[digest]; there && now.UnixMilli() < expires {
		return ErrReplayed
	}
	if len(r.all) >= replaysKept && now.Sub(r.swept).Abs() >= replaysSwept {
		r.drop(now)
	}
	if len(r.all) >= replaysKept {
		return errReplaysFull
	}
	if r.all == nil {
		r.all = map[[16]byte]int64{}
	}
	r.all[digest] = now.Add(left).UnixMilli()
	return nil
}

// sweep drops what has expired. Run calls it once a minute, and so does Age.
func (r *replays) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(now)
}

func (r *replays) drop(now time.Time) {
	r.swept = now
	left := 0
	for _, expires := range r.all {
		if now.UnixMilli() < expires {
			left++
		}
	}
	if left == len(r.all) {
		return
	}
	kept := make(map[[16]byte]int64, left) // a map does not shrink
	for digest, expires := range r.all {
		if now.UnixMilli() < expires {
			kept[digest] = expires
		}
	}
	r.all = kept
}
