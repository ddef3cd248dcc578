package web

import (
	"net/http"
	"strings"

	"github.com/mintkeep/mintkeep/store"
)

// targetKept is how much of a path is kept, in bytes. No route's own is longer, but the caller's may be, and
// refusals are many.
const targetKept = 256

// AuditRefusal keeps for the operator that somebody was refused at this route. That it could not be kept
// changes nothing for the caller, and stands in the request's line.
func AuditRefusal(r *http.Request, s *store.Store, actor, action string) {
	x := from(r.Context())
	target := r.URL.Path
	if len(target) > targetKept {
		target = strings.ToValidUTF8(target[:targetKept], "")
	}
	err := s.AuditRefusal(x, store.Event{
		Actor: actor, Action: action, Target: target, Address: x.address.String(), RequestID: x.id,
	})
	if err != nil {
		Note(x, "audit", "the refusal was not recorded: "+err.Error())
	}
}

// Code is the error code that the caller sees of err.
func Code(err error) string { return answer(err).Code }
