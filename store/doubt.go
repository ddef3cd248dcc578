package store

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
)

const (
	// mostDoubts is how many ends by changes of unknown outcome are kept in mind.
	mostDoubts = 1024
	// looksAtDoubt is in how many pulses what such a change would have ended must be there for the change not to have been
	// made. It may be late, behind a Redis that hangs.
	looksAtDoubt = 10
)

// doubtful is an end by a change of which nobody knows whether it was made. It cannot be carried out to be sure, as an
// end can: without what the change makes, it may take away the only secret.
//
// Whoever repeats the change may find nothing to do, and is told that it is so. Before that it is found out.
type doubtful struct {
	ending
	looks int
}

// uncertain is whether what ended in err may have been carried out.
func uncertain(err error) bool {
	return errors.Is(err, ErrUnavailable) && !unsent(err) && Refusal(err) == ""
}

func (j *journal) addDoubts(ends []ending) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range ends {
		if e.args[0] == "hdel" && (e.sign == "" || e.was != "") {
			j.doubts = append(j.doubts, &doubtful{ending: e})
		}
	}
	j.doubts = j.doubts[max(0, len(j.doubts)-mostDoubts):]
}

func (j *journal) doubted() []*doubtful {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.doubts)
}

func (j *journal) dispel(known []*doubtful) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.doubts = slices.DeleteFunc(j.doubts, func(d *doubtful) bool { return slices.Contains(known, d) })
}

// known says that this replica knows of every end that it was the first to carry out: for whoever is about to be told that
// what they ask for is so already.
func (s *Store) known(ctx context.Context, op string) error {
	if s.epoch != nil && s.epoch.journal.isFull() {
		return unavailable(op, errNoRoom)
	}
	return s.decide(ctx, op)
}

// decide finds out which of the changes of unknown outcome were made, and remembers what ended by them.
func (s *Store) decide(ctx context.Context, op string) error {
	if s.epoch == nil {
		return nil
	}
	ends, err := s.epoch.decide(ctx, false)
	if err != nil {
		return unavailable(op, err)
	}
	return s.note(nil, ends...)
}

// decide returns the ends of those that were made. A pulse gives up those that were not.
func (e *epoch) decide(ctx context.Context, pulse bool) (ends []ending, err error) {
	doubts := e.journal.doubted()
	if len(doubts) == 0 {
		return nil, nil
	}
	looks := make([]*redis.SliceCmd, len(doubts))
	if _, err := e.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, d := range doubts {
			looks[i] = p.HMGet(ctx, d.key(), d.fields()...)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var known []*doubtful
	for i, d := range doubts {
		switch there := d.there(looks[i].Val()); {
		case !there:
			ends = append(ends, d.ending)
			known = append(known, d)
		case pulse && d.looks >= looksAtDoubt:
			known = append(known, d)
		case pulse:
			d.looks++
		}
	}
	e.journal.dispel(known)
	return ends, nil
}

// fields are those by which one sees whether it was carried out.
func (d *doubtful) fields() (fields []string) {
	if d.sign != "" {
		return []string{metaField, d.sign}
	}
	for _, field := range d.args[2:] {
		fields = append(fields, field.(string))
	}
	return fields
}

func (d *doubtful) there(fields []any) bool {
	if d.sign != "" {
		return d.alive(fields)
	}
	return slices.ContainsFunc(fields, func(field any) bool { return field != nil })
}
