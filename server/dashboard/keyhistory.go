package dashboard

import (
	"strings"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// history tells what happened to a key, to its owner or to an operator. Links lead to operators' pages only for those.
type history struct {
	key         *store.APIKey
	view        adminapi.Key
	reader      *store.User
	forOperator bool
	names       refs
}

// subjects are the users and keys that the history names.
func (h history) subjects() []string {
	named := []string{h.key.CreatedBy, h.key.RotatedBy, h.view.DisabledBy, audit.KeyTarget(h.key.RotatedTo)}
	if h.view.Revocation != nil {
		named = append(named, h.view.Revocation.By)
	}
	return named
}

// events are what happened, the latest first.
func (h history) events() (events []event) {
	if h.view.Revocation != nil {
		events = append(events, h.end())
	}
	if h.view.Disabled {
		events = append(events, event{h.view.DisabledAt, "Disabled", h.who(h.view.DisabledBy)})
	}
	if h.key.RotatedTo != "" {
		events = append(events, event{web.TimeOrNull(h.key.RotatedAt), "Rotated", h.who(h.key.RotatedBy)})
	}
	return append(events, event{&h.view.CreatedAt, "Created", h.who(h.key.CreatedBy)})
}

// end is how the key became inactive.
func (h history) end() event {
	revoked := h.view.Revocation
	what := "Revoked: " + revoked.Reason
	switch {
	case h.view.State == string(store.StateExpired):
		what = "Expired"
	case h.view.State == string(store.StateRotated) && revoked.By == "":
		what = "Expired, as its rotation said"
	}
	return event{revoked.At, what, h.who(revoked.By)}
}

func (h history) who(actor string) ref {
	switch {
	case actor == store.UserActor(h.reader.ID).Name:
		return ref{Label: "you"}
	case h.forOperator:
		return h.names.of(actor)
	case actor == "":
		return ref{}
	case strings.HasPrefix(actor, "client:"):
		by := h.names.of(actor)
		by.Link = ""
		return by
	}
	return ref{Label: "an operator"} // no other user may change the key; the owner need not know which operator
}

// successor is the key that replaces this one.
func (h history) successor() ref {
	if h.key.RotatedTo == "" {
		return ref{}
	}
	next := h.names.of(audit.KeyTarget(h.key.RotatedTo))
	if next.Link != "" && !h.forOperator {
		next.Link = "/settings/keys/" + next.ID
	}
	return next
}
