package rollback

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// What may be used once is recorded in Redis. A rollback loses such records, and nothing can replay them: whatever was
// created before must count as used. So a loss is a point in time, which all replicas share by these fields of an epoch key
// and this key:
const (
	lossField  = "lost" // the millisecond of the last loss that a replica noticed; 0: none yet
	usesPrefix = "u:"   // of each replica: how many records it has written
	aliveKey   = ":alive"
	// aliveTime is how long the key says that a replica watches Redis. It expires by the clock of Redis, so it has expired in
	// a backup that is restored.
	aliveTime = 5 * time.Second
	// clockAhead is by how much the clock of another replica may be ahead. A loss in a farther future is taken for one
	// that far ahead, so that one wrong clock does not stop all others.
	clockAhead = 30 * time.Second
)

// noLossField is the loss in an epoch key without the field: no version with replay records has served this data.
const noLossField = -1

// aliveKeyOf is in the slot of the epoch key.
func (m *Monitor) aliveKeyOf(key string) string {
	if len(m.keys) == 1 {
		return m.Key + aliveKey
	}
	return m.Key + aliveKey + ":{" + key + "}"
}

// Loss is the time before which Redis may have lost records; zero: it has lost none that counts.
func (m *Monitor) Loss() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loss == 0 {
		return time.Time{}
	}
	return time.UnixMilli(m.loss)
}

// lose notes that Redis may have lost all records until now. The next write tells the other replicas.
func (m *Monitor) lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now().UnixMilli()
	m.loss, m.shared = max(m.loss, now), max(now, m.shared+1)
}

// learnLoss takes over a loss that another replica has noticed.
func (m *Monitor) learnLoss(at int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at > m.shared {
		m.shared, m.loss = at, max(m.loss, m.notFarAhead(at))
	}
}

// learnFence takes a fence for a loss: what came back with the data that it accepts is older.
func (m *Monitor) learnFence(fence int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if fence > m.lastFence {
		m.lastFence, m.loss = fence, max(m.loss, m.notFarAhead(fence))
	}
}

func (m *Monitor) notFarAhead(at int64) int64 { return min(at, m.now().Add(clockAhead).UnixMilli()) }

// readLoss reads the loss of an epoch key.
func readLoss(field any) (int64, error) {
	at, there, err := readCounter(field)
	if !there {
		at = noLossField
	}
	return at, err
}

// writeLoss shares the loss, and says that a replica watches Redis. The next heartbeat repeats what fails: the errors do not
// matter to the breaker.
func (m *Monitor) writeLoss(ctx context.Context, p redis.Pipeliner, key string, seen observation) {
	m.mu.Lock()
	shared := m.shared
	m.mu.Unlock()
	switch {
	case shared > seen.loss:
		p.HSet(ctx, key, lossField, shared)
	case seen.loss == noLossField:
		p.HSetNX(ctx, key, lossField, 0)
	}
	p.Set(ctx, m.aliveKeyOf(key), "1", aliveTime)
}

// shareLoss shares a loss that the pipeline of a heartbeat has just shown. In quarantine no other round does that.
func (m *Monitor) shareLoss(ctx context.Context, found []observation) {
	_, _ = m.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range m.keys {
			m.writeLoss(ctx, p, key, found[i])
		}
		return nil
	})
}

// noticeAbsence looks, before the first observation, for a loss that no replica has noticed. If no replica has watched Redis
// for some seconds, the data may be a backup that was restored meanwhile: intact data looks the same. Data without the field
// is new, or only versions without replay records have served it: it has lost none.
func (m *Monitor) noticeAbsence(ctx context.Context, found []observation) error {
	alive := make([]*redis.IntCmd, len(m.keys))
	if _, err := m.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range m.keys {
			alive[i] = p.Exists(ctx, m.aliveKeyOf(key))
		}
		return nil
	}); err != nil {
		return err
	}
	served, fresh := 0, true
	for i, o := range found {
		m.learnLoss(o.loss)
		if o.loss != noLossField {
			served++
			fresh = fresh && alive[i].Val() > 0
		}
	}
	if served > 0 && (served < len(found) || !fresh) {
		m.lose()
		m.logger.WarnContext(ctx, "no replica was connected to Redis before this one; an older backup may have been restored: assertions are rejected for half a minute")
	}
	return nil
}

// errNotStarted: no heartbeat has been successful yet.
var errNotStarted = fmt.Errorf("%w: it is not known yet whether Redis has lost anything", redisdb.ErrUnavailable)

// startTime is how long a request waits for the first heartbeat of Run.
const startTime = 500 * time.Millisecond

// awaitStart waits for the first heartbeat. A process that does not Run sends it now.
func (m *Monitor) awaitStart(ctx context.Context) error {
	if m.isStarted() {
		return nil
	}
	if !m.runs.Load() {
		m.starting.Lock()
		defer m.starting.Unlock()
		if !m.isStarted() {
			m.Heartbeat(ctx)
		}
	} else if !m.tried.Load() {
		select {
		case <-m.hasStarted:
		case <-time.After(startTime):
		case <-ctx.Done():
		}
	}
	if !m.isStarted() {
		return errNotStarted
	}
	return nil
}

func (m *Monitor) isStarted() bool {
	select {
	case <-m.hasStarted:
		return true
	default:
		return false
	}
}

// Use is a record of something that may be used once, which is being written.
type Use struct {
	// Count travels behind the record on the same connection. In a cluster, it goes to the shard that has most keys of the same slots.
	Count *redis.IntCmd

	m      *Monitor
	part   int
	before int64
}

// NewUse begins to write a record under this key. The error says that it is not known whether Redis has lost data.
func (m *Monitor) NewUse(ctx context.Context, key string) (Use, error) {
	if t := m.breaker.current.Load(); t != nil {
		return Use{}, redisdb.Unsent(t)
	}
	if err := m.awaitStart(ctx); err != nil {
		return Use{}, err
	}
	part := m.part(key)
	m.mu.Lock()
	defer m.mu.Unlock()
	return Use{
		Count: redis.NewIntCmd(ctx, m.countings[part]...),
		m:     m, part: part, before: m.uses[part],
	}, nil
}

// Counted reads the answer to Count. A count that is not higher than one that was answered before shows that Redis has lost
// records, even if no watermark is lost: between two heartbeats.
func (u Use) Counted() error {
	n, err := u.Count.Result()
	if err != nil {
		return redisdb.Unavailable("count the use", err)
	}
	m := u.m
	m.mu.Lock()
	lost := n <= u.before
	if lost {
		m.uses[u.part] = n
	} else {
		m.uses[u.part] = max(m.uses[u.part], n)
	}
	m.mu.Unlock()
	if lost {
		m.lose()
		m.hurry()
		return errLostUses
	}
	return nil
}

var errLostUses = errors.Join(redisdb.ErrUnavailable, errors.New("records of what was used once are missing in Redis"))
