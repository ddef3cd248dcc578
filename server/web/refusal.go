package web

import (
	"net/http"

	"github.com/mintkeep/mintkeep/store"
)

// AuditRefusal is [AuditRefusalDetail] without a detail.
func AuditRefusal(r *http.Request, s *store.Store, actor, action string) {
	AuditRefusalDetail(r, s, actor, action, nil)
}

// AuditRefusalDetail records a rejection at this route in the audit log. detail is for the operator, and never holds a
// secret. A failure to record changes nothing for the caller, and stands in the request's log line. The route is
// recorded and not the path, which holds what the caller likes.
func AuditRefusalDetail(r *http.Request, s *store.Store, actor, action string, detail map[string]string) {
	x := from(r.Context())
	err := s.AuditRefusal(x, store.Event{
		Actor: actor, Action: action, Target: x.route, Via: x.via, Address: x.address.String(), RequestID: x.id,
		Detail: detail,
	})
	if err != nil {
		Note(x, "audit", "the refusal was not recorded: "+err.Error())
	}
}

// Code is the error code that the caller sees of err.
func Code(err error) string { return answer(err).Code }
