package server

import (
	"net/http"
	"net/http/pprof"

	"github.com/mintkeep/mintkeep/server/metrics"
)

// MetricsHandler is what the metrics listener serves, which is never the public one: /metrics, and, if
// profiles, /debug/pprof. Profiles show memory, and so are for this machine alone.
func MetricsHandler(m *metrics.Metrics, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	if profiles {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}
