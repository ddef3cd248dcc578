package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// stream is a part of the audit log. Each is bounded by itself, so that who fills one pushes nothing out of another:
// rejections push out no changes, and what users do with what is their own pushes out nothing that operators did.
type stream struct {
	key  string
	most int64 // events; when it is written to, older ones are dropped
}

const (
	changesKey = "mk:audit"
	// changesKept is how many changes are kept whatever their age, and changesAge how long whatever their number, as far
	// as AuditBytes allows. Run drops the others.
	changesKept = 100_000
	changesAge  = 90 * 24 * time.Hour
	// changesMost bounds the changes between two runs.
	changesMost = 1_000_000
	// AuditBytes bounds the memory of the changes.
	AuditBytes = 128 << 20

	// usersStreams share the events of users by their ids, so that a user pushes out the events of few others. Together
	// they have as many as are kept of changes.
	usersStreams = 32
	usersKept    = changesKept / usersStreams
)

var rejections = stream{"mk:refusals", 10_000}

func usersStream(i int) stream { return stream{changesKey + ":" + strconv.Itoa(i), usersKept} }

// streamOf is where a change is recorded: with the changes, or if a user acts on what is their own, in one of the users'.
func (s *Store) streamOf(e Event) stream {
	id, isUser := strings.CutPrefix(e.Actor, UserActor("").Name)
	if isUser && (e.Target == e.Actor || e.Detail["user"] == id) {
		d := DigestOf(id)
		return usersStream(int(d[0]) % usersStreams)
	}
	if s.Embedded() { // where Run drops nothing
		return stream{changesKey, changesKept}
	}
	return stream{changesKey, changesMost}
}

// streams are those in which a filter finds events.
func (f EventFilter) streams() []stream {
	if f.Refusals {
		return []stream{rejections}
	}
	all := []stream{{changesKey, changesMost}}
	for i := range usersStreams {
		all = append(all, usersStream(i))
	}
	return all
}

// trimAudit drops the changes that are neither among the last nor young, and the oldest if they take too much memory.
func (s *Store) trimAudit(ctx context.Context) error {
	const op = "trim the audit log"
	if s.Embedded() {
		return nil
	}
	n, err := s.rdb.XLen(ctx, changesKey).Result()
	if err != nil {
		return unavailable(op, err)
	}
	if n > changesKept {
		before := strconv.FormatInt(s.now().Add(-changesAge).UnixMilli(), 10)
		if err := s.rdb.XTrimMinIDApprox(ctx, changesKey, before, n-changesKept).Err(); err != nil {
			return unavailable(op, err)
		}
	}
	size, err := s.AuditSize(ctx)
	if err != nil || size <= AuditBytes {
		return err
	}
	return unavailable(op, s.rdb.XTrimMaxLenApprox(ctx, changesKey, int64(float64(n)*AuditBytes/float64(size)), 0).Err())
}

// AuditSize is how many bytes the changes take in Redis, but for the users' streams, which are bounded by their number.
// Zero: there are none, or Redis does not tell.
func (s *Store) AuditSize(ctx context.Context) (int64, error) {
	size, err := s.rdb.MemoryUsage(ctx, changesKey, 100).Result()
	if errors.Is(err, redis.Nil) || redisdb.ErrorPrefix(err) != "" {
		return 0, nil
	}
	return size, unavailable("measure the audit log", err)
}

// eventPosition is a place in the audit log: an event's ID, and the number of its stream, since events of two streams may
// have the same ID.
type eventPosition struct {
	ms, seq uint64
	stream  int
}

// parseEventPosition reads "ms-seq.stream". Without the stream, it is behind all events with this ID.
func parseEventPosition(text string) (p eventPosition, err error) {
	id, number, numbered := strings.Cut(text, ".")
	p.stream = usersStreams
	ms, seq, _ := strings.Cut(id, "-")
	var errs [3]error
	p.ms, errs[0] = strconv.ParseUint(ms, 10, 64)
	p.seq, errs[1] = strconv.ParseUint(seq, 10, 64)
	if numbered {
		p.stream, errs[2] = strconv.Atoi(number)
	}
	if errs != [3]error{} || p.stream < 0 || p.ms == 0 && p.seq == 0 {
		return p, fmt.Errorf("event %q: %w", text, ErrNotFound)
	}
	return p, nil
}

func (p eventPosition) id() string { return fmt.Sprintf("%d-%d", p.ms, p.seq) }

func (p eventPosition) String() string { return fmt.Sprintf("%s.%d", p.id(), p.stream) }

// newer is whether p comes before q in a listing.
func (p eventPosition) newer(q eventPosition) bool {
	switch {
	case p.ms != q.ms:
		return p.ms > q.ms
	case p.seq != q.seq:
		return p.seq > q.seq
	}
	return p.stream < q.stream
}
