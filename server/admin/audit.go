package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// ListEvents answers GET /admin/audit, newest first.
func (a *Admin) ListEvents(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	filter, listing, err := a.eventFilter(r)
	if err != nil {
		return err
	}
	events, next, err := a.Store.Events(r.Context(), filter)
	if err != nil {
		return err
	}
	items := make([]adminapi.Event, len(events))
	for i, e := range events {
		items[i] = audit.View(e)
	}
	return web.JSON(w, http.StatusOK, adminapi.Page[adminapi.Event]{Items: items, NextCursor: a.cursors.Seal(next, listing...)})
}

// eventFilter also names the listing that a cursor is good for. A since that is a duration counts as
// it was written: time that passes between two pages does not matter.
func (a *Admin) eventFilter(r *http.Request) (f store.EventFilter, listing []string, err error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return f, nil, err
	}
	if f.Limit, err = query.Limit(); err != nil {
		return f, nil, err
	}
	if f.Since, err = query.Moment("since", a.Now()); err != nil {
		return f, nil, err
	}
	if f.Actor, err = a.auditName(r.Context(), query, "actor"); err != nil {
		return f, nil, err
	}
	if f.Target, err = a.auditName(r.Context(), query, "target"); err != nil {
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

// auditName reads a parameter that names an actor or a target; a user may be named by email.
func (a *Admin) auditName(ctx context.Context, query web.Query, parameter string) (string, error) {
	text, err := query.Text(parameter)
	if err != nil {
		return "", err
	}
	return a.Users.AuditName(ctx, text)
}
