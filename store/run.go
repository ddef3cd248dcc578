package store

import (
	"context"
	"time"
)

const (
	// flushEvery is how often what is written behind is written: well inside the 10 s that a crash may lose.
	flushEvery = 5 * time.Second
	// forgetEvery is how often what has had its time is looked for.
	forgetEvery = time.Minute
	// behindTimeout bounds each of these.
	behindTimeout = time.Second
)

// Run does what no request waits for, until ctx ends: it writes the last uses and the counts, the last of them
// at the very end, forgets keys whose time is over, and writes down the ends that nobody could write down. From its
// start on it notices a store that goes back in time; see the package.
func (s *Store) Run(ctx context.Context) {
	pulsing := make(chan struct{})
	go func() {
		defer close(pulsing)
		if s.epoch != nil {
			s.epoch.run(ctx)
		}
	}()
	defer func() { <-pulsing }()
	flush, forget := time.NewTicker(flushEvery), time.NewTicker(forgetEvery)
	defer flush.Stop()
	defer forget.Stop()
	for {
		select {
		case <-flush.C:
			s.behind(ctx, "what is written behind was lost", s.Flush)
		case <-forget.C:
			s.behind(ctx, "nothing was forgotten", s.forgetKeys)
			s.behind(ctx, "nothing was swept", s.sweepKeys)
			if s.epoch != nil {
				s.behind(ctx, "no mark was swept", s.epoch.sweep)
			}
		case <-ctx.Done():
			s.behind(context.WithoutCancel(ctx), "what is written behind was lost", s.Flush)
			return
		}
	}
}

// Flush writes the last uses and the counts that were noted. What could not be written is lost: these are
// statistics.
func (s *Store) Flush(ctx context.Context) error {
	if err := s.flushUses(ctx); err != nil {
		return err
	}
	return s.flushTallies(ctx)
}

func (s *Store) behind(ctx context.Context, otherwise string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, behindTimeout)
	defer cancel()
	if err := do(ctx); err != nil {
		s.log.WarnContext(ctx, otherwise, "error", err)
	}
}
