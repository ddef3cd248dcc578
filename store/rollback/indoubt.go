package rollback

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

const (
	// maxInDoubt is how many deletions of in-doubt transactions are remembered. Older ones are dropped.
	maxInDoubt = 1024
	// maxRounds is in how many rounds of heartbeats the fields of a deletion may still be there. In the next one the
	// transaction counts as not applied. It is not given up at once: Redis may hang, and apply it late.
	maxRounds = 10
)

// inDoubt is a deletion by a transaction whose outcome is unknown. It is not sent again, as other
// deletions are: if the transaction was not applied, there is no new secret, and the deletion would remove the only one.
//
// A caller that repeats the transaction may find nothing to do. [Monitor.Resolve] must run before it gets that answer.
type inDoubt struct {
	Entry
	rounds int // in which the fields were still there
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

// dropInDoubt drops those that were resolved, or given up.
func (l *redoLog) dropInDoubt(resolved []*inDoubt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inDoubt = slices.DeleteFunc(l.inDoubt, func(d *inDoubt) bool { return slices.Contains(resolved, d) })
}

// resolve finds out which of the in-doubt transactions were applied, and returns their deletions. A heartbeat gives up
// one whose fields are still there after maxRounds rounds.
func (m *Monitor) resolve(ctx context.Context, heartbeat bool) (applied []Entry, err error) {
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
	var resolved []*inDoubt
	for i, d := range all {
		switch there := d.isThere(reads[i].Val()); {
		case !there:
			applied = append(applied, d.Entry)
			resolved = append(resolved, d)
		case heartbeat && d.rounds >= maxRounds:
			resolved = append(resolved, d)
		case heartbeat:
			d.rounds++
		}
	}
	m.log.dropInDoubt(resolved)
	return applied, nil
}

// fieldsOf are the fields by which one sees whether the deletion was applied.
func (m *Monitor) fieldsOf(d *inDoubt) []string {
	if d.field != "" {
		return []string{m.ExistsField, d.field}
	}
	return d.fields
}

func (d *inDoubt) isThere(fields []any) bool {
	if d.field != "" {
		return d.holds(fields)
	}
	return slices.ContainsFunc(fields, func(field any) bool { return field != nil })
}
