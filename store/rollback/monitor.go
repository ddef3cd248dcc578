package rollback

import (
	"context"
	"fmt"
	"log/slog"
	rng "math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// parts is into how many parts the slots of a cluster are divided. Each has an epoch key, at a slot given by the name
// of the key: between two of them are up to 1,842 slots. A shard with more slots in a row has one.
const parts = 16

// The fields of an epoch key. Each replica has one more there, its watermark.
const (
	lineageField    = "line" // a random id of this data set, written once
	counterField    = "n"    // of the heartbeats of all replicas
	watermarkPrefix = "r:"
)

// Options for New. Key, FenceKey and ExistsField are required.
type Options struct {
	// Key is the epoch key, and in a cluster the prefix of one for each part.
	Key string
	// FenceKey has the millisecond of the last fence, which is higher than any before.
	FenceKey string
	// ExistsField is the field of a hash that says that the object exists.
	ExistsField string

	// Announce makes the commands that go behind deletions which are sent again, from the payloads of their entries.
	// repeats: all of them were announced before, and Redis is not known to have lost that.
	// Announced reads their answers. After an error the next heartbeat announces these payloads again. It decides nothing
	// else: the breaker closes, and deletions are covered, without it. Both are nil, or none is.
	Announce  func(ctx context.Context, payloads []any, repeats bool) []redis.Cmder
	Announced func(context.Context, []redis.Cmder) error

	// OnLoss is called when it is noticed that Redis has lost writes, before the breaker closes again. Nil: nothing.
	OnLoss func()

	Logger *slog.Logger     // nil: slog.Default
	Now    func() time.Time // nil: time.Now
}

// Monitor notices that one Redis has lost acknowledged writes, and replays deletions. It is safe for concurrent use.
type Monitor struct {
	Options
	db             *redisdb.DB
	client         redis.UniversalClient
	logger         *slog.Logger
	now            func() time.Time
	keys           []string // one, or one for each part of a cluster
	replica        string   // a random id of this replica
	watermarkField string
	usesField      string  // likewise
	countings      [][]any // of each key: the command by which a use is counted, which nothing changes

	breaker breaker
	log     redoLog
	wake    chan struct{} // has something when there is something to cover, or to check

	outOfMemory atomic.Bool // Redis has no memory for a watermark

	heartbeats     sync.Mutex // guards what only a heartbeat uses:
	round          round
	fence          int64  // the highest that was read while nothing was lost
	absenceChecked bool   // by noticeAbsence, without an error
	warned         string // the last error of the ACL that was logged

	runs, tried atomic.Bool   // whether Run was called, and whether a heartbeat has ended
	hasStarted  chan struct{} // closed by the first heartbeat that was successful
	startOnce   sync.Once
	starting    sync.Mutex // held while a request does the first heartbeat

	mu        sync.Mutex
	seen      []observation // of each key; none before the first heartbeat
	uses      []int64       // of each key: the highest count that was answered
	loss      int64         // the last, in milliseconds, by the clock of this replica
	shared    int64         // the same as the epoch keys have it
	lastFence int64         // the last fence that was taken for a loss
}

// New makes a monitor. It is attached to a DB that was opened with its Hook and Connected.
func New(o Options) *Monitor {
	id := randomID()
	m := &Monitor{
		Options: o, logger: o.Logger, now: o.Now, replica: id,
		watermarkField: watermarkPrefix + id, usesField: usesPrefix + id,
		wake: make(chan struct{}, 1), hasStarted: make(chan struct{}),
	}
	if m.logger == nil {
		m.logger = slog.Default()
	}
	if m.now == nil {
		m.now = time.Now
	}
	return m
}

// randomID tells lineages and replicas apart. It is no secret.
func randomID() string {
	return strconv.FormatUint(rng.Uint64(), 36) + strconv.FormatUint(rng.Uint64(), 36) //nolint:gosec // it keeps no one out
}

// Replica is a random id of this replica, by which its watermark is known.
func (m *Monitor) Replica() string { return m.replica }

// Watermarks reads, from the epoch key by which the loss of a key would be seen, the counter, and the watermark of each
// replica of any version.
func (m *Monitor) Watermarks(ctx context.Context, key string) (counter int64, of map[string]int64, err error) {
	fields, err := m.client.HGetAll(ctx, m.keys[m.part(key)]).Result()
	if err != nil {
		return 0, nil, redisdb.Unavailable("read watermarks", err)
	}
	of = map[string]int64{}
	for field, value := range fields {
		n, _ := strconv.ParseInt(value, 10, 64) // what is no number is not a watermark that moves
		if id, isWatermark := strings.CutPrefix(field, watermarkPrefix); isWatermark {
			of[id] = n
		} else if field == counterField {
			counter = n
		}
	}
	return counter, of, nil
}

// Hook is the breaker, for [redisdb.Options].
func (m *Monitor) Hook() redis.Hook { return &m.breaker }

// Attach gives the monitor the DB that it watches.
func (m *Monitor) Attach(db *redisdb.DB) {
	m.db, m.client, m.keys = db, db.Client, []string{m.Key}
	if db.IsCluster() {
		m.keys = partKeys(m.Key)
	}
	m.uses, m.countings = make([]int64, len(m.keys)), make([][]any, len(m.keys))
	for i, key := range m.keys {
		m.countings[i] = []any{"hincrby", key, m.usesField, 1}
	}
}

// partKeys are names that lie in one sixteenth of the slots each.
func partKeys(prefix string) []string {
	keys := make([]string, parts)
	for part := range keys {
		for i := 0; keys[part] == ""; i++ {
			if key := fmt.Sprintf("%s:%d:%d", prefix, part, i); partOf(key) == part {
				keys[part] = key
			}
		}
	}
	return keys
}

func partOf(key string) int { return redisdb.SlotOf(key) / (redisdb.Slots / parts) }

// part is the index of the epoch key by which the loss of a key would be seen.
func (m *Monitor) part(key string) int {
	if len(m.keys) == 1 {
		return 0
	}
	return partOf(key)
}

// State is the state of the breaker: whether commands pass, and if not, why.
func (m *Monitor) State() State { return m.breaker.state() }

// IsQuarantined is whether every command fails with [ErrQuarantined].
func (m *Monitor) IsQuarantined() bool { return m.breaker.state() == Quarantined }

// Note remembers deletions that were applied. It is false if there was no room for all: Redis may lose them, and no
// replica would replay them, so that they must not be acknowledged.
func (m *Monitor) Note(entries ...Entry) bool {
	noted, room := m.log.note(entries...)
	if noted && !m.outOfMemory.Load() { // which would take no watermark
		m.hurry()
	}
	return room
}

// NoteUnacknowledged remembers deletions of which it is not known whether they were applied. The next heartbeat applies
// them, unless their condition no longer holds.
func (m *Monitor) NoteUnacknowledged(entries ...Entry) {
	var needed []Entry
	for _, e := range entries {
		if !e.implied {
			e.unacknowledged = true
			needed = append(needed, e)
		}
	}
	m.Note(needed...)
}

// NoteInDoubt remembers deletions of fields by a transaction of which it is not known whether it was applied. A
// heartbeat, or Resolve, finds out. Deletions of whole keys are not remembered, only announced.
func (m *Monitor) NoteInDoubt(entries ...Entry) {
	var fields []Entry
	for _, e := range entries {
		if len(e.fields) > 0 {
			fields = append(fields, e)
		} else {
			m.NoteAnnouncement(e.Payload)
		}
	}
	m.log.addInDoubt(fields)
}

// NoteAnnouncement has the next heartbeat announce a payload of which it is not known whether it was announced. It is
// remembered until that succeeds. payload is a pointer, or nil.
func (m *Monitor) NoteAnnouncement(payload any) {
	if m.Announce != nil && payload != nil {
		m.log.announceLater(payload)
		m.hurry()
	}
}

// Unannounced is how many payloads are to be announced, in addition to those of deletions that are sent again.
func (m *Monitor) Unannounced() int { return m.log.countUnannounced() }

// Forget drops the deletions of fields of this key with a condition on this field, but for those whose condition has
// the value current. This replica has set the field since: a rollback could bring the old value back, and the replay
// would delete what was set again.
func (m *Monitor) Forget(key, field, current string) { m.log.forget(key, field, current) }

// Pending is how many deletions are not covered yet.
func (m *Monitor) Pending() int { return m.log.countPending() }

// Keys are the epoch keys: one, or one for each part of a cluster.
func (m *Monitor) Keys() []string { return m.keys }

// IsFull is whether a deletion had no room in the redo log since the log last had nothing pending.
func (m *Monitor) IsFull() bool { return m.log.isFull() }

// Resolve finds out which of the in-doubt transactions were applied, and notes their deletions. It is false if there
// was no room for them. With an error it is still not known.
func (m *Monitor) Resolve(ctx context.Context) (room bool, err error) {
	applied, err := m.resolve(ctx, false)
	if err != nil {
		return true, err
	}
	return m.Note(applied...), nil
}

// hurry has the next heartbeat come after gatherTime.
func (m *Monitor) hurry() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *Monitor) observations() []observation {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := slices.Clone(m.seen)
	for i := range seen {
		seen[i].uses = m.uses[i]
	}
	return seen
}

func (m *Monitor) setObservations(seen []observation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = seen
}

// acceptObservations is setObservations for a store that may have less than was seen.
func (m *Monitor) acceptObservations(found []observation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = found
	for i, o := range found {
		m.uses[i] = o.uses
	}
}

// Connected checks a Redis before the first command of a request goes there: another Redis is found by a new
// connection. Of a single server, a connection is used only if its answer shows no loss.
func (m *Monitor) Connected(ctx context.Context, conn *redis.Conn) error {
	want := m.observations() // before it is read: what was written then must be there
	if len(want) == 0 || bypasses(ctx) {
		return nil
	}
	clustered := m.db.IsCluster()
	for i, cmd := range m.observe(bypass(ctx), conn) {
		switch found, err := readObservation(cmd); {
		case err != nil && (clustered || cannotTell(err)):
		case err != nil:
			return err
		case found.isBefore(want[i]):
			m.breaker.tripIfClosed(checking)
			m.hurry()
			if !clustered {
				return checking
			}
		default:
			m.learnLoss(found.loss)
		}
	}
	if m.log.countPending() > 0 { // this may be another Redis, which has the watermark and lacks the deletions
		m.hurry()
	}
	return nil
}
