package store

import "context"

// ForgetKeys does what Run does once a minute.
func ForgetKeys(ctx context.Context, s *Store) error { return s.forgetKeys(ctx) }

// Waiting is how many calls wait for a flight.
func (s *Store) Waiting() int {
	s.batch.mu.Lock()
	defer s.batch.mu.Unlock()
	return len(s.batch.waiting)
}

// Idle is whether no call waits or is under way.
func (s *Store) Idle() bool {
	s.batch.mu.Lock()
	defer s.batch.mu.Unlock()
	return len(s.batch.waiting) == 0 && s.batch.flights == 0
}

// The bounds of a batcher.
const (
	MaxFlights = maxFlights
	MaxWaiting = maxWaiting
	MaxBatch   = maxBatch
)

// SweepKeys does what Run does once a minute.
func SweepKeys(ctx context.Context, s *Store) error { return s.sweepKeys(ctx) }
