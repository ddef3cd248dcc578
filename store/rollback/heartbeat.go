package rollback

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

const (
	// interval is the time between two heartbeats. A loss without a new connection is noticed within it, and so is a
	// store that takes no writes.
	interval = time.Second
	// trippedInterval is the same while the breaker is neither closed nor quarantined.
	trippedInterval = 200 * time.Millisecond
	// gatherTime is how long deletions wait for others, to be covered by the same heartbeat.
	gatherTime = 10 * time.Millisecond
	// heartbeatTimeout bounds a heartbeat, with all that is to be sent again.
	heartbeatTimeout = 5 * time.Second
	// sentAtOnce is how many entries one round sends again.
	sentAtOnce = 1_000
)

// Run sends heartbeats until ctx is done, and removes the watermark then.
func (m *Monitor) Run(ctx context.Context) {
	m.runs.Store(true)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		m.Heartbeat(ctx)
		tick.Reset(m.pace())
		select {
		case <-tick.C:
		case <-m.wake:
			select {
			case <-time.After(gatherTime):
			case <-ctx.Done():
			}
		case <-ctx.Done():
			m.leave(context.WithoutCancel(ctx))
			return
		}
	}
}

func (m *Monitor) pace() time.Duration {
	switch m.State() {
	case Closed, Quarantined:
		return interval
	}
	return trippedInterval
}

// Heartbeat checks whether Redis has what it had, sends again what is pending, and writes the watermark behind it. It
// trips and closes the breaker. A Redis that does not answer trips it only while an acknowledged deletion is pending: that
// deletion may be lost. Otherwise the breaker stays as it is, and each command of a request gets an error of its own.
func (m *Monitor) Heartbeat(ctx context.Context) {
	m.heartbeats.Lock()
	defer m.heartbeats.Unlock()
	defer m.tried.Store(true)
	ctx, cancel := context.WithTimeout(bypass(ctx), heartbeatTimeout)
	defer cancel()
	m.round = round{}
	// An earlier watermark that arrives after this one looks like a rollback. In a cluster a shard may be silent and keep
	// its own connections unsettled; the heartbeat goes on for the others.
	if err := m.db.Settle(ctx); err != nil && !m.db.IsCluster() {
		m.tripIfUncovered(ctx, func(int) error { return err })
		m.heartbeatFailed(ctx, err)
		return
	}
	for again := true; again && ctx.Err() == nil; {
		var err error
		if again, err = m.heartbeatRound(ctx); err != nil {
			m.heartbeatFailed(ctx, err)
			return
		}
	}
}

// heartbeatRound is one round of a heartbeat: whether there must be another.
func (m *Monitor) heartbeatRound(ctx context.Context) (again bool, err error) {
	seen := m.observations()
	found, fence, errs := m.read(ctx, seen)
	// Before the first observation, and in quarantine, every epoch key must be readable.
	if n := len(errs); n == len(m.keys) || n > 0 && (len(seen) == 0 || m.IsQuarantined()) {
		err := errors.Join(errs...)
		m.tripIfUncovered(ctx, func(int) error { return err })
		return false, err
	}
	switch {
	case len(seen) == 0:
		if !m.absenceChecked {
			if err := m.noticeAbsence(ctx, found); err != nil {
				return false, err
			}
			m.absenceChecked = true
		}
		m.learnFence(fence)
		m.begin(found)
		m.fence = fence
		return true, nil
	case m.noticeRollback(ctx, seen, found):
		// Only a fence that is newer than the loss counts. The store may have had an older one while nothing was lost.
		if m.IsQuarantined() && fence > m.fence {
			m.acceptFence(ctx)
		}
		return !m.IsQuarantined(), nil
	}
	if len(errs) == 0 {
		m.fence = max(m.fence, fence)
	}
	m.learnFence(fence)
	for i := range found {
		m.learnLoss(found[i].loss)
		seen[i].loss = found[i].loss
	}
	if m.IsQuarantined() { // what was lost is back
		m.breaker.trip(replaying)
		m.replayAll()
	}
	return m.write(ctx, seen)
}

// read reads the fence and the epoch keys. For a part of a cluster that does not answer it returns what was seen, so that
// deletions in the other parts are covered.
func (m *Monitor) read(ctx context.Context, seen []observation) (found []observation, fence int64, errs []error) {
	text, err := m.client.Get(ctx, m.FenceKey).Result()
	if redisdb.Failure(err) != nil && !m.db.IsCluster() {
		return nil, 0, []error{err}
	}
	fence, _ = strconv.ParseInt(text, 10, 64) // none is 0, and so is what no fence wrote
	found = make([]observation, len(m.keys))
	for i, cmd := range m.observe(ctx, m.client) {
		if found[i], err = readObservation(cmd); err != nil {
			errs = append(errs, err)
			if len(seen) > 0 {
				found[i] = seen[i]
			}
		}
	}
	return found, fence, errs
}

// begin accepts the store as it is: at the first heartbeat, and after a fence.
func (m *Monitor) begin(found []observation) {
	for i := range found {
		found[i].written = false
	}
	m.log.begin(m.now(), counters(found))
	m.round = round{}
	m.acceptObservations(found)
}

// acceptFence makes the next round accept a store that was fenced. The redo log is replayed before the breaker closes: a
// revocation that is newer than the export of the audit log is known to this replica alone.
func (m *Monitor) acceptFence(ctx context.Context) {
	m.logger.InfoContext(ctx, "mintkeep fence was run; the data in Redis is accepted")
	m.setObservations(nil)
	m.breaker.trip(checking)
}

// noticeRollback is whether found is less than was seen. Then it trips the breaker and closes the connections. If the
// redo log reaches back, all its entries are pending again, and found is the observation. If not, the replica is
// quarantined, and the observation stays.
func (m *Monitor) noticeRollback(ctx context.Context, seen, found []observation) bool {
	lost, replayable := false, true
	heartbeats := int64(0)
	for i := range found {
		if !found[i].isBefore(seen[i]) {
			continue
		}
		lost = true
		heartbeats = max(heartbeats, seen[i].watermark-found[i].kept())
		replayable = replayable && found[i].lineage == seen[i].lineage && m.log.reaches(i, found[i].kept())
	}
	if !lost {
		return false
	}
	if !m.IsQuarantined() {
		if m.OnLoss != nil {
			m.OnLoss()
		}
		m.lose()
		m.db.CloseConnections() // some may lead to another Redis than the one that was read
	}
	if !replayable {
		m.quarantine(ctx, heartbeats)
		return true
	}
	m.breaker.trip(replaying)
	m.logger.WarnContext(ctx, "Redis has lost writes; replaying the revocations that this replica remembers",
		"heartbeats", heartbeats, "deletions", m.replayAll())
	m.acceptObservations(found)
	return true
}

// replayAll makes everything pending that is remembered, and says how much that is. The heartbeat begins with the first.
func (m *Monitor) replayAll() int {
	m.round = round{}
	return m.log.replayAll()
}

func (m *Monitor) quarantine(ctx context.Context, heartbeats int64) {
	if !m.IsQuarantined() {
		m.logger.ErrorContext(ctx, ErrQuarantined.Error(), "heartbeats", heartbeats)
	}
	m.breaker.trip(quarantined)
}
