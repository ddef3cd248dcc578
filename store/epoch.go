package store

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// parts is in how many parts a cluster can lose writes by itself, as far as is looked at: each has an epoch of its own,
// in another sixteenth of the slots, so that a shard with that many in a row has one.
const parts = 16

// The fields of an epoch. Beside them each replica has one, its mark.
const (
	lineField  = "line" // drawn by whoever found none
	countField = "n"    // of pulses, of all replicas
	markPrefix = "r:"
)

// fenceKey is the millisecond of the last fence, and more than any before.
const fenceKey = "mk:fence"

// epoch finds out when the Redis that is there is older than the one that was: a failover lost writes, an old backup
// was restored, it was emptied. Redis has a count of pulses, and from each replica, once a second, the count that it
// had seen before, its mark. What Redis keeps, it keeps in the order of writing: a mark that is there says that all
// before it is.
//
// A mark that is lower than it was, or gone, or on another line, shuts the gate. If the journal reaches back to where
// the loss began, what it has is repeated, and the gate opens again. Otherwise it stays shut until a fence, or until
// what was lost is back.
//
// An end with no mark behind it yet may be lost without a mark. So the gate is shut as well when a pulse gets no answer
// while there are such ends, until they are written down.
type epoch struct {
	rdb     redis.UniversalClient
	log     *slog.Logger
	now     func() time.Time
	cluster bool
	keys    []string
	mark    string // this replica's field

	gate    gate
	lines   lines // none of a cluster, which has an address for each server
	journal journal
	wake    chan struct{} // there is something to write down, or to look at

	full atomic.Bool // Redis has no memory for a mark

	pulsing sync.Mutex // guards what only a pulse touches:
	round   round
	fence   int64  // of the store, when it had last lost nothing
	told    string // in the log

	mu   sync.Mutex
	seen []sight // of each key; none before the first pulse
}

// sight is what this replica knows to be in one epoch.
type sight struct {
	line    string
	count   int64
	mark    int64
	written bool // the mark is
}

func newEpoch(log *slog.Logger, now func() time.Time) *epoch {
	return &epoch{log: log, now: now, mark: markPrefix + newSign() + newSign(), wake: make(chan struct{}, 1)}
}

// guard puts the gate before everything that goes through rdb. A cluster's client does a transaction by that of a node.
func (e *epoch) guard(rdb redis.UniversalClient) {
	e.rdb, e.keys = rdb, []string{"mk:epoch"}
	rdb.AddHook(&e.gate)
	if nodes, ok := rdb.(*redis.ClusterClient); ok {
		e.cluster, e.keys = true, epochKeys()
		nodes.OnNewNode(func(node *redis.Client) { node.AddHook(&e.gate) })
		return
	}
	rdb.AddHook(&e.lines)
}

// epochKeys are names that lie in one sixteenth of the slots each.
func epochKeys() []string {
	keys := make([]string, parts)
	for part := range keys {
		for i := 0; keys[part] == ""; i++ {
			if key := fmt.Sprintf("mk:epoch:%d:%d", part, i); Slot(key)/(slots/parts) == part {
				keys[part] = key
			}
		}
	}
	return keys
}

// part is where the loss of a key would be seen.
func (e *epoch) part(key string) int {
	if !e.cluster {
		return 0
	}
	return Slot(key) / (slots / parts)
}

// note remembers ends that were carried out. Where there is no room for them they are not confirmed: Redis may lose them,
// and nobody would know.
func (s *Store) note(err error, ends ...ending) error {
	if s.epoch == nil {
		return err
	}
	noted, room := s.epoch.journal.note(ends...)
	if noted && !s.epoch.full.Load() { // which would take no mark
		s.epoch.hurry()
	}
	if !room && err == nil {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, errNoRoom)
	}
	return err
}

// noteUntold remembers ends of which it is not known whether they were carried out. They are, by the next pulse, unless
// what they end has begun anew.
func (s *Store) noteUntold(ends []ending) {
	var untold []ending
	for _, e := range ends {
		if !e.beside {
			e.untold = true
			untold = append(untold, e)
		}
	}
	_ = s.note(nil, untold...)
}

// noteChange does so for what a change has ended, unless err says that it was not made. If it may have been, that will
// be found out.
func (s *Store) noteChange(err error, ends ...ending) error {
	switch {
	case !failed(err):
		return s.note(err, ends...)
	case s.epoch != nil && uncertain(err):
		s.epoch.journal.addDoubts(ends)
	}
	return err
}

// noteEnabled has nobody disabled again who was enabled by this replica since, unless err says that they were not. on is
// the sign that was drawn for that.
func (s *Store) noteEnabled(err error, key, on string) {
	if s.epoch != nil && !failed(err) {
		s.epoch.journal.undo(key, onField, on)
	}
}

// hurry has the next pulse come at once.
func (e *epoch) hurry() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *epoch) sights() []sight {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.seen)
}

func (e *epoch) saw(seen []sight) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = seen
}

// connected looks at a Redis before the first command of a request goes there: whoever finds another one finds it by
// a new connection. Of one server, a connection that shows less than was seen is not used, nor one that does not tell.
func (e *epoch) connected(ctx context.Context, conn *redis.Conn) error {
	want := e.sights() // before it is asked: what was written then must be there
	if len(want) == 0 || passes(ctx) {
		return nil
	}
	cmds := e.ask(passing(ctx), conn)
	for i, cmd := range cmds {
		switch found, err := readSight(cmd); {
		case err != nil && (e.cluster || cannotTell(err)):
		case err != nil:
			return err
		case found.before(want[i]):
			e.gate.shut.CompareAndSwap(nil, shutToLook)
			e.hurry()
			if !e.cluster {
				return shutToLook
			}
		}
	}
	if e.journal.opens() { // this may be another Redis, which has them not, and the mark before them
		e.hurry()
	}
	return nil
}

// cannotTell is whether a server has no epoch to show: a Sentinel, or one that is not permitted to.
func cannotTell(err error) bool {
	return redis.IsPermissionError(err) || strings.HasPrefix(err.Error(), "ERR unknown command")
}

// ask sends for all epochs. Each command has its own error.
func (e *epoch) ask(ctx context.Context, c redis.Cmdable) []*redis.SliceCmd {
	cmds := make([]*redis.SliceCmd, len(e.keys))
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range e.keys {
			cmds[i] = p.HMGet(ctx, key, lineField, countField, e.mark)
		}
		return nil
	})
	return cmds
}

func readSight(cmd *redis.SliceCmd) (s sight, err error) {
	fields, err := cmd.Result()
	if err != nil {
		return s, err
	}
	if len(fields) != 3 {
		return s, errDamaged
	}
	s.line, _ = fields[0].(string)
	if s.count, _, err = readCount(fields[1]); err != nil {
		return s, err
	}
	s.mark, s.written, err = readCount(fields[2])
	return s, err
}

func readCount(field any) (n int64, there bool, err error) {
	text, there := field.(string)
	if !there {
		return 0, false, nil
	}
	if n, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, true, errDamaged
	}
	return n, true, nil
}

// before is whether a Redis that shows s has lost something since it was seen.
func (s sight) before(seen sight) bool {
	if !seen.written {
		return false
	}
	return s.line != seen.line || !s.written || s.mark < seen.mark
}

// kept is a count that Redis had when the loss began, or a lower one. A mark that is gone was not there yet: what the
// others have counted since is then too much by the few pulses that they were faster.
func (s sight) kept() int64 {
	if s.written {
		return s.mark
	}
	return s.count
}
