package fence

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
)

// Step is a revocation that is replayed.
type Step struct {
	Do     string // what it does, for the operator: "revoke key"
	Event  store.Event
	replay func(*run, store.Event) error
}

// Review is something that the log tells of and that cannot be replayed: the operator is to look at it.
type Review struct {
	Why   string
	Event store.Event
}

// Plan is what to make of an export.
type Plan struct {
	Steps   []Step
	Reviews []Review
	events  []store.Event // of the export, in order
}

// The revocations, by their action.
var replays = map[audit.Action]Step{
	audit.ClientDeleted:  {Do: "delete client", replay: (*run).deleteClient},
	audit.ClientDisabled: {Do: "disable client", replay: (*run).disableClient},
	audit.SecretRevoked:  {Do: "revoke secret", replay: (*run).revokeSecret},
	audit.SecretLeaked:   {Do: "revoke secret", replay: (*run).revokeSecret},
	audit.KeyRevoked:     {Do: "revoke key", replay: (*run).revokeKey},
	audit.KeyLeaked:      {Do: "revoke key", replay: (*run).revokeKey},
	audit.KeyDisabled:    {Do: "disable key", replay: (*run).disableKey},
	audit.UserDeleted:    {Do: "delete user", replay: (*run).deleteUser},
	audit.UserDisabled:   {Do: "disable user", replay: (*run).disableUser},
	audit.UserDemoted:    {Do: "demote user", replay: (*run).demoteUser},
	audit.UserInvited:    {Do: "revoke invite", replay: (*run).revokeInvite},

	audit.UserPasswordRevoked: {Do: "revoke password", replay: (*run).revokePassword},
}

// What is revoked with all tokens and sessions, or gives something, or was rejected: there is nothing to do.
var settled = []audit.Action{
	audit.ClientCreated, audit.ClientEnabled, audit.ClientTokensRevoked, audit.ClientKeysRefreshed, audit.TokenLeaked, audit.KeyCreated, audit.KeyRenamed, audit.KeyEnabled,
	audit.UserCreated, audit.UserEnabled, audit.UserPromoted, audit.UserSignedOut, audit.SessionCreated, audit.SessionRevoked,
	audit.SigningKeyRotated, audit.GuardJoined, audit.GuardsProbed, audit.Fenced,
	audit.ClientRejected, audit.AdminRejected, audit.APIRejected, audit.SessionRejected, audit.DashboardRejected,
}

// undone are the actions that undo a step, and which.
var undone = map[audit.Action]string{
	audit.ClientEnabled: "disable client", audit.ClientCreated: "disable client",
	audit.KeyEnabled:      "disable key",
	audit.UserPasswordSet: "revoke password",
	audit.UserEnabled:     "disable user", audit.UserPromoted: "demote user", audit.UserDemoted: renewOperator,
}

const renewOperator = "demote user and promote again"

var reviews = map[audit.Action]string{
	audit.ClientUpdated:         "the registration may be as it was before the change: see what was changed, and change it again",
	audit.UserPasswordSet:       "the previous password is valid again: send an invite",
	audit.UserPromoted:          "demoted and promoted again: no earlier key has mintkeep:admin any more: create new keys",
	audit.SigningKeyCompromised: "the compromised keys may be published again: rotate once more, as compromised",
}

const unknown = "not known to this version"

// Make makes a plan of events, in any order. What was undone later is left out.
func Make(events []store.Event, now time.Time) Plan {
	p := Plan{events: inOrder(events)}
	for _, e := range withoutFailed(p.events) {
		was, ok := p.drop(undone[audit.Action(e.Action)], e.Target)
		if ok {
			p.remains(was, e)
		}
		p.add(e, now)
	}
	return p
}

// withoutFailed leaves out what undoes a step and failed, or may have: it undoes nothing. So are rotations: replayed, they
// would revoke what has no successor. Any other change that failed may have been made, and stays. So does a password that
// may have been set, as failed.
func withoutFailed(events []store.Event) []store.Event {
	var kept []store.Event
	for _, e := range events {
		action, failed := audit.Action(e.Action).CutFailed()
		if !failed {
			kept = append(kept, e)
			continue
		}
		if undone[action] != "" || rotates(action) {
			kept = audit.TakeBack(kept, e)
		}
		if action == audit.UserPasswordSet {
			kept = append(kept, e)
		}
	}
	return kept
}

// remains adds what a revocation takes away although it was undone later: the invite of a user who was disabled, and what
// the keys of a user who was demoted could do as an operator's.
func (p *Plan) remains(was, e store.Event) {
	switch action := audit.Action(e.Action); action {
	case audit.UserEnabled:
		p.step(replays[audit.UserInvited], was)
	case audit.UserPromoted:
		p.step(Step{Do: renewOperator, replay: (*run).renewOperator}, e)
		p.review(reviews[action], e)
	}
}

func (p *Plan) add(e store.Event, now time.Time) {
	action, _ := audit.Action(e.Action).CutFailed()
	step, revokes := replays[action]
	switch {
	case revokes:
		p.step(step, e)
		p.earlierIDs(step, e)
	case rotates(action):
		p.rotated(e, now)
	case action == audit.KeyUpdated:
		p.keyUpdated(e)
	case action == audit.UserUpdated:
		if strings.Contains(" "+e.Detail["changed"]+" ", " email ") {
			p.step(replays[audit.UserInvited], e)
			p.review("the user may have the old email again", e)
		}
	case slices.Contains(settled, action):
	case reviews[action] != "":
		if action == audit.UserPasswordSet {
			p.step(replays[audit.UserInvited], e)
		}
		p.review(reviews[action], e)
	default:
		p.review(unknown, e)
	}
}

func (p *Plan) review(why string, e store.Event) { p.Reviews = append(p.Reviews, Review{why, e}) }

// step takes the place of an earlier one that does the same to the same.
func (p *Plan) step(s Step, e store.Event) {
	s.Event = e
	same := func(other Step) bool {
		return other.Do == s.Do && other.Event.Target == e.Target && other.Event.Detail["secret"] == e.Detail["secret"]
	}
	if i := slices.IndexFunc(p.Steps, same); i >= 0 {
		if p.Steps[i].Event.At.After(e.At) {
			return
		}
		p.Steps = slices.Delete(p.Steps, i, i+1)
	}
	p.Steps = append(p.Steps, s)
}

// earlierIDs adds a step for each earlier id of a secret that was revoked: it was brought again under a new one, and a backup may
// have it under the old one.
func (p *Plan) earlierIDs(step Step, e store.Event) {
	ids := []string{e.Detail["secret"]}
	for _, rotation := range slices.Backward(p.events) {
		action, _ := audit.Action(rotation.Action).CutFailed()
		if action != audit.SecretRotated || rotation.Target != e.Target || !slices.Contains(ids, rotation.Detail["secret"]) {
			continue
		}
		for _, id := range strings.Fields(rotation.Detail["replaces"]) {
			was := e
			was.Detail = maps.Clone(e.Detail)
			was.Detail["secret"] = id
			p.step(step, was)
			ids = append(ids, id)
		}
	}
}

// drop takes back a step, and the reviews of its event. It returns the event.
func (p *Plan) drop(do, target string) (was store.Event, ok bool) {
	i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Do == do && s.Event.Target == target })
	if i < 0 {
		return was, false
	}
	was = p.Steps[i].Event
	p.Steps = slices.Delete(p.Steps, i, i+1)
	p.Reviews = slices.DeleteFunc(p.Reviews, func(r Review) bool { return r.Event.Action == was.Action && r.Event.Target == target })
	return was, true
}

// keyUpdated narrows a key again. Each narrowing of its scope, or of its expiry, has what the one before left.
func (p *Plan) keyUpdated(e store.Event) {
	for _, member := range strings.Fields(e.Detail["changed"]) {
		switch member {
		case "scope":
			p.step(Step{Do: "narrow the scope of key", replay: (*run).narrowScope}, e)
		case "expires_at":
			p.step(Step{Do: "narrow the expiry of key", replay: (*run).narrowExpiry}, e)
		case "rate_limit":
			p.review("the key may have its earlier rate limit: change it again", e)
		}
	}
}

func rotates(action audit.Action) bool {
	return action == audit.KeyRotated || action == audit.SecretRotated
}

// rotated revokes what a rotation has replaced, once the overlap is over. Until then its owner has nothing else, should
// the successor not be in the backup.
func (p *Plan) rotated(e store.Event, now time.Time) {
	if e.Detail["overlap"] == "unlimited" {
		return // the previous secret stays as it is
	}
	overlap, err := time.ParseDuration(e.Detail["overlap"])
	switch {
	case err != nil || e.At.Add(overlap).After(now):
		p.review("the old one may stay valid after the overlap: check that the new one exists, and revoke the old one", e)
	case e.Action == string(audit.KeyRotated):
		p.step(replays[audit.KeyRevoked], e)
	default:
		p.step(Step{Do: "revoke replaced secrets", replay: (*run).revokeReplaced}, e)
	}
}
