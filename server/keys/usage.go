package keys

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// maxUnused is how far back a listing of unused keys goes: last uses are remembered for 400 days.
const maxUnused = 399

// ReadUnused reads unused, such as 90d: the page has only keys that were not used for so long. If no state is asked for, they
// can be used, now or again.
func (f *Filter) ReadUnused(query web.Query, now time.Time) error {
	text, err := query.Text("unused")
	if err != nil || text == "" {
		return err
	}
	digits, isDays := strings.CutSuffix(text, "d")
	days, err := strconv.Atoi(digits)
	if err != nil || !isDays || days < 1 || days > maxUnused || strconv.Itoa(days) != digits {
		return wrong("unused", errors.New("must be a number of days from 1d to 399d, such as 90d"))
	}
	f.unused, f.UnusedSince = text, now.Add(-time.Duration(days)*24*time.Hour)
	if f.State == store.AnyState {
		f.State = store.StateLive
	}
	return nil
}

// ReadSort reads sort, and tells whether the busiest keys are asked for: those are one page, with the parameter limit alone.
func ReadSort(query web.Query) (byUses bool, err error) {
	sort, err := query.Text("sort")
	if err != nil || sort == "" {
		return false, err
	}
	if sort != "uses" {
		return false, wrong("sort", errors.New("must be uses, or omitted for the newest keys first"))
	}
	for _, other := range []string{"q", "state", "user", "unused", "cursor"} {
		if text, err := query.Text(other); err != nil || text != "" {
			return false, wrong(other, errors.New("cannot be combined with sort=uses"))
		}
	}
	return true, nil
}

// Busiest is the page of the keys with the most uses of the last 7 days, for operators: as many as limit in the query says.
func (g *Registry) Busiest(ctx context.Context, query web.Query) (page adminapi.Page[adminapi.Key], err error) {
	limit, err := query.Limit()
	if err != nil {
		return page, err
	}
	busiest, err := g.Store.BusiestKeys(ctx, limit)
	if err != nil {
		return page, err
	}
	found := make([]*store.APIKey, len(busiest))
	for i, a := range busiest {
		found[i] = a.Key
	}
	if page.Items, err = g.Views(ctx, found, true); err != nil {
		return page, err
	}
	for i, a := range busiest {
		page.Items[i].LastWeek = &adminapi.KeyCounts{Uses: a.Uses, Rejected: a.Rejected}
	}
	return page, nil
}

// days are the uses of a key by day, the oldest first.
func (g *Registry) days(ctx context.Context, keyID string) ([]adminapi.KeyDay, error) {
	days, err := g.Store.KeyDays(ctx, keyID)
	if err != nil {
		return nil, err
	}
	views := make([]adminapi.KeyDay, len(days))
	for i, d := range days {
		views[i] = adminapi.KeyDay{Date: d.Start.Format(time.DateOnly), KeyCounts: adminapi.KeyCounts{Uses: d.Uses, Rejected: d.Rejected}}
	}
	return views, nil
}
