package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/server/web"
)

// guardList is a page of guards.
type guardList struct {
	operatorPage
	Guards    []guardRow
	State     string // current, late, or empty for both
	Next      string // URL
	First     bool
	Truncated bool
	NoFeed    bool
}

// guardRow is a guard in the list.
type guardRow struct {
	adminapi.Guard
	Client ref
	Lag    string // empty: unknown
	Lease  string
}

// Guards answers GET /operator/guards.
func (d *Dashboard) Guards(w http.ResponseWriter, r *http.Request, in *session) error {
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	filter, err := guards.ReadFilter(query)
	if err != nil {
		return err
	}
	filter.Limit = listLength
	cursor, err := query.Text("cursor")
	if err != nil {
		return err
	}
	const listing = "pages guards"
	if filter.After, err = d.cursors.Open(cursor, listing, filter.State); err != nil {
		return err
	}
	p := guardList{operatorPage: operatorPage{"guards"}, State: filter.State, First: cursor == ""}
	found, next, err := d.guards.Page(r.Context(), filter)
	switch {
	case errors.Is(err, guards.ErrNoFeed):
		p.NoFeed = true
	case err != nil:
		return err
	}
	p.Truncated = found.Truncated
	subjects := make([]string, len(found.Items))
	for i := range found.Items {
		subjects[i] = audit.ClientTarget(found.Items[i].ClientID)
	}
	names, err := d.refs(r.Context(), subjects...)
	if err != nil {
		return err
	}
	for i, g := range found.Items {
		p.Guards = append(p.Guards, guardRow{Guard: g, Client: names.of(subjects[i]), Lag: brief(g.LagMS), Lease: brief(g.LeaseMS)})
	}
	if next != "" {
		p.Next = "/operator/guards?" + url.Values{"state": {filter.State}, "cursor": {d.cursors.Seal(next, listing, filter.State)}}.Encode()
	}
	return d.show(w, http.StatusOK, "guards", in.page(r, "Guards", "operator", p))
}

// brief is a duration of milliseconds: "0.4 s", or "1 min" from a minute on; empty: unknown.
func brief(ms *int64) string {
	switch {
	case ms == nil:
		return ""
	case *ms < time.Minute.Milliseconds():
		return strconv.FormatFloat(float64(*ms)/1000, 'f', 1, 64) + " s"
	}
	return strconv.FormatInt(*ms/time.Minute.Milliseconds(), 10) + " min"
}
