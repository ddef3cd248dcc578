package server

import (
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
)

// healthz says that the process is alive. It asks nobody.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return web.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz says whether requests should come here: the store answers, there is a key to sign with, and the
// server is not about to end.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if s.draining.Load() {
		return notReady("The server is shutting down", nil)
	}
	if err := s.options.Store.Ping(r.Context()); err != nil {
		return notReady("The store does not answer", err)
	}
	if err := s.options.Ring.Ready(); err != nil {
		return notReady("The signing keys are not loaded", err)
	}
	return web.JSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

func notReady(description string, cause error) error {
	return &web.Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: description, RetryAfter: 2 * time.Second, Cause: cause,
	}
}
