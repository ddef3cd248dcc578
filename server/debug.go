package server

import (
	"net/http"
	"net/http/pprof"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/metrics"
)

// MetricsHandler is what the metrics listener serves, which is never the public one: /metrics, and, if
// profiles, /debug/pprof. Profiles show memory, and so are for this machine alone.
//
// If the listener is loopback, so must be the host of a request: a page in a browser on this machine could otherwise read
// the answers under a name of its own that it has resolve to 127.0.0.1 (DNS rebinding).
func MetricsHandler(m *metrics.Metrics, loopback, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	if profiles {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	if !loopback {
		return mux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !config.Loopback(r.Host) && !config.Loopback(r.Host+":80") { // with a port, or without
			http.Error(w, "This listener is for this machine: the host must be localhost or a loopback address", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
