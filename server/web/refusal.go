package web

import (
	"net/http"

	"github.com/mintkeep/mintkeep/store"
)

// AuditRefusal keeps for the operator that somebody was refused at this route. That it could not be kept
// changes nothing for the caller, and stands in the request's line. The route is kept and not the path,
// which holds what the caller likes.
func AuditRefusal(r *http.Request, s *store.Store, actor, action string) {
	x := from(r.Context())
	err := s.AuditRefusal(x, store.Event{
		Actor: actor, Action: action, Target: x.route, Via: x.via, Address: x.address.String(), RequestID: x.id,
	})
	if err != nil {
		Note(x, "audit", "the refusal was not recorded: "+err.Error())
	}
}

// Code is the error code that the caller sees of err.
func Code(err error) string { return answer(err).Code }
