package web

import (
	"net/http"
	"testing"
	"time"
)

func TestSampler(t *testing.T) {
	var s sampler
	at := time.Unix(1_800_000_000, 0)
	count := func(x *request, status, n int, at time.Time) (written, dropped int) {
		for range n {
			kind, sampled := x.sampled(http.MethodPost, status)
			d, ok := 0, true
			if sampled {
				d, ok = s.allow(kind, at)
			}
			if ok {
				written++
			}
			dropped += d
		}
		return written, dropped
	}
	const most = linesPerSecond
	revoke := &request{route: "/oauth/revoke"}
	probe, page, token := &request{route: "/healthz", sampleSuccess: true}, &request{route: "/docs", sampleSuccess: true}, &request{route: "/oauth/token"}
	for _, test := range []struct {
		request          *request
		status, n        int
		at               time.Time
		written, dropped int
	}{
		{token, 200, 1000, at, 1000, 0},
		{token, 500, 1000, at, 1000, 0},
		{probe, 500, 1000, at, 1000, 0},
		{token, 401, 1000, at, most, 0},
		{token, 429, 5, at, 5, 0}, // one flood does not hide another
		{token, 503, 1000, at, most, 0},
		{revoke, 503, 1000, at, most, 0}, // nor do failures of one route those of another
		{&request{route: "/oauth/revoke", neverSample: true}, 503, 1000, at, 1000, 0},
		{probe, 200, 1000, at, most, 0},
		{page, 304, 1000, at, most, 0},
		{page, 200, 1000, at, most, 0},
		{token, 401, 1, at.Add(time.Second), 1, 1000 - most},
		{token, 401, 1, at.Add(2 * time.Second), 1, 0},
		{token, 401, 1000, at.Add(3 * time.Second), most, 0},
		{token, 401, 10, at.Add(time.Second), 0, 0}, // of requests that were slow, or by a clock that was set back
		{token, 401, 10, at.Add(3 * time.Second), 0, 0},
		{token, 401, 1, at.Add(4 * time.Second), 1, 1000 - most + 20},
		{probe, 200, 1, at.Add(2 * time.Second), 1, 1000 - most},
	} {
		written, dropped := count(test.request, test.status, test.n, test.at)
		if written != test.written || dropped != test.dropped {
			t.Errorf("%d × %s %d: written %d, told of %d dropped; want %d and %d",
				test.n, test.request.route, test.status, written, dropped, test.written, test.dropped)
		}
	}
}
