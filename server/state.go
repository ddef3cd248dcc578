package server

import (
	"context"

	"github.com/mintkeep/mintkeep/server/metrics"
)

// State is what the metrics tell of the server and of Redis. It stops at the first question that Redis does not answer.
func (s *Server) State(ctx context.Context) metrics.State {
	now := metrics.State{
		Ready: s.ready(ctx) == nil, Breaker: s.options.Store.Breaker(), SigningRotation: s.options.Config.SigningRotation,
	}
	if s.certificate != nil {
		now.CertificateExpires = s.certificate.certificate(s.timeouts.Certificate).Leaf.NotAfter
	}
	var err error
	if now.Totals, err = s.options.Store.Totals(ctx); err != nil {
		return now
	}
	if s.options.Store.Feed() != nil {
		if now.Guards, err = s.countGuards(ctx); err != nil {
			return now
		}
	}
	now.Known = true
	if used, known, err := s.options.Store.MemoryUsed(ctx); err == nil && known { // an ACL may forbid the question
		now.RedisMemory = &used
	}
	return now
}

func (s *Server) countGuards(ctx context.Context) (*metrics.Guards, error) {
	current, late, err := s.guards.Count(ctx)
	if err != nil {
		return nil, err
	}
	return &metrics.Guards{Current: current, Late: late}, nil
}
