package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// unmatched is the route of a request that no pattern of the server's table matches.
const unmatched = "unmatched"

// Limits above what the server's own routes need (some 100 patterns, with 200 methods in all and up to 20 statuses each; a
// test of server holds them to the routes): they bound memory if a caller passes a raw path.
const (
	maxRequestSeries = 5000
	maxRoutes        = 200
)

// request is the label values of one series of requests.
type request struct {
	route, method string
	status        int // 0: other
}

// latencyBuckets span a token issued on an idle machine (0.2 ms) to a request that has
// spent the whole store budget of 1.5 s.
var latencyBuckets = []float64{
	0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2,
}

// Request counts one answered request. route is the registered pattern, or empty where
// none matched.
func (m *Metrics) Request(route, method string, status int, d time.Duration) {
	if m == nil {
		return
	}
	if route == "" {
		route = unmatched
	}
	m.requests.series(request{route, knownMethod(method), knownStatus(status)}).Inc()
	m.durations.series(route).Observe(d.Seconds())
}

func (m *Metrics) registerHTTP() {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mintkeep_http_requests_total",
		Help: "Requests answered, by registered route pattern, method and status.",
	}, []string{"route", "method", "status"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "mintkeep_http_request_duration_seconds",
		Help:    "Time from reading a request to writing its response, by registered route pattern.",
		Buckets: latencyBuckets,
	}, []string{"route"})
	m.registry.MustRegister(requests, durations)

	m.requests = newTable(maxRequestSeries, request{route: other, method: other}, func(r request) prometheus.Counter {
		return requests.WithLabelValues(r.route, r.method, statusLabel(r.status))
	})
	m.durations = newTable(maxRoutes, other, func(route string) prometheus.Observer {
		return durations.WithLabelValues(route)
	})
}

// knownMethod is method if it is one of RFC 9110 §9.3 or PATCH, else "other". A client
// may send any token as its method, and methods are case-sensitive.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return other
}

// knownStatus is status if it is a registered one, else 0.
func knownStatus(status int) int {
	if http.StatusText(status) == "" {
		return 0
	}
	return status
}

func statusLabel(status int) string {
	if status == 0 {
		return other
	}
	return strconv.Itoa(status)
}
