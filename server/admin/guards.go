package admin

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// ListGuards answers GET /admin/guards.
func (a *Admin) ListGuards(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	filter, err := guards.ReadFilter(query)
	if err != nil {
		return err
	}
	cursor, err := query.Text("cursor")
	if err != nil {
		return err
	}
	listing := []string{"guards", filter.State}
	if filter.After, err = a.cursors.Open(cursor, listing...); err != nil {
		return err
	}
	page, next, err := a.Guards.Page(r.Context(), filter)
	if err != nil {
		return guardError(err)
	}
	page.NextCursor = a.cursors.Seal(next, listing...)
	return web.JSON(w, http.StatusOK, page)
}

// ProbeGuards answers POST /admin/guards/probe.
func (a *Admin) ProbeGuards(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	id, err := a.Guards.Probe(r.Context(), by)
	if err != nil {
		return guardError(err)
	}
	w.Header().Set("Location", a.Config.AdminOrigin()+"/admin/guards/probe/"+id)
	return web.JSON(w, http.StatusCreated, adminapi.Probe{ID: id})
}

// ShowProbe answers GET /admin/guards/probe/{id}?wait=1000, which waits until something is known of each guard.
func (a *Admin) ShowProbe(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	wait, err := readWait(query)
	if err != nil {
		return err
	}
	progress, err := a.Guards.Passed(r.Context(), web.Path(r, "id"), wait)
	if errors.Is(err, store.ErrNotFound) {
		return web.NotFound("Probe")
	}
	if err != nil {
		return guardError(err)
	}
	return web.JSON(w, http.StatusOK, progress.View())
}

// readWait reads how long to wait, in milliseconds; omitted, not at all.
func readWait(query web.Query) (time.Duration, error) {
	text, err := query.Text("wait")
	if err != nil || text == "" {
		return 0, err
	}
	ms, err := strconv.Atoi(text)
	if err != nil || ms < 0 || ms > int(guards.MaxWait.Milliseconds()) {
		return 0, web.InvalidRequest("wait: must be a whole number of milliseconds from 0 to %d", guards.MaxWait.Milliseconds())
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func guardError(err error) error {
	switch {
	case errors.Is(err, guards.ErrNoFeed):
		return &web.Error{Status: http.StatusNotFound, Code: "not_found", Description: "This server has no feed for guards: MINTKEEP_FEED is off"}
	case errors.Is(err, guards.ErrTooManyProbes):
		return web.TooManyRequests(time.Second)
	}
	return err
}
