package guards

import (
	"context"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/web"
)

// Filter says which guards are wanted.
type Filter struct {
	State string // current or late; empty: both
	After string // the position behind which the page begins
	Limit int
}

// ReadFilter reads a filter from a query, but for its cursor.
func ReadFilter(query web.Query) (f Filter, err error) {
	if f.Limit, err = query.Limit(); err != nil {
		return f, err
	}
	if f.State, err = query.Text("state"); err != nil {
		return f, err
	}
	if f.State != "" && f.State != adminapi.GuardCurrent && f.State != adminapi.GuardLate {
		return f, web.InvalidRequest("state: must be current or late")
	}
	return f, nil
}

// Page lists a page of the guards. next is the position behind it; empty: it is the last one.
func (r *Registry) Page(ctx context.Context, f Filter) (page adminapi.GuardPage, next string, err error) {
	list, err := r.List(ctx)
	if err != nil {
		return page, "", err
	}
	page.Items, page.Truncated = []adminapi.Guard{}, list.Full
	for i := range list.Guards {
		g := &list.Guards[i]
		view := g.View()
		if f.State != "" && view.State != f.State || f.After != "" && g.position() <= f.After {
			continue
		}
		if len(page.Items) == f.Limit {
			return page, next, nil
		}
		page.Items, next = append(page.Items, view), g.position()
	}
	return page, "", nil
}

// position is that of a guard in the list. Neither part has a NUL.
func (g *Guard) position() string { return g.ClientID + "\x00" + g.Instance }

// View is what operators see of a guard.
func (g *Guard) View() adminapi.Guard {
	view := adminapi.Guard{
		Instance: g.Instance, ClientID: g.ClientID, Version: g.Version, LeaseMS: milliseconds(g.Lease > 0, g.Lease), LagMS: milliseconds(g.Lag >= 0, g.Lag),
		Entries: int64(g.Entries), ServedPerMinute: g.Served, RefusedPerMinute: g.Refused, LastHeardAt: web.Time(g.LastHeard), State: adminapi.GuardCurrent,
	}
	if g.Late {
		view.State = adminapi.GuardLate
	}
	return view
}

// View is what operators see of a probe.
func (p *Progress) View() adminapi.ProbeProgress {
	view := adminapi.ProbeProgress{ID: p.ID, Complete: p.Complete, Guards: len(p.Guards), Truncated: p.Full, Items: make([]adminapi.ProbedGuard, len(p.Guards))}
	for i, g := range p.Guards {
		passed := g.State == Passed
		view.Items[i] = adminapi.ProbedGuard{
			Instance: g.Instance, ClientID: g.ClientID, State: string(g.State), PassedMS: milliseconds(passed, g.Passed),
			LeaseMS: milliseconds(g.Lease > 0, g.Lease), LastHeardMS: g.Silence.Milliseconds(),
		}
		switch g.State {
		case Passed:
			view.Passed++
			if ms := view.Items[i].PassedMS; view.PassedMS == nil || *ms > *view.PassedMS {
				view.PassedMS = ms
			}
		case Silent:
			view.Silent++
		case Waiting:
		}
	}
	return view
}

func milliseconds(known bool, d time.Duration) *int64 {
	if !known {
		return nil
	}
	ms := d.Milliseconds()
	return &ms
}
