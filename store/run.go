package store

import (
	"context"
	"errors"
	"time"
)

const (
	// flushEvery is how often statistics and last uses are flushed: well inside the 10 s that a crash may lose.
	flushEvery = 5 * time.Second
	// purgeEvery is how often expired objects are looked for.
	purgeEvery = time.Minute
	// backgroundTimeout bounds each of these.
	backgroundTimeout = time.Second
)

// Run does what no request waits for, until ctx is done: it flushes the last uses and the statistics, the last of them at
// the very end, purges keys that were revoked or expired long ago, writes tombstones that could not be written, and enters
// imported secrets, and the words by which records are found, in the indexes. From its start on it notices a rollback of Redis; see package rollback.
func (s *Store) Run(ctx context.Context) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if s.feed != nil {
			s.feed.Beat(ctx)
			defer s.feed.Leave(context.WithoutCancel(ctx))
		}
		if s.monitor != nil {
			s.monitor.Run(ctx)
		}
	}()
	defer func() { <-stopped }()
	if s.feed != nil {
		looking := make(chan struct{})
		go func() { defer close(looking); s.feed.Run(ctx) }()
		defer func() { <-looking }()
	}
	flush, purge := time.NewTicker(flushEvery), time.NewTicker(purgeEvery)
	defer flush.Stop()
	defer purge.Stop()
	for {
		select {
		case <-flush.C:
			s.inBackground(ctx, "flushing the statistics failed; some are lost", s.Flush)
		case <-purge.C:
			s.replays.sweep(s.now())
			s.inBackground(ctx, "purging expired API keys failed", s.purgeKeys)
			s.inBackground(ctx, "writing tombstones of API keys failed", s.sweepKeys)
			s.inBackground(ctx, "noting expired API keys failed", s.sweepExpired)
			s.inBackground(ctx, "adding imported client secrets to the index failed", s.sweepSecrets)
			s.inBackground(ctx, "adding the words of clients and users to the index failed", s.sweepDirectories)
			s.inBackground(ctx, "trimming the audit log failed", s.trimAudit)
			if s.monitor != nil {
				s.inBackground(ctx, "removing the watermarks of stopped replicas failed", s.monitor.Sweep)
			}
		case <-ctx.Done():
			s.inBackground(context.WithoutCancel(ctx), "flushing the statistics failed; some are lost", s.Flush)
			return
		}
	}
}

// Flush writes the last uses and the statistics of this process. What could not be written is lost.
func (s *Store) Flush(ctx context.Context) error {
	used, unread := s.takeReported(ctx, s.uses.take())
	rejected, unresolved := s.takeRejected(ctx)
	if err := writeUses(ctx, s.rdb, used); err != nil {
		return err
	}
	if err := s.countKeyUses(ctx, used, rejected); err != nil {
		return err
	}
	if err := s.enterUsed(ctx, used); err != nil {
		return err
	}
	if err := s.trimKeyUses(ctx, used); err != nil {
		return err
	}
	now := s.now()
	if err := s.statistics.flush(ctx, s.rdb, now); err != nil {
		return err
	}
	return errors.Join(unread, unresolved, writeClientCounts(ctx, s.rdb, s.clientCounts.take(), now))
}

func (s *Store) inBackground(ctx context.Context, failed string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, backgroundTimeout)
	defer cancel()
	if err := do(ctx); err != nil {
		s.log.WarnContext(ctx, failed, "error", err)
	}
}
