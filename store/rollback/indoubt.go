package rollback

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

const (
	// maxInDoubt is how many deletions of in-doubt transactions are remembered.
	maxInDoubt = 1024
	// looksInDoubt is in how many heartbeats what a transaction would have deleted must be there, for the transaction not
	// to have been made. It may be late, behind a Redis that hangs.
	looksInDoubt = 10
)

// inDoubt is a deletion by a transaction whose outcome is unknown. It cannot be sent to be sure, as another deletion can:
// without what the transaction creates, it may delete the only secret.
//
// A caller that repeats the transaction may find nothing to do, and be told that it is so. Before that, it is resolved.
type inDoubt struct {
	Entry
	looks int
}

func (l *redoLog) addInDoubt(entries []Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		if len(e.fields) > 0 && !e.deletesNothing() {
			l.inDoubt = append(l.inDoubt, &inDoubt{Entry: e})
		}
	}
	l.inDoubt = l.inDoubt[max(0, len(l.inDoubt)-maxInDoubt):]
}

func (l *redoLog) allInDoubt() []*inDoubt {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.inDoubt)
}

func (l *redoLog) resolved(known []*inDoubt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inDoubt = slices.DeleteFunc(l.inDoubt, func(d *inDoubt) bool { return slices.Contains(known, d) })
}

// resolve finds out which of the in-doubt transactions were made, and returns their deletions. A heartbeat gives up those
// that were not.
func (m *Monitor) resolve(ctx context.Context, heartbeat bool) (made []Entry, err error) {
	all := m.log.allInDoubt()
	if len(all) == 0 {
		return nil, nil
	}
	reads := make([]*redis.SliceCmd, len(all))
	if _, err := m.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, d := range all {
			reads[i] = p.HMGet(ctx, d.key, m.fieldsOf(d)...)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var known []*inDoubt
	for i, d := range all {
		switch there := d.isThere(reads[i].Val()); {
		case !there:
			made = append(made, d.Entry)
			known = append(known, d)
		case heartbeat && d.looks >= looksInDoubt:
			known = append(known, d)
		case heartbeat:
			d.looks++
		}
	}
	m.log.resolved(known)
	return made, nil
}

// fieldsOf are the fields by which one sees whether the deletion was applied.
func (m *Monitor) fieldsOf(d *inDoubt) []string {
	if d.field != "" {
		return []string{m.existsField, d.field}
	}
	return d.fields
}

func (d *inDoubt) isThere(fields []any) bool {
	if d.field != "" {
		return d.holds(fields)
	}
	return slices.ContainsFunc(fields, func(field any) bool { return field != nil })
}
