package fence

import (
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Step is an end that is replayed.
type Step struct {
	Do    string // what it does, for people: "revoke key"
	Event store.Event
	end   func(*run, store.Event) error
}

// Look is something that the trail tells of and that cannot be replayed.
type Look struct {
	Why   string
	Event store.Event
}

// Plan is what to make of a trail.
type Plan struct {
	Steps []Step
	Looks []Look
}

// The ends, by the action that the trail has.
var replays = map[string]Step{
	"client.deleted":  {Do: "delete client", end: (*run).deleteClient},
	"client.disabled": {Do: "disable client", end: (*run).disableClient},
	"secret.ended":    {Do: "end secret", end: (*run).endSecret},
	"secret.leaked":   {Do: "end secret", end: (*run).endSecret},
	"key.revoked":     {Do: "revoke key", end: (*run).endKey},
	"key.leaked":      {Do: "revoke key", end: (*run).endKey},
	"user.deleted":    {Do: "delete person", end: (*run).deleteUser},
	"user.disabled":   {Do: "disable person", end: (*run).disableUser},
	"user.demoted":    {Do: "demote person", end: (*run).demoteUser},
	"user.invited":    {Do: "end invite", end: (*run).endInvite},
}

// What ends with the tokens and sessions of all, or begins something: there is nothing to do.
var settled = []string{
	"client.created", "client.enabled", "client.tokens_revoked", "token.leaked", "key.created", "key.renamed",
	"user.created", "user.enabled", "user.promoted", "user.signed_out", "session.created", "session.ended",
	"signing_key.rotated", "fence",
}

// undone are the actions that undo a step, and which.
var undone = map[string]string{
	"client.enabled": "disable client", "client.created": "disable client",
	"user.enabled": "disable person", "user.promoted": "demote person", "user.demoted": promoteAnew,
}

const promoteAnew = "demote person and promote again"

var looks = map[string]string{
	"client.updated":          "the registration may be as it was before: see what was changed, and change it again",
	"user.password_set":       "the password before is good again: send an invite",
	"user.promoted":           "demoted before that: keys with mintkeep:admin, also those made since, have it no more: make them anew",
	"signing_key.compromised": "the compromised key may sign again: rotate once more, as compromised",
}

// Make makes a plan of events, in any order. What came to nothing later is left out.
func Make(events []store.Event, now time.Time) Plan {
	var p Plan
	for _, e := range begun(inOrder(events)) {
		was, ok := p.drop(undone[e.Action], e.Target)
		if ok {
			p.remains(was, e)
		}
		p.add(e, now)
	}
	return p
}

// begun leaves out beginnings that failed, or may have: they undo nothing. So are rotations, which would end what nobody
// was given another for. Any other change that failed may have been made, and stays.
func begun(events []store.Event) []store.Event {
	var kept []store.Event
	for _, e := range events {
		action, failed := strings.CutSuffix(e.Action, web.Failed)
		if !failed {
			kept = append(kept, e)
			continue
		}
		for i, before := range slices.Backward(kept) {
			if (undone[action] != "" || rotates(action)) && before.Action == action && before.Target == e.Target && before.RequestID == e.RequestID {
				kept = slices.Delete(kept, i, i+1)
				break
			}
		}
	}
	return kept
}

// remains is what an end leaves for good, although a beginning came after it: the invite of who was disabled, and what
// the keys of who was demoted could do as an operator's.
func (p *Plan) remains(was, e store.Event) {
	switch e.Action {
	case "user.enabled":
		p.step(replays["user.invited"], was)
	case "user.promoted":
		p.step(Step{Do: promoteAnew, end: (*run).promoteAnew}, e)
		p.Looks = append(p.Looks, Look{looks[e.Action], e})
	}
}

func (p *Plan) add(e store.Event, now time.Time) {
	step, ends := replays[e.Action]
	switch {
	case ends:
		p.step(step, e)
	case rotates(e.Action):
		p.rotated(e, now)
	case e.Action == "user.updated":
		if strings.Contains(" "+e.Detail["changed"]+" ", " email ") {
			p.step(replays["user.invited"], e)
			p.Looks = append(p.Looks, Look{"the person may have the old email again", e})
		}
	case slices.Contains(settled, e.Action):
	case looks[e.Action] != "":
		if e.Action == "user.password_set" {
			p.step(replays["user.invited"], e)
		}
		p.Looks = append(p.Looks, Look{looks[e.Action], e})
	default:
		p.Looks = append(p.Looks, Look{"not known to this version", e})
	}
}

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

// drop takes back a step, and what there was to look at for its event. It returns the event.
func (p *Plan) drop(do, target string) (was store.Event, ok bool) {
	i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Do == do && s.Event.Target == target })
	if i < 0 {
		return was, false
	}
	was = p.Steps[i].Event
	p.Steps = slices.Delete(p.Steps, i, i+1)
	p.Looks = slices.DeleteFunc(p.Looks, func(l Look) bool { return l.Event.Action == was.Action && l.Event.Target == target })
	return was, true
}

func rotates(action string) bool { return action == "key.rotated" || action == "secret.rotated" }

// rotated ends what a rotation has replaced, once the overlap is over. Until then its owner has nothing else, should the
// successor not be in the backup.
func (p *Plan) rotated(e store.Event, now time.Time) {
	overlap, err := time.ParseDuration(e.Detail["overlap"])
	switch {
	case err != nil || e.At.Add(overlap).After(now):
		p.Looks = append(p.Looks, Look{"the old one may not end when the overlap is over: see whether the new one is there, and end the old", e})
	case e.Action == "key.rotated":
		p.step(replays["key.revoked"], e)
	default:
		p.step(Step{Do: "end replaced secrets", end: (*run).endReplaced}, e)
	}
}
