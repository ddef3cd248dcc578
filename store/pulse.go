package store

import (
	"context"
	"errors"
	"strconv"
	"time"
)

const (
	// pulseEvery is how soon a loss is noticed that came without a new connection, and how soon a store that takes no
	// writes is.
	pulseEvery = time.Second
	// pulseSoon is the same while the gate is shut.
	pulseSoon = 200 * time.Millisecond
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
		tick.Reset(e.pace())
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

func (e *epoch) pace() time.Duration {
	if e.gate.isShut() && !e.isBehind() {
		return pulseSoon
	}
	return pulseEvery
}

// pulse looks whether Redis has what it had, repeats what is not written down yet, and writes the mark behind it.
// It opens and shuts the gate. A Redis that does not answer changes nothing, unless it may lose an end by that: its
// commands fail by themselves.
func (e *epoch) pulse(ctx context.Context) {
	e.pulsing.Lock()
	defer e.pulsing.Unlock()
	ctx, cancel := context.WithTimeout(passing(ctx), pulseTimeout)
	defer cancel()
	e.round = round{}
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
	seen := e.sights()
	found, fence, fails := e.look(ctx, seen)
	// Where there is nothing to go on from, all must answer.
	if n := len(fails); n == len(e.keys) || n > 0 && (len(seen) == 0 || e.isBehind()) {
		err := errors.Join(fails...)
		e.doubt(ctx, func(int) error { return err })
		return false, err
	}
	switch {
	case len(seen) == 0:
		e.begin(found)
		e.fence = fence
		return true, nil
	case e.lost(ctx, seen, found):
		// The fence may have come before this replica has looked. One that the store had while nothing was lost says nothing.
		if e.isBehind() && fence > e.fence {
			e.forget(ctx)
		}
		return !e.isBehind(), nil
	}
	if len(fails) == 0 {
		e.fence = max(e.fence, fence)
	}
	if e.isBehind() { // what was lost is back
		e.shut(shutToHeal)
		e.journal.reopen()
	}
	return e.write(ctx, seen)
}

// look reads what is there. A part of a cluster that does not answer is taken to be as it was seen, so that what was
// ended in the others is written down.
func (e *epoch) look(ctx context.Context, seen []sight) (found []sight, fence int64, fails []error) {
	text, err := e.rdb.Get(ctx, fenceKey).Result()
	if failure(err) != nil && !e.cluster {
		return nil, 0, []error{err}
	}
	fence, _ = strconv.ParseInt(text, 10, 64) // none is 0, and so is what no fence wrote
	found = make([]sight, len(e.keys))
	for i, cmd := range e.ask(ctx, e.rdb) {
		if found[i], err = readSight(cmd); err != nil {
			fails = append(fails, err)
			if len(seen) > 0 {
				found[i] = seen[i]
			}
		}
	}
	return found, fence, fails
}

// begin takes what is there for what it should be: this replica has seen nothing else.
func (e *epoch) begin(found []sight) {
	for i := range found {
		found[i].written = false
	}
	e.journal.begin(e.now(), counts(found))
	e.saw(found)
}

// forget takes a store that was fenced as it is. What this replica has ended is ended in it before the gate opens: an
// end that is newer than the audit export is known here alone.
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
	if !lost {
		return false
	}
	if !e.isBehind() {
		e.lines.hangUp() // not all of them need lead to where this was seen
	}
	if !heals {
		e.behind(ctx, pulses)
		return true
	}
	e.shut(shutToHeal)
	e.log.WarnContext(ctx, "the store has lost writes; the ends that this replica knows of are repeated", "pulses", pulses, "ends", e.journal.reopen())
	e.saw(found)
	return true
}

func (e *epoch) isBehind() bool { return e.gate.shut.Load() == shutBehind }

func (e *epoch) behind(ctx context.Context, pulses int64) {
	if was := e.gate.shut.Swap(shutBehind); was != shutBehind {
		e.log.ErrorContext(ctx, ErrBehind.Error(), "pulses", pulses)
	}
}

func (e *epoch) shut(why *shutError) { e.gate.shut.Store(why) }
