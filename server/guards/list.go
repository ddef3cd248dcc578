package guards

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// Guard is an instance of a service that polls the feed.
type Guard struct {
	Instance string // the name that it gives itself; may be empty
	ClientID string
	Version  string        // may be empty
	Lease    time.Duration // zero: it does not say
	// Lag is the age of what it knows, if it got the last answer. Negative: no answer had fresh yet.
	Lag     time.Duration
	Entries int
	// Served and Refused are counts of a minute.
	Served, Refused int64
	LastHeard       time.Time
	// Late: its lease has run out, so that it does not answer from memory.
	Late bool
}

// List are the guards heard of within the last minute, or within their lease.
type List struct {
	Guards []Guard // by client, then by instance
	// Full: there were too many, and some are missing.
	Full bool
}

// List lists the guards. What another replica has heard is up to 10 s old.
func (r *Registry) List(ctx context.Context) (*List, error) {
	if r.Store.Feed() == nil {
		return nil, ErrNoFeed
	}
	heard, full, _, err := r.all(ctx)
	if err != nil {
		return nil, err
	}
	list := &List{Full: full, Guards: make([]Guard, 0, len(heard))}
	now := r.Now()
	for _, h := range heard {
		g := Guard{
			Instance: h.Instance, ClientID: h.ClientID, Version: h.Version, Lease: h.Lease, Lag: h.Known, Entries: h.Entries,
			Served: h.Served, Refused: h.Refused, LastHeard: now.Add(-h.Heard), Late: h.late,
		}
		list.Guards = append(list.Guards, g)
	}
	slices.SortFunc(list.Guards, func(a, b Guard) int {
		return cmp.Or(strings.Compare(a.ClientID, b.ClientID), strings.Compare(a.Instance, b.Instance))
	})
	return list, nil
}

// Count counts the guards of List.
func (r *Registry) Count(ctx context.Context) (current, late int, err error) {
	if r.Store.Feed() == nil {
		return 0, 0, ErrNoFeed
	}
	heard, _, _, err := r.all(ctx)
	for _, h := range heard {
		if h.late {
			late++
		} else {
			current++
		}
	}
	return current, late, err
}

// known is a guard as of now, from what all replicas have said.
type known struct {
	store.HeardGuard
	late bool
}

// add takes in what one replica says. Its times are as of now. late is as of when the replica said so: that is up to 10 s
// old, so one replica that says otherwise is right.
func (k *known) add(h store.HeardGuard, late bool) {
	if k.ClientID == "" {
		k.HeardGuard, k.late = h, late
		return
	}
	k.late = k.late && late
	age := k.Known
	if h.Known >= 0 && (age < 0 || h.Known < age) {
		age = h.Known
	}
	if h.Heard < k.Heard {
		k.HeardGuard = h
	}
	k.Known = age
}

// all merges what the other replicas have written with what this one has heard. parts are what the others have written.
func (r *Registry) all(ctx context.Context) (all map[name]*known, full bool, parts []store.GuardsPart, err error) {
	if parts, err = r.Store.GuardsParts(ctx); err != nil {
		return nil, false, nil, err
	}
	parts = slices.DeleteFunc(parts, func(p store.GuardsPart) bool { return p.Replica == r.replica })
	all = map[name]*known{}
	for _, p := range append(slices.Clone(parts), r.part(r.Now())) {
		full = full || p.Full
		for _, h := range p.Guards {
			late := isLate(h)
			// A guard that was current when the replica wrote this has been told more since then.
			if h.Heard += p.Age; late && h.Known >= 0 {
				h.Known += p.Age
			}
			if !isRemembered(h.Heard, h.Lease) {
				continue
			}
			id := name{h.ClientID, h.Instance}
			if all[id] == nil {
				if len(all) >= MaxGuards {
					full = true
					continue
				}
				all[id] = &known{}
			}
			all[id].add(h, late)
		}
	}
	return all, full, parts, nil
}

func isLate(h store.HeardGuard) bool { return h.Known < 0 || h.Known > leaseOf(h.Lease) }

// leaseOf is for how long a guard may answer from memory after what it knows.
func leaseOf(told time.Duration) time.Duration {
	if told <= 0 {
		return AssumedLease
	}
	return told
}

// part is what this replica has heard, of the guards that it remembers.
func (r *Registry) part(now time.Time) store.GuardsPart {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	p := store.GuardsPart{Replica: r.replica, Full: r.isFull(now)}
	p.Guards = make([]store.HeardGuard, 0, len(r.heard))
	for _, g := range r.heard {
		h := store.HeardGuard{
			ClientID: g.ClientID, Instance: g.Instance, Version: g.Version, Lease: g.Lease, Entries: g.Entries,
			Heard: now.Sub(g.At), Known: -1,
		}
		if !g.known.IsZero() {
			h.Known = max(0, now.Sub(g.known))
		}
		h.Served, h.Refused = g.rate.perMinute()
		p.Guards = append(p.Guards, h)
	}
	return p
}
