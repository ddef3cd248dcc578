package fence

import (
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
)

// betweenRecordAndChange is how far a change may come behind its event in the log: no request takes longer. A backup that
// was made between the two has the event alone.
const betweenRecordAndChange = 5 * time.Second

// look finds what the operator has to look at.
func (r *run) look() error {
	settled, err := r.settled()
	if err != nil {
		return err
	}
	r.result.Reviews = slices.DeleteFunc(slices.Clone(r.Plan.Reviews), func(v Review) bool { return settled(v.Event) })
	lost, err := audit.FindLost(r.ctx, r.Store, r.Plan.events)
	if err != nil {
		return err
	}
	// The description of a key that was created long ago may have been purged.
	r.result.Lost = slices.DeleteFunc(lost, func(l audit.Lost) bool {
		return (l.Event.Action == string(audit.KeyCreated) || l.Event.Action == string(audit.KeyRotated)) && settled(l.Event)
	})
	now := r.now()
	return r.Store.EachClient(r.ctx, func(c *store.Client) {
		if c.Locked(now) {
			r.result.Locked = append(r.result.Locked, c.ID)
		}
	})
}

// settled says of an event whether the restored data has what it tells of: its own log has the event, and later ones.
func (r *run) settled() (func(store.Event) bool, error) {
	known, err := r.Store.Recorded(r.ctx, r.Plan.events)
	if err != nil {
		return nil, err
	}
	// The log has several streams, so that an id alone does not name an event.
	type name struct{ id, actor, action, target string }
	nameOf := func(e store.Event) name { return name{e.ID, e.Actor, e.Action, e.Target} }
	recorded := map[name]bool{}
	var last uint64
	for i, e := range r.Plan.events {
		if ms, _ := placeOf(e); known[i] {
			recorded[nameOf(e)] = true
			last = max(last, ms)
		}
	}
	return func(e store.Event) bool {
		ms, _ := placeOf(e)
		return recorded[nameOf(e)] && ms+uint64(betweenRecordAndChange.Milliseconds()) < last
	}, nil
}
