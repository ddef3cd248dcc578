package fence

import (
	"slices"
	"strings"
	"time"

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

// undone are the actions that a later one undoes.
var undone = map[string]string{
	"client.enabled": "client.disabled", "client.created": "client.disabled",
	"user.enabled": "user.disabled", "user.promoted": "user.demoted",
}

var looks = map[string]string{
	"client.updated":          "the registration may be as it was before: see what was changed, and change it again",
	"user.password_set":       "the password before is good again: send an invite",
	"signing_key.compromised": "the compromised key may sign again: rotate once more, as compromised",
}

// Make makes a plan of events, in any order. What came to nothing later is left out.
func Make(events []store.Event, now time.Time) Plan {
	var p Plan
	for _, e := range inOrder(events) {
		if what, ok := undone[e.Action]; ok {
			p.drop(what, e.Target)
		}
		p.add(e, now)
	}
	return p
}

func (p *Plan) add(e store.Event, now time.Time) {
	step, ends := replays[e.Action]
	switch {
	case ends:
		p.step(step, e)
	case e.Action == "key.rotated" || e.Action == "secret.rotated":
		p.rotated(e, now)
	case e.Action == "user.updated":
		if strings.Contains(" "+e.Detail["changed"]+" ", " email ") {
			p.step(replays["user.invited"], e)
			p.Looks = append(p.Looks, Look{"the person may have the old email again", e})
		}
	case looks[e.Action] != "":
		if e.Action == "user.password_set" {
			p.step(replays["user.invited"], e)
		}
		p.Looks = append(p.Looks, Look{looks[e.Action], e})
	case !slices.Contains(settled, e.Action):
		p.Looks = append(p.Looks, Look{"not known to this version", e})
	}
}

// step takes the place of an earlier one that does the same to the same.
func (p *Plan) step(s Step, e store.Event) {
	s.Event = e
	p.Steps = append(slices.DeleteFunc(p.Steps, func(before Step) bool {
		return before.Do == s.Do && before.Event.Target == e.Target && before.Event.Detail["secret"] == e.Detail["secret"]
	}), s)
}

func (p *Plan) drop(action, target string) {
	p.Steps = slices.DeleteFunc(p.Steps, func(s Step) bool { return s.Event.Action == action && s.Event.Target == target })
}

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
