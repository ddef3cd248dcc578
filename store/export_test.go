package store

import "context"

// PurgeKeys, SweepKeys, SweepSecrets and SweepDirectories do what Run does once a minute.
func PurgeKeys(ctx context.Context, s *Store) error { return s.purgeKeys(ctx) }

func SweepKeys(ctx context.Context, s *Store) error { return s.sweepKeys(ctx) }

func SweepSecrets(ctx context.Context, s *Store) error { return s.sweepSecrets(ctx) }

func SweepDirectories(ctx context.Context, s *Store) error { return s.sweepDirectories(ctx) }

// Heartbeat does what Run does once a second, and at once after a revocation.
func (s *Store) Heartbeat(ctx context.Context) { s.monitor.Heartbeat(ctx) }

// SweepWatermarks does what Run does once a minute.
func (s *Store) SweepWatermarks(ctx context.Context) error { return s.monitor.Sweep(ctx) }

// Leave does what Run does at its end.
func (s *Store) Leave(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	stop()
	s.monitor.Run(ctx)
}

// Pending is how many deletions are not covered yet.
func (s *Store) Pending() int { return s.monitor.Pending() }

// Unannounced is how many revocations are to be announced.
func (s *Store) Unannounced() int { return s.monitor.Unannounced() }

// EpochKeys are those that the monitor reads.
func (s *Store) EpochKeys() []string { return s.monitor.Keys() }

// Access is what Diagnose tries.
var Access = access

// TrimAudit is what Run does with the audit log.
func (s *Store) TrimAudit(ctx context.Context) error { return s.trimAudit(ctx) }

// SweepExpired does what Run does once a minute.
func (s *Store) SweepExpired(ctx context.Context) error { return s.sweepExpired(ctx) }

// PendingRejections is of how many keys, and of how many credentials that are not active, rejected uses wait to be flushed.
func (s *Store) PendingRejections() (keys, inactive int) {
	return len(s.rejected.keys), len(s.rejected.inactive)
}
