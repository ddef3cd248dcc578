package audit

import (
	"encoding/json"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// View is an event as the admin API and the exports have it.
func View(e store.Event) adminapi.Event {
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	return adminapi.Event{
		ID: e.ID, At: web.Time(e.At), Actor: e.Actor, Via: e.Via, Action: e.Action, Target: e.Target,
		Address: e.Address, RequestID: e.RequestID, ServerRequestID: e.ServerRequestID, TraceID: e.TraceID, Detail: e.Detail,
	}
}

// copied copies events to l.Copy, a line each and a write each. One that Redis has not recorded has no id.
func (l *Log) copied(events []store.Event) {
	if l.Copy == nil {
		return
	}
	for _, e := range events {
		line, _ := json.Marshal(View(e)) // strings and times always marshal
		_, _ = l.Copy.Write(append(line, '\n'))
	}
}
