package web

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// linesPerSecond is how many lines a second are written of each kind that is sampled.
const linesPerSecond = 20

// sampler keeps a flood of requests from filling the disk: of rejected ones, and of those that any caller gets answered.
// The success of a caller who is known is never sampled, nor is a 500, nor a revocation.
type sampler struct {
	mu      sync.Mutex
	began   time.Time // of the second for which written counts
	written map[line]int
	dropped map[line]int
}

// line is a kind of lines. All rejections with one status are of one kind, without a route. The method is that of failures
// of the server: their routes have few methods, while a rejected request may have any.
type line struct {
	method, route string
	status        int
}

// allow is whether a line of this kind is written, and how many like it were not written before.
func (s *sampler) allow(kind line, at time.Time) (dropped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped == nil {
		s.dropped = map[line]int{}
	}
	if at.Sub(s.began) >= time.Second {
		s.began, s.written = at, map[line]int{}
	}
	if s.written[kind] >= linesPerSecond {
		s.dropped[kind]++
		return 0, false
	}
	s.written[kind]++
	dropped = s.dropped[kind]
	s.dropped[kind] = 0
	return dropped, true
}

// sampled is whether the request's line is of a kind that is sampled.
func (x *request) sampled(method string, status int) (kind line, ok bool) {
	switch {
	case x.neverSample, status == http.StatusInternalServerError:
		return line{}, false
	case status > http.StatusInternalServerError:
		return line{method, x.route, status}, true
	case status >= http.StatusBadRequest:
		return line{status: status}, true
	}
	return line{route: x.route, status: status}, x.sampleSuccess
}

// SampleSuccess says that anyone would be answered so: the log may leave the request's line out in a flood.
func SampleSuccess(ctx context.Context) { from(ctx).sampleSuccess = true }

// NeverSample says that the log has the request's line in a flood too. Outside of a request it does nothing.
func NeverSample(ctx context.Context) {
	if x, ok := ctx.Value(requestKey{}).(*request); ok {
		x.neverSample = true
	}
}
