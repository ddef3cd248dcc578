package admin

import (
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// statsMinutes is how far back the statistics go.
const statsMinutes = 60

type statsView struct {
	Clients    int64        `json:"clients"`
	Users      int64        `json:"users"`
	ActiveKeys int64        `json:"live_keys"`
	Tokens     []minuteView `json:"tokens"`
}

// minuteView is what the token endpoint did in one minute.
type minuteView struct {
	Minute  time.Time `json:"minute"`
	Issued  int64     `json:"issued"`
	Refused int64     `json:"refused"`
}

func newMinuteView(m store.Minute) minuteView {
	v := minuteView{Minute: m.Start, Issued: m.Issued}
	for _, n := range m.Refused {
		v.Refused += n
	}
	return v
}

func (a *Admin) stats(w http.ResponseWriter, r *http.Request, _ string) error {
	totals, err := a.store.Totals(r.Context())
	if err != nil {
		return err
	}
	minutes, err := a.store.Minutes(r.Context(), statsMinutes)
	if err != nil {
		return err
	}
	view := statsView{Clients: totals.Clients, Users: totals.Users, ActiveKeys: totals.ActiveKeys, Tokens: make([]minuteView, len(minutes))}
	for i, m := range minutes {
		view.Tokens[i] = newMinuteView(m)
	}
	return web.JSON(w, http.StatusOK, view)
}
