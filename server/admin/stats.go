package admin

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// statsMinutes is how far back the statistics go.
const statsMinutes = 60

// Stats answers GET /admin/stats.
func (a *Admin) Stats(w http.ResponseWriter, r *http.Request, _ audit.Actor) error {
	totals, err := a.Store.Totals(r.Context())
	if err != nil {
		return err
	}
	minutes, err := a.Store.Minutes(r.Context(), statsMinutes)
	if err != nil {
		return err
	}
	view := adminapi.Stats{Clients: totals.Clients, Users: totals.Users, ActiveKeys: totals.ActiveKeys, Tokens: make([]adminapi.Minute, len(minutes))}
	for i, m := range minutes {
		view.Tokens[i] = minuteView(m)
	}
	return web.JSON(w, http.StatusOK, view)
}

func minuteView(m store.Counts) adminapi.Minute {
	return adminapi.Minute{Start: m.Start, Issued: m.Issued, Rejected: m.Rejected()}
}
