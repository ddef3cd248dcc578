package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// write repeats what is open, and writes the marks behind it. It begins with a write: if the first answer of a pipeline
// is READONLY, the client drops the connection, which may lead to what was the primary.
func (e *epoch) write(ctx context.Context, seen []sight) (again bool, err error) {
	ends := e.journal.next(e.round.from, repeatedAtOnce)
	repeats, marks := make([]repeat, len(ends)), make([]marking, len(e.keys))
	_, _ = e.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range e.keys {
			p.HSetNX(ctx, key, lineField, newSign()+newSign())
		}
		for i, end := range ends {
			repeats[i] = newRepeat(ctx, p, end)
		}
		for i, key := range e.keys {
			marks[i] = e.newMarking(ctx, p, key, seen[i].count)
		}
		return nil
	})
	found, next, fails := slices.Clone(seen), slices.Clone(seen), make([]error, len(marks))
	for i, m := range marks {
		if found[i], fails[i] = readSight(m.found); fails[i] != nil {
			found[i] = seen[i]
		} else if next[i], fails[i] = m.sight(seen[i], found[i]); fails[i] != nil {
			next[i] = seen[i]
		}
	}
	if e.lost(ctx, seen, found) { // since it was looked at
		if e.isBehind() {
			e.distrust(seen, found)
			return false, nil
		}
		return true, nil
	}
	e.saw(next)
	if ends, err := e.decide(ctx, true); err == nil {
		e.journal.note(ends...)
	}
	return e.settle(ctx, repeats, next, fails)
}

// noLine is one that nobody draws.
const noLine = "none"

// distrust has no mark believed that was just written to a store which had lost the one before, nor anything that
// follows from it: only a fence helps.
func (e *epoch) distrust(seen, found []sight) {
	for i := range seen {
		if found[i].before(seen[i]) {
			seen[i].line = noLine
		}
	}
	e.saw(seen)
}

// settle tells the journal what is written down, and opens the gate when all is. While Redis is out of memory it takes no
// mark, but it carries ends out: then all are repeated in each pulse, and that is what opens the gate.
func (e *epoch) settle(ctx context.Context, repeats []repeat, seen []sight, fails []error) (again bool, err error) {
	written := make([]bool, len(repeats))
	parts := slices.Clone(fails)
	for i, r := range repeats {
		held, err := r.held()
		switch {
		case err != nil:
			fails = append(fails, err)
		case held:
			written[i] = fails[e.part(r.key())] == nil
		default:
			e.round.revived = true
			if err := e.repeat(ctx, r.ending); err != nil {
				fails = append(fails, err)
			}
		}
	}
	open := e.journal.settle(e.round.from, written)
	e.round.from += len(written) - count(written)
	err = errors.Join(fails...)
	full := err != nil && !oneOf(err, func(err error) bool { return !redis.IsOOMError(err) })
	e.full.Store(full)
	switch {
	case err != nil && !full:
		e.doubt(ctx, func(part int) error { return parts[part] })
		return false, err
	case full && len(repeats) == repeatedAtOnce: // there may be more
		return true, nil
	case full && e.round.revived, !full && open > 0:
		again = e.round.revived || len(repeats) == repeatedAtOnce || e.gate.isShut()
		e.round = round{}
		return again, nil
	case !full:
		e.journal.turn(e.now(), counts(seen))
	}
	e.gate.open(func(was error) { e.log.WarnContext(ctx, "the store is in use again", "after", was.Error()) })
	return false, err
}

// round is how far a pulse has come with what is open.
type round struct {
	from    int  // so many of the first were repeated, and are not written down
	revived bool // one of them was there again
}

func count(all []bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

// marking is a mark being written to one epoch.
type marking struct {
	found       *redis.SliceCmd
	count, mark *redis.IntCmd
}

func (e *epoch) newMarking(ctx context.Context, p redis.Pipeliner, key string, mark int64) (m marking) {
	m.found = p.HMGet(ctx, key, lineField, countField, e.mark)
	m.count = p.HIncrBy(ctx, key, countField, 1)
	m.mark = p.HSet(ctx, key, e.mark, mark)
	return m
}

// sight is what is there when the mark is written.
func (m marking) sight(seen, found sight) (sight, error) {
	if err := errors.Join(m.count.Err(), m.mark.Err()); err != nil {
		return seen, err
	}
	return sight{line: found.line, count: m.count.Val(), mark: seen.count, written: true}, nil
}

func counts(seen []sight) []int64 {
	counts := make([]int64, len(seen))
	for i, s := range seen {
		counts[i] = s.count
	}
	return counts
}

// leave takes the mark of a replica that ends away.
func (e *epoch) leave(ctx context.Context) {
	e.pulsing.Lock()
	defer e.pulsing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, behindTimeout)
	defer cancel()
	e.saw(nil)
	_, _ = e.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range e.keys {
			p.HDel(ctx, key, e.mark)
		}
		return nil
	})
}

// staleAfter is how many pulses, of all replicas, a mark is kept that its replica does not renew. Should it come
// back, the count will do.
const staleAfter = 100_000

// sweep takes away the marks of replicas that did not end by themselves.
func (e *epoch) sweep(ctx context.Context) error {
	for _, key := range e.keys {
		fields, err := e.rdb.HGetAll(ctx, key).Result()
		if err != nil {
			return unavailable("sweep marks", err)
		}
		count, _ := strconv.ParseInt(fields[countField], 10, 64)
		var stale []string
		for field, value := range fields {
			if mark, err := strconv.ParseInt(value, 10, 64); strings.HasPrefix(field, markPrefix) && (err != nil || mark < count-staleAfter) {
				stale = append(stale, field)
			}
		}
		if len(stale) == 0 {
			continue
		}
		if err := e.rdb.HDel(ctx, key, stale...).Err(); err != nil {
			return unavailable("sweep marks", err)
		}
	}
	return nil
}
