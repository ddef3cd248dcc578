package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// pulseEvery is how soon a loss is noticed that came without a new connection, and how soon a store that takes no
	// writes is.
	pulseEvery = time.Second
	// gather is how long ends wait for others, to be written down by the same pulse.
	gather = 10 * time.Millisecond
	// pulseTimeout bounds a pulse, with all that is to be repeated.
	pulseTimeout = 5 * time.Second
	// repeatedAtOnce is how many ends one round trip repeats.
	repeatedAtOnce = 1_000
)

// run pulses until ctx ends, and takes the mark away then.
func (e *epoch) run(ctx context.Context) {
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	for {
		e.pulse(ctx)
		select {
		case <-tick.C:
		case <-e.wake:
			select {
			case <-time.After(gather):
			case <-ctx.Done():
			}
		case <-ctx.Done():
			e.leave(context.WithoutCancel(ctx))
			return
		}
	}
}

// pulse looks whether Redis has what it had, repeats what is not written down yet, and writes the mark behind it.
// It opens and shuts the gate. A Redis that does not answer changes nothing: its commands fail by themselves.
func (e *epoch) pulse(ctx context.Context) {
	e.pulsing.Lock()
	defer e.pulsing.Unlock()
	ctx, cancel := context.WithTimeout(passing(ctx), pulseTimeout)
	defer cancel()
	for again := true; again && ctx.Err() == nil; {
		var err error
		if again, err = e.beat(ctx); err != nil {
			e.failed(ctx, err)
			return
		}
	}
}

// beat is one round of a pulse: whether there must be another.
func (e *epoch) beat(ctx context.Context) (again bool, err error) {
	found, fence, err := e.look(ctx)
	if err != nil {
		return false, err
	}
	if fence > e.fence && e.gate.shut.Load() == shutBehind {
		e.forget(ctx)
	}
	e.fence = max(e.fence, fence)
	seen := e.sights()
	if len(seen) == 0 {
		e.begin(found)
		return true, nil
	}
	if e.lost(ctx, seen, found) {
		return e.gate.shut.Load() != shutBehind, nil
	}
	if e.gate.shut.Load() == shutBehind { // what was lost is back
		e.shut(shutToHeal)
		e.journal.reopen()
	}
	return e.write(ctx, seen)
}

// look reads what is there.
func (e *epoch) look(ctx context.Context) (found []sight, fence int64, err error) {
	text, err := e.rdb.Get(ctx, fenceKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, 0, err
	}
	fence, _ = strconv.ParseInt(text, 10, 64) // none is 0, and so is what no fence wrote
	for _, cmd := range e.ask(ctx, e.rdb) {
		s, err := readSight(cmd)
		if err != nil {
			return nil, 0, err
		}
		found = append(found, s)
	}
	return found, fence, nil
}

// begin takes what is there for what it should be: this replica has seen nothing else.
func (e *epoch) begin(found []sight) {
	for i := range found {
		found[i].written = false
	}
	e.journal.begin(e.now(), counts(found))
	e.saw(found)
}

func (e *epoch) forget(ctx context.Context) {
	e.log.InfoContext(ctx, "fenced: the store is taken as it is")
	e.saw(nil)
	e.shut(shutToLook)
}

// lost looks whether found is less than was seen. Then the gate is shut, and what the journal has is open again.
func (e *epoch) lost(ctx context.Context, seen, found []sight) bool {
	lost, heals := false, true
	pulses := int64(0)
	for i := range found {
		if !found[i].before(seen[i]) {
			continue
		}
		lost = true
		pulses = max(pulses, seen[i].mark-found[i].kept())
		heals = heals && found[i].line == seen[i].line && e.journal.reaches(i, found[i].kept())
	}
	switch {
	case !lost:
		return false
	case !heals:
		e.behind(ctx, pulses)
		return true
	}
	e.shut(shutToHeal)
	e.log.WarnContext(ctx, "the store has lost writes; the ends that this replica knows of are repeated", "pulses", pulses, "ends", e.journal.reopen())
	e.saw(found)
	return true
}

func (e *epoch) behind(ctx context.Context, pulses int64) {
	if was := e.gate.shut.Swap(shutBehind); was != shutBehind {
		e.log.ErrorContext(ctx, ErrBehind.Error(), "pulses", pulses)
	}
}

func (e *epoch) shut(why *shutError) { e.gate.shut.Store(why) }

// write repeats what is open, and writes the marks behind it.
func (e *epoch) write(ctx context.Context, seen []sight) (again bool, err error) {
	ends := e.journal.next(repeatedAtOnce)
	repeats, marks := make([]repeat, len(ends)), make([]marking, len(e.keys))
	_, _ = e.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
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
		if e.gate.shut.Load() == shutBehind {
			e.distrust(seen, found)
			return false, nil
		}
		return true, nil
	}
	e.saw(next)
	return e.settle(ctx, repeats, next, fails)
}

// distrust has no mark believed that was just written to a store which had lost the one before: only a fence helps.
func (e *epoch) distrust(seen, found []sight) {
	for i := range seen {
		if found[i].before(seen[i]) {
			seen[i].mark = never
		}
	}
	e.saw(seen)
}

// settle tells the journal what is written down, and opens the gate when all is.
func (e *epoch) settle(ctx context.Context, repeats []repeat, seen []sight, fails []error) (again bool, err error) {
	written, alive := make([]bool, len(repeats)), false
	for i, r := range repeats {
		held, err := r.held()
		switch {
		case err != nil:
			fails = append(fails, err)
		case held:
			written[i] = fails[e.part(r.key())] == nil
		default:
			alive = true
			if err := e.repeat(ctx, r.ending); err != nil {
				fails = append(fails, err)
			}
		}
	}
	open := e.journal.settle(written)
	if err := errors.Join(fails...); err != nil {
		return false, err
	}
	if open > 0 {
		return alive || len(repeats) == repeatedAtOnce || e.gate.isShut(), nil
	}
	e.journal.turn(e.now(), counts(seen))
	e.gate.open(func(was error) { e.log.WarnContext(ctx, "the store is in use again", "after", was.Error()) })
	return false, nil
}

// failed shuts the gate if err says that this Redis takes no writes. It may have lost touch with the one that does,
// and not know what was ended there.
func (e *epoch) failed(ctx context.Context, err error) {
	if takesNoWrites(err) && e.gate.shut.Load() != shutBehind {
		e.shut(shutForWrites(err))
	}
	if text := err.Error(); text != e.told && redis.IsPermissionError(err) {
		e.told = text
		e.log.WarnContext(ctx, "this replica will not notice if the store loses writes", "error", err)
	}
}

// takesNoWrites is whether err is, or has in it, one by which a Redis says that it is not, or no longer, a primary with
// the replicas that it should have. For want of memory or of disk it refuses other writes, and is a primary.
func takesNoWrites(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(joined.Unwrap(), takesNoWrites)
	}
	return redis.IsReadOnlyError(err) || redis.IsMasterDownError(err) || redis.IsNoReplicasError(err)
}

// marking is a mark being written to one epoch.
type marking struct {
	found       *redis.SliceCmd
	count, mark *redis.IntCmd
}

func (e *epoch) newMarking(ctx context.Context, p redis.Pipeliner, key string, mark int64) (m marking) {
	p.HSetNX(ctx, key, lineField, newSign()+newSign())
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
