package guards

import (
	"context"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
)

const (
	// writeEvery is how often this replica writes what it has heard. A new guard is written within a second, while there are at
	// most fewGuards: all are written together, and a service that has a new name at each poll would have that done all the time.
	writeEvery    = 10 * time.Second
	writeNewEvery = time.Second
	fewGuards     = 1_000
	// reportEvery is how often the polls are reported while a probe is open.
	reportEvery = 50 * time.Millisecond
	// writeTime bounds each write.
	writeTime = time.Second
)

// Run writes what this replica has heard, and what it sees of probes, until ctx is done.
func (r *Registry) Run(ctx context.Context) {
	if r.Store.Feed() == nil {
		return
	}
	second, report := time.NewTicker(min(writeNewEvery, r.WriteEvery)), time.NewTicker(reportEvery)
	defer second.Stop()
	report.Stop()
	defer report.Stop()
	var probes openProbes
	written := time.Time{}
	for {
		select {
		case <-second.C:
			if r.takeNew() || time.Since(written) >= r.WriteEvery {
				if r.write(ctx) {
					written = time.Now()
				}
			}
			r.recordJoined(ctx)
		case p := <-r.probed:
			if r.open(ctx, &probes, p) {
				report.Reset(reportEvery)
			}
		case <-report.C:
			if r.report(ctx, &probes); len(probes) == 0 {
				report.Stop()
			}
		case <-ctx.Done():
			return
		}
	}
}

// takeNew is whether a guard that was not written yet is to be written now.
func (r *Registry) takeNew() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	isNew := r.isNew && len(r.heard) <= fewGuards
	r.isNew = false
	return isNew
}

func (r *Registry) write(ctx context.Context) (written bool) {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	err := r.Store.SaveGuards(ctx, r.part(r.Now()))
	if err != nil {
		r.Logger.WarnContext(ctx, "writing the list of guards failed; the next second tries again", "error", err)
	}
	return err == nil
}

// recordJoined records the clients that poll for the first time within a day.
func (r *Registry) recordJoined(ctx context.Context) {
	r.mu.Lock()
	joining := r.joining
	r.joining = nil
	if len(r.joined) > MaxGuards {
		clear(r.joined)
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	for _, p := range joining {
		first, err := r.Store.GuardJoined(ctx, p.ClientID)
		if err == nil && first {
			by := store.ClientActor(p.ClientID)
			by.Address = p.Address
			what := audit.Record{Action: audit.GuardJoined, Target: audit.ClientTarget(p.ClientID)}
			what = what.Granted("instance", p.Instance).Granted("version", p.Version)
			err = r.Audit.Done(ctx, by, what)
		}
		if err != nil {
			r.Logger.WarnContext(ctx, "recording the first poll of a client failed", "client_id", p.ClientID, "error", err)
		}
	}
}
