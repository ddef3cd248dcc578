package guards

import (
	"context"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
)

const (
	// ProbeTime is for how long a replica reports about a probe that it has read.
	ProbeTime = 10 * time.Second
	// maxProbes is about how many probes a replica reports at once.
	maxProbes = 64
)

// openProbe is a probe about which this replica reports.
type openProbe struct {
	feed.ProbeRead
	until    time.Time
	reported map[name]reported
	began    bool // the first report, which has every guard, was written
}

// reported is what was reported about a guard last.
type reported struct {
	heard  time.Time
	passed bool
}

type openProbes []*openProbe

// probeRead is told of each probe in the feed. The oldest are dropped if there are too many at once: those that are read
// when this replica starts are over.
func (r *Registry) probeRead(p feed.ProbeRead) {
	for {
		select {
		case r.probed <- p:
			return
		default:
		}
		select {
		case <-r.probed:
		default:
		}
	}
}

// open begins to report about a probe that was read. It is false if the probe is over.
func (r *Registry) open(ctx context.Context, probes *openProbes, p feed.ProbeRead) bool {
	if i := slices.IndexFunc(*probes, func(o *openProbe) bool { return o.ID == p.ID }); i >= 0 {
		(*probes)[i].ProbeRead = p // the feed was read again
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	isOpen, err := r.Store.IsProbe(ctx, p.ID)
	if err != nil {
		r.Logger.WarnContext(ctx, "looking up a probe of the guards failed; this replica does not report about it", "error", err)
	}
	if !isOpen {
		return false
	}
	*probes = append(*probes, &openProbe{ProbeRead: p, until: time.Now().Add(ProbeTime), reported: map[name]reported{}})
	if len(*probes) > maxProbes {
		*probes = slices.Delete(*probes, 0, 1)
	}
	r.report(ctx, probes)
	return true
}

// report reports about each open probe: first every guard, then the polls since the last report of those that have not passed
// it, and those that have.
func (r *Registry) report(ctx context.Context, probes *openProbes) {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	*probes = slices.DeleteFunc(*probes, func(o *openProbe) bool { return time.Now().After(o.until) })
	for _, o := range *probes {
		report, made := r.reportOf(o)
		if o.began && len(report.Guards) == 0 {
			continue
		}
		if err := r.Store.ReportProbe(ctx, o.ID, report); err != nil {
			r.Logger.WarnContext(ctx, "reporting about a probe of the guards failed; the next report has it", "error", err)
			continue
		}
		o.began = true
		for id, m := range made {
			o.reported[id] = m
		}
	}
}

// reportOf is what there is to report, and made what is reported by it.
func (r *Registry) reportOf(o *openProbe) (report store.ProbeReport, made map[name]reported) {
	now := r.Now()
	report = store.ProbeReport{Replica: r.replica}
	made = map[name]reported{}
	r.mu.Lock()
	defer r.mu.Unlock()
	report.Full = r.isFull(now)
	for id, g := range r.heard {
		before := o.reported[id]
		if before.passed {
			continue
		}
		passed := r.Store.Feed().HasPassed(g.After, o.ProbeRead)
		if o.began && !passed && g.At.Equal(before.heard) {
			continue
		}
		p := store.ProbedGuard{ClientID: g.ClientID, Instance: g.Instance, Lease: g.Lease, Heard: max(0, now.Sub(g.At))}
		if passed {
			ago := max(0, now.Sub(g.began))
			p.Passed = &ago
		}
		report.Guards = append(report.Guards, p)
		made[id] = reported{g.At, passed}
	}
	return report, made
}
