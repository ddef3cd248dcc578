package rollback

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// write sends again what is pending, and writes the watermarks behind it. It begins with a write: if the first answer
// of a pipeline is READONLY, the client closes the connection, which may lead to a former primary.
func (m *Monitor) write(ctx context.Context, seen []observation) (again bool, err error) {
	entries := m.log.next(m.round.from, sentAtOnce)
	replays, writes := make([]replay, len(entries)), make([]watermarkWrite, len(m.keys))
	toAnnounce := m.newAnnouncement(ctx, entries)
	_, _ = m.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range m.keys {
			p.HSetNX(ctx, key, lineageField, randomID())
		}
		for i, e := range entries {
			replays[i] = m.newReplay(ctx, p, e)
		}
		if !m.db.IsCluster() {
			toAnnounce.send(ctx, p)
		}
		for i, key := range m.keys {
			writes[i] = m.newWatermarkWrite(ctx, p, key, seen[i].counter)
			m.writeLoss(ctx, p, key, seen[i])
		}
		return nil
	})
	if m.db.IsCluster() { // where the commands of one pipeline go to several servers, in no order
		_, _ = m.client.Pipelined(ctx, func(p redis.Pipeliner) error { toAnnounce.send(ctx, p); return nil })
	}
	m.announced(ctx, toAnnounce)
	found, next, errs := slices.Clone(seen), slices.Clone(seen), make([]error, len(writes))
	for i, w := range writes {
		if found[i], errs[i] = readObservation(w.found); errs[i] != nil {
			found[i] = seen[i]
		} else if next[i], errs[i] = w.observation(seen[i], found[i]); errs[i] != nil {
			next[i] = seen[i]
		}
	}
	if m.noticeRollback(ctx, seen, found) { // since it was read
		if m.IsQuarantined() {
			m.disown(seen, found)
			return false, nil
		}
		return true, nil
	}
	m.setObservations(next)
	if errors.Join(errs...) == nil {
		m.startOnce.Do(func() { close(m.hasStarted) })
	}
	if applied, err := m.resolve(ctx, true); err == nil {
		m.log.note(applied...)
	}
	return m.settle(ctx, replays, next, errs)
}

// noLineage is a lineage id that no data set has.
const noLineage = "none"

// disown is for a rollback that was found in the pipeline which has just overwritten the watermark. This replica trusts
// neither that watermark nor any later one: only a fence helps.
func (m *Monitor) disown(seen, found []observation) {
	for i := range seen {
		if found[i].isBefore(seen[i]) {
			seen[i].lineage = noLineage
		}
	}
	m.setObservations(seen)
}

// settle marks in the redo log what is covered, and closes the breaker when all is. While Redis is out of memory it takes
// no watermark, but it applies deletions: then all that is pending is sent in each heartbeat. The breaker closes when
// none of it was undone.
//
// errs are the errors of the watermarks, a nil or an error for each part.
func (m *Monitor) settle(ctx context.Context, replays []replay, seen []observation, errs []error) (again bool, err error) {
	covered := make([]bool, len(replays))
	ofKeys := slices.Clone(errs)
	for i, r := range replays {
		gone, err := r.gone()
		switch {
		case err != nil:
			errs = append(errs, err)
		case gone:
			covered[i] = errs[m.part(r.key)] == nil
		default:
			m.round.undone = true
			if err := m.deleteAgain(ctx, r.Deletion); err != nil {
				errs = append(errs, err)
			}
		}
	}
	pending := m.log.settle(m.round.from, covered)
	m.round.from += len(covered) - count(covered)
	err = errors.Join(errs...)
	full := err != nil && !anyOf(err, func(err error) bool { return !redis.IsOOMError(err) })
	m.outOfMemory.Store(full)
	switch {
	case err != nil && !full:
		m.tripIfUncovered(ctx, func(part int) error { return ofKeys[part] })
		return false, err
	case full && len(replays) == sentAtOnce: // there may be more
		return true, nil
	case full && m.round.undone, !full && pending > 0:
		again = m.round.undone || len(replays) == sentAtOnce || m.State() != Closed
		m.round = round{}
		return again, nil
	case !full:
		m.log.startSegment(m.now(), counters(seen))
	}
	m.breaker.close(func(was error) { m.logger.WarnContext(ctx, "Redis is in use again", "after", was.Error()) })
	return false, err
}

// round is how far a heartbeat has come with what is pending.
type round struct {
	from   int  // so many of the first were sent again, and are not covered
	undone bool // the condition of one of them still held: its deletion was not in Redis
}

func count(all []bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

// watermarkWrite is the write of a watermark to one epoch key, by two writes: the counter advances by one, and the
// watermark becomes the counter that this replica saw before. A pipeline cannot use an answer to one of its own
// commands, so that the watermark is one heartbeat behind the counter.
type watermarkWrite struct {
	found            *redis.SliceCmd
	counter, written *redis.IntCmd
}

func (m *Monitor) newWatermarkWrite(ctx context.Context, p redis.Pipeliner, key string, counter int64) (w watermarkWrite) {
	w.found = p.HMGet(ctx, key, m.fields()...)
	w.counter = p.HIncrBy(ctx, key, counterField, 1)
	w.written = p.HSet(ctx, key, m.watermarkField, counter)
	return w
}

// observation is what the epoch key has once the watermark is written.
func (w watermarkWrite) observation(seen, found observation) (observation, error) {
	if err := errors.Join(w.counter.Err(), w.written.Err()); err != nil {
		return seen, err
	}
	return observation{lineage: found.lineage, counter: w.counter.Val(), watermark: seen.counter, written: true, loss: found.loss}, nil
}

// leaveTimeout bounds the removal of the watermark at the end of the process.
const leaveTimeout = time.Second

// leave removes the watermark of this replica, if the breaker is closed.
func (m *Monitor) leave(ctx context.Context) {
	m.heartbeats.Lock()
	defer m.heartbeats.Unlock()
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	m.setObservations(nil)
	_, _ = m.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range m.keys {
			p.HDel(ctx, key, m.watermarkField, m.usesField)
		}
		return nil
	})
}

// StaleHeartbeats is for how many heartbeats, of all replicas, a watermark is kept that its replica does not renew. To
// a replica that comes back later that is a rollback, and it replays its redo log.
const StaleHeartbeats = 100_000

// Sweep removes the watermarks of replicas that were killed.
func (m *Monitor) Sweep(ctx context.Context) error {
	for _, key := range m.keys {
		fields, err := m.client.HGetAll(ctx, key).Result()
		if err != nil {
			return redisdb.Unavailable("sweep watermarks", err)
		}
		counter, _ := strconv.ParseInt(fields[counterField], 10, 64)
		var stale []string
		for field, value := range fields {
			id, isWatermark := strings.CutPrefix(field, watermarkPrefix)
			if n, err := strconv.ParseInt(value, 10, 64); isWatermark && (err != nil || n < counter-StaleHeartbeats) {
				stale = append(stale, field, usesPrefix+id)
			}
		}
		if len(stale) == 0 {
			continue
		}
		if err := m.client.HDel(ctx, key, stale...).Err(); err != nil {
			return redisdb.Unavailable("sweep watermarks", err)
		}
	}
	return nil
}
