package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// healthz is 200 while the process runs. It needs no store.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return web.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz is whether this replica should get requests: the store answers and has once been able to give the durability
// that revocations need, there is a key to sign with, and the server is not shutting down.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := s.ready(r.Context()); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// ready is nil, or why the replica is not ready.
func (s *Server) ready(ctx context.Context) error {
	if s.draining.Load() {
		return notReady("The server is shutting down", nil)
	}
	if err := s.options.Store.Ping(ctx); err != nil {
		return notReady(storeFailure(err), err)
	}
	if err := s.durability(ctx); err != nil {
		return notReady("Redis does not meet MINTKEEP_REVOKE_DURABILITY yet", err)
	}
	if err := s.options.Ring.Ready(); err != nil {
		return notReady("The signing keys are not loaded", err)
	}
	return nil
}

func storeFailure(err error) string {
	if errors.Is(err, store.ErrQuarantined) {
		return "Redis has lost data that this replica has seen: it was emptied, or an old backup was restored; " +
			"restore the newest backup, then run mintkeep fence"
	}
	return "Redis does not answer"
}

// durability is why revocations cannot be confirmed as configured. After the first success it is not checked again: then
// each revocation has its own answer, and other requests are still served.
func (s *Server) durability(ctx context.Context) error {
	if s.durable.Load() {
		return nil
	}
	err := s.options.Store.CheckDurability(ctx)
	s.durable.Store(err == nil)
	return err
}

func notReady(description string, cause error) error {
	return &web.Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: description, RetryAfter: 2 * time.Second, Cause: cause,
	}
}
