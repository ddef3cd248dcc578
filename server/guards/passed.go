package guards

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const (
	// MaxWait is how long [Registry.Passed] waits at most.
	MaxWait = 2 * time.Second
	// quietTime is for how much longer than its lease a guard must be silent before it counts as silent: a report may be so late.
	quietTime = 2 * reportEvery
	// absentTime is for how long after a probe it waits for a replica that has guards and does not report. That may have stopped.
	absentTime = 500 * time.Millisecond
	// hearTime is how long after a probe no guard counts as silent yet: a replica that has heard it may not have reported.
	hearTime = time.Second + quietTime
)

// ErrNoFeed: this server has no feed, so it has no guards.
var ErrNoFeed = errors.New("this server has no feed")

// ErrTooManyProbes: this replica has begun too many probes within [ProbeTime].
var ErrTooManyProbes = errors.New("too many probes are open")

// State is what is known of a guard after a probe.
type State string

// The states. A silent guard was not heard of for longer than its lease, so it does not answer from memory. Of one that is
// waited for neither is known.
const (
	Passed  State = adminapi.ProbePassed
	Silent  State = adminapi.ProbeSilent
	Waiting State = adminapi.ProbeWaiting
)

// Probed is a guard after a probe.
type Probed struct {
	ClientID, Instance string
	Lease              time.Duration // zero: it does not tell
	State              State
	Passed             time.Duration // since the probe; only in this state
	Silence            time.Duration // since it was heard of last
}

// Progress is what is known of a probe.
type Progress struct {
	ID     string
	Guards []Probed // those that are waited for, the silent ones, and then those that have passed it, the slowest first
	Full   bool     // there were too many, and some are missing
	// Complete: each guard has passed it, or is silent.
	Complete bool
}

// Probe appends an entry to the feed that voids nothing, and returns its id.
func (r *Registry) Probe(ctx context.Context, by audit.Actor) (id string, err error) {
	f := r.Store.Feed()
	if f == nil {
		return "", ErrNoFeed
	}
	if !r.mayProbe(time.Now()) {
		return "", ErrTooManyProbes
	}
	id = "probe_" + rand.Text()
	what := audit.Record{Action: audit.GuardsProbed, Target: audit.GuardsTarget, Detail: map[string]string{"probe": id}}
	return id, r.Audit.Change(ctx, by, what, func(ctx context.Context) error {
		if err := r.Store.OpenProbe(ctx, id); err != nil {
			return err
		}
		return f.Probe(ctx, id)
	})
}

func (r *Registry) mayProbe(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = slices.DeleteFunc(r.begun, func(at time.Time) bool { return now.Sub(at) > ProbeTime })
	if len(r.begun) >= maxProbes {
		return false
	}
	r.begun = append(r.begun, now)
	return true
}

// Passed tells which guards have passed a probe. It waits until that is known of each, at most for the time wait. ErrNotFound of
// the store if there is no such probe, or if it was more than a minute ago.
func (r *Registry) Passed(ctx context.Context, id string, wait time.Duration) (*Progress, error) {
	if r.Store.Feed() == nil {
		return nil, ErrNoFeed
	}
	end := time.NewTimer(min(wait, MaxWait))
	defer end.Stop()
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	var read *store.ProbeReports
	var of *progress
	for {
		web.RenewBudget(ctx) // it waits for guards, not for the store
		var err error
		if read, err = r.Store.ReadProbe(ctx, id, read); err != nil {
			return nil, err
		}
		if of == nil {
			if of, err = r.progress(ctx, read.Age); err != nil {
				return nil, err
			}
		}
		of.add(read)
		if p := of.result(id); p.Complete || wait <= 0 {
			return p, nil
		}
		select {
		case <-tick.C:
		case <-end.C:
			wait = 0 // reads once more
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// progress gathers what the replicas say. All times are since the probe.
type progress struct {
	age     time.Duration
	full    bool
	awaited map[string]bool // replicas that have guards and have not reported
	guards  map[name]*probed
}

type probed struct {
	lease, heard, passed time.Duration
	hasPassed            bool
}

// progress begins with the guards that are known.
func (r *Registry) progress(ctx context.Context, age time.Duration) (*progress, error) {
	heard, full, parts, err := r.all(ctx)
	if err != nil {
		return nil, err
	}
	p := &progress{full: full, awaited: map[string]bool{}, guards: map[name]*probed{}}
	for id, h := range heard {
		p.guards[id] = &probed{lease: h.Lease, heard: age - h.Heard}
	}
	for _, part := range append(parts, r.part(r.Now())) {
		if len(part.Guards) > 0 {
			p.awaited[part.Replica] = true
		}
	}
	return p, nil
}

func (p *progress) add(read *store.ProbeReports) {
	p.age = read.Age
	for _, report := range read.Reports {
		delete(p.awaited, report.Replica)
		p.full = p.full || report.Full
		for _, g := range report.Guards {
			id := name{g.ClientID, g.Instance}
			of := p.guards[id]
			if of == nil {
				if len(p.guards) >= MaxGuards {
					p.full = true
					continue
				}
				of = &probed{heard: report.At - g.Heard}
				p.guards[id] = of
			}
			of.lease, of.heard = g.Lease, max(of.heard, report.At-g.Heard)
			if g.Passed == nil {
				continue
			}
			if at := max(0, report.At-*g.Passed); !of.hasPassed || at < of.passed {
				of.hasPassed, of.passed = true, at
			}
		}
	}
}

// result judges what was gathered. Reports end ProbeTime after the probe, so later silence says nothing.
func (p *progress) result(id string) *Progress {
	age := min(p.age, ProbeTime)
	result := &Progress{ID: id, Full: p.full, Complete: !p.full && (len(p.awaited) == 0 || age >= absentTime)}
	for id, g := range p.guards {
		one := Probed{ClientID: id.client, Instance: id.instance, Lease: g.lease, State: Waiting, Silence: max(0, age-g.heard)}
		switch {
		case g.hasPassed:
			one.State, one.Passed = Passed, g.passed
		case one.Silence > leaseOf(g.lease)+quietTime && age > hearTime:
			one.State = Silent
		default:
			result.Complete = false
		}
		result.Guards = append(result.Guards, one)
	}
	slices.SortFunc(result.Guards, func(a, b Probed) int {
		if a.State == Passed && b.State == Passed {
			return cmp.Or(cmp.Compare(b.Passed, a.Passed), compareNames(a, b))
		}
		return cmp.Or(cmp.Compare(order(a.State), order(b.State)), compareNames(a, b))
	})
	return result
}

// order is that of the states in a result.
func order(s State) int { return slices.Index([]State{Waiting, Silent, Passed}, s) }

func compareNames(a, b Probed) int {
	return cmp.Or(strings.Compare(a.ClientID, b.ClientID), strings.Compare(a.Instance, b.Instance))
}
