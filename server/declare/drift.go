package declare

import (
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
)

// Attribution finds in the audit log who has changed what differs from the files: a member that was changed by anything
// but a declaration of the same owner has drifted. If the log no longer has the change, it is taken for one of the file.
type Attribution struct {
	open   map[string][]*MemberChange // by the target; what is not known yet
	owners map[string]string
	failed map[attempt]bool
}

// attempt is a change of which the log has a record, and behind it that it failed.
type attempt struct{ action, target, request, serverRequest string }

// Attribute begins with the members that the plan changes. Of an object that is adopted none has drifted.
func (p *Plan) Attribute() *Attribution {
	a := &Attribution{open: map[string][]*MemberChange{}, owners: map[string]string{}, failed: map[attempt]bool{}}
	for _, s := range p.Steps {
		adopted := func(m MemberChange) bool { return m.Name == "managed_by" }
		if s.Verb != Update || slices.ContainsFunc(s.Members, adopted) {
			continue
		}
		for i := range s.Members {
			a.open[s.Target()] = append(a.open[s.Target()], &s.Members[i])
			a.owners[s.Target()] = s.Owner
		}
	}
	return a
}

// Open are the targets of which something is not known yet.
func (a *Attribution) Open() (targets []string) {
	for target := range a.open {
		targets = append(targets, target)
	}
	slices.Sort(targets)
	return targets
}

// Add is given the events of the log, the newest first.
func (a *Attribution) Add(e adminapi.Event) {
	open := a.open[e.Target]
	if open == nil {
		return
	}
	if before, failed := audit.Action(e.Action).CutFailed(); failed {
		a.failed[attempt{string(before), e.Target, e.RequestID, e.ServerRequestID}] = true
		return
	}
	if this := (attempt{e.Action, e.Target, e.RequestID, e.ServerRequestID}); a.failed[this] {
		delete(a.failed, this)
		return
	}
	var left []*MemberChange
	for _, m := range open {
		if !touches(e, m.Name) {
			left = append(left, m)
		} else if e.Detail["owner"] != a.owners[e.Target] {
			m.Drift = &Drift{By: e.Actor, At: e.At}
		}
	}
	if a.open[e.Target] = left; left == nil {
		delete(a.open, e.Target)
	}
}

// touches is whether an event is about a member, by its name in a file.
func touches(e adminapi.Event, member string) bool {
	switch audit.Action(e.Action) {
	case audit.ClientCreated, audit.UserCreated, audit.ClientDeleted, audit.UserDeleted:
		return true
	case audit.ClientEnabled, audit.ClientDisabled, audit.UserEnabled, audit.UserDisabled:
		return member == "disabled"
	case audit.UserPromoted, audit.UserDemoted:
		return member == "role"
	case audit.UserUpdated:
		return slices.Contains(strings.Fields(e.Detail["changed"]), member)
	case audit.ClientUpdated:
		return slices.ContainsFunc(strings.Fields(e.Detail["changed"]), func(inAPI string) bool { return nameOf(inAPI) == member })
	}
	return false
}

// Needs is whether something is not known yet of a target; empty: of any.
func (a *Attribution) Needs(target string) bool {
	if target == "" {
		return len(a.open) > 0
	}
	return a.open[target] != nil
}
