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

// Pulse sends a heartbeat, as Run does once a second, and at once after a revocation.
func (s *Store) Pulse(ctx context.Context) { s.epoch.pulse(ctx) }

// SweepMarks does what Run does once a minute.
func (s *Store) SweepMarks(ctx context.Context) error { return s.epoch.sweep(ctx) }

// Leave does what Run does when it stops.
func (s *Store) Leave(ctx context.Context) { s.epoch.leave(ctx) }

// OpenEnds is how many revocations are pending.
func (s *Store) OpenEnds() int { return len(s.epoch.journal.next(0, journalSize)) }

// EpochKeys are the epoch keys of a cluster.
func EpochKeys() []string { return epochKeys() }

const (
	JournalKept = journalKept
	JournalSize = journalSize
	StaleAfter  = staleAfter
)
