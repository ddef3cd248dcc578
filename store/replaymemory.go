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
	// replaysShare is how many of them one owner may have: a client that floods is not to stop all others.
	replaysShare = replaysKept / 4 * 3
	// replaysSwept is how often those that have expired are dropped, at most.
	replaysSwept = time.Second
)

var errReplaysFull = fmt.Errorf("%w: more than %d assertions, or %d of one client, were used within their lifetime", ErrUnavailable, replaysKept, replaysShare)

// replays are the replay records of the embedded store, by digest. In miniredis each would leave its name for ever.
type replays struct {
	mu    sync.Mutex
	all   map[[16]byte]replay
	of    map[uint64]int // how many of them each owner has
	swept time.Time
}

// replay is a replay record: whose it is, and when it expires.
type replay struct {
	owner   uint64
	expires int64 // milliseconds
}

// use records that an assertion is used. ErrReplayed: it was before.
func (r *replays) use(used *ReplayRecord, now time.Time, left time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, there := r.all[used.Digest]
	if there && now.UnixMilli() < before.expires {
		return ErrReplayed
	}
	full := func() bool { return len(r.all) >= replaysKept || r.of[used.owner] >= replaysShare }
	if full() && now.Sub(r.swept).Abs() >= replaysSwept {
		r.drop(now)
	}
	if full() {
		return errReplaysFull
	}
	if r.all == nil {
		r.all, r.of = map[[16]byte]replay{}, map[uint64]int{}
	}
	if _, there = r.all[used.Digest]; !there {
		r.of[used.owner]++
	}
	r.all[used.Digest] = replay{used.owner, now.Add(left).UnixMilli()}
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
	for _, one := range r.all {
		if now.UnixMilli() < one.expires {
			left++
		}
	}
	if left == len(r.all) {
		return
	}
	kept, of := make(map[[16]byte]replay, left), map[uint64]int{} // a map does not shrink
	for digest, one := range r.all {
		if now.UnixMilli() < one.expires {
			kept[digest] = one
			of[one.owner]++
		}
	}
	r.all, r.of = kept, of
}
