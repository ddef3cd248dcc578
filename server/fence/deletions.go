package fence

import (
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
)

// recordDeletions records in the log of the store which clients, users and secrets were deleted or revoked after the backup. That
// log is the one of the backup, and would say for ever that they exist: mintkeep doctor would call them lost. What is recorded
// already is not recorded again.
func (r *run) recordDeletions() error {
	if len(r.Plan.events) == 0 {
		return nil
	}
	own, err := audit.All(r.ctx, r.Store)
	if err != nil { // an event of a newer version must not keep the replicas from serving
		return r.Store.Ping(r.ctx)
	}
	believed, err := audit.FindLost(r.ctx, r.Store, own)
	if err != nil {
		return err
	}
	lost, err := audit.FindLost(r.ctx, r.Store, inOrder(slices.Concat(own, r.Plan.events)))
	if err != nil {
		return err
	}
	var events []store.Event
	for _, l := range believed {
		what, known := r.Plan.deletion(l)
		if known && !slices.ContainsFunc(lost, func(other audit.Lost) bool { return other.Target == l.Target }) {
			events = append(events, what.Event(r.now(), actor))
		}
	}
	if len(events) == 0 {
		return nil
	}
	return r.Store.AuditAll(r.ctx, events)
}

// deletion is the record of what became of something that the store's log believes to exist. Its detail says when that was
// and who did it, if an event of the export does.
func (p *Plan) deletion(l audit.Lost) (what audit.Record, known bool) {
	what = audit.Record{Target: l.Target, Detail: map[string]string{}}
	switch {
	case l.Secret != "":
		what.Action, what.Detail["secret"] = audit.SecretRevoked, l.Secret
	case strings.HasPrefix(l.Target, audit.ClientTarget("")):
		what.Action = audit.ClientDeleted
	case strings.HasPrefix(l.Target, audit.UserTarget("")):
		what.Action = audit.UserDeleted
	default: // of API keys the store keeps descriptions
		return what, false
	}
	for _, e := range slices.Backward(p.events) {
		if e.Action == string(what.Action) && e.Target == l.Target && e.Detail["secret"] == l.Secret {
			what.Detail["revoked_at"], what.Detail["revoked_by"] = audit.Moment(e.At), e.Actor
			break
		}
	}
	return what, true
}

// Names are what the events of the export call users, clients and keys, by their targets: the store may have lost them.
func (p *Plan) Names() map[string]string {
	names := map[string]string{}
	for _, e := range p.events {
		for kind, member := range map[string]string{"user:": "email", "client:": "client_name", "key:": "name"} {
			if name := e.Detail[member]; name != "" && strings.HasPrefix(e.Target, kind) {
				names[e.Target] = name
			}
		}
	}
	return names
}
