package web

import (
	"net/http"
	"sync"
	"time"
)

// noisyPerSecond is how many lines a second are written of each status other than a success.
const noisyPerSecond = 20

// sampler keeps a flood of rejected requests from filling the disk. Success is never sampled, nor is a 500.
type sampler struct {
	mu      sync.Mutex
	second  int64
	written map[int]int
	dropped map[int]int
}

// allow is whether a request with this status is logged, and how many like it were not logged before.
func (s *sampler) allow(status int, at time.Time) (dropped int, ok bool) {
	switch {
	case status < http.StatusBadRequest, status == http.StatusInternalServerError:
		return 0, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped == nil {
		s.dropped = map[int]int{}
	}
	if now := at.Unix(); now != s.second {
		s.second, s.written = now, map[int]int{}
	}
	if s.written[status] >= noisyPerSecond {
		s.dropped[status]++
		return 0, false
	}
	s.written[status]++
	dropped = s.dropped[status]
	s.dropped[status] = 0
	return dropped, true
}
