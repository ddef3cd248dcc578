package admin

import (
	"net/http"
	"strconv"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// listEvents shows one page of the audit trail.
func (a *Admin) listEvents(w http.ResponseWriter, r *http.Request, _ string) error {
	filter, listing, err := a.eventFilter(r)
	if err != nil {
		return err
	}
	events, next, err := a.store.Events(r.Context(), filter)
	if err != nil {
		return err
	}
	items := make([]eventView, len(events))
	for i, e := range events {
		items[i] = newEventView(e)
	}
	return web.JSON(w, http.StatusOK, web.Page[eventView]{Items: items, NextCursor: a.cursors.Seal(next, listing...)})
}

// eventFilter also names the listing that a cursor is good for. A since that is a duration counts as
// it was written: the later pages do not mind that time goes on.
func (a *Admin) eventFilter(r *http.Request) (f store.EventFilter, listing []string, err error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return f, nil, err
	}
	if f.Limit, err = query.Limit(); err != nil {
		return f, nil, err
	}
	if f.Since, err = query.Moment("since", a.now()); err != nil {
		return f, nil, err
	}
	if f.Actor, err = query.Text("actor"); err != nil {
		return f, nil, err
	}
	if f.Target, err = query.Text("target"); err != nil {
		return f, nil, err
	}
	if f.Refusals, err = query.Flag("refusals"); err != nil {
		return f, nil, err
	}
	since, err := query.Text("since")
	if err != nil {
		return f, nil, err
	}
	cursor, err := query.Text("cursor")
	if err != nil {
		return f, nil, err
	}
	listing = []string{"audit", since, f.Actor, f.Target, strconv.FormatBool(f.Refusals)}
	f.After, err = a.cursors.Open(cursor, listing...)
	return f, listing, err
}
