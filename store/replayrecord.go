package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// ReplayRecord is the record that an assertion was used (RFC 7523 §3, item 7). There is one for each assertion that is
// valid once, and only after its signature was verified: a caller without a key must not make Redis grow.
type ReplayRecord struct {
	Digest  [16]byte
	Created time.Time // iat of the assertion; without it exp − 5 min
	Expires time.Time // until then it would be accepted again: the allowance for clocks included

	owner uint64 // tells one owner from another; two may share a number
}

var ownerSeed = maphash.MakeSeed()

// NewReplayRecord is that of the assertion with this jti. owner is who chose the jti, such as a client's id. kind is what the
// assertion is for: two kinds of one owner may have the same jti.
func NewReplayRecord(kind, owner, jti string, created, expires time.Time) *ReplayRecord {
	text := make([]byte, 0, 512)
	for _, part := range [...]string{kind, owner, jti} {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part))) // "a", "bc" is not "ab", "c"
		text = append(text, part...)
	}
	digest := sha256.Sum256(text)
	return &ReplayRecord{
		Digest: [16]byte(digest[:16]), Created: created, Expires: expires, owner: maphash.String(ownerSeed, owner),
	}
}

// ErrReplayed: the assertion was used, or may have been used before Redis lost data.
var ErrReplayed = errors.New("the assertion was used already")

// clocksApart is by how much the clocks of two replicas may differ. A record stays so much longer than the assertion is
// valid by the clock of the replica that wrote it: by another one it may be valid longer.
const clocksApart = time.Minute

// replayValue is the value of each record: nothing reads it. Redis keeps small numbers once for all keys, which makes a record
// 32 bytes smaller.
const replayValue = "1"

func replayKey(digest [16]byte) string { return "mk:j:" + string(digest[:]) }

const (
	// clockAhead is by how much iat may be ahead of the clock. So what is created so much after a loss of Redis may have
	// been used before it.
	clockAhead = 30 * time.Second
	// clockStep is the resolution of iat, which usually has whole seconds, rounded down.
	clockStep = time.Second
)

// lossError says that Redis has just lost data: a new assertion cannot be told from one that was used before the loss.
type lossError struct{ left time.Duration }

func (e *lossError) Error() string {
	return fmt.Sprintf("records of used assertions may be missing in Redis; assertions are accepted again in %v", e.left)
}

func (*lossError) Is(target error) bool { return target == ErrUnavailable }

// RetryAfter is when an assertion that is created then is accepted.
func (e *lossError) RetryAfter() time.Duration { return e.left }

// checkLoss rejects what may have been used before Redis lost data.
func (s *Store) checkLoss(used *ReplayRecord) error {
	loss := s.monitor.Loss()
	if loss.IsZero() || !used.Created.Before(loss.Add(clockAhead)) {
		return nil
	}
	if left := loss.Add(clockAhead + clockStep).Sub(s.now()); left > 0 {
		return &lossError{left}
	}
	return ErrReplayed
}

// singleUse is an assertion that is being used: its commands travel with others in one pipeline, and check reads their
// answers. In the embedded store it has none: it is used when begin has returned.
type singleUse struct {
	record *ReplayRecord
	set    *redis.StatusCmd
	use    rollback.Use
}

// beginUse makes the commands. An error: the assertion must not be used.
func (s *Store) beginUse(ctx context.Context, used *ReplayRecord) (u singleUse, err error) {
	u.record = used
	left := used.Expires.Sub(s.now()) + clocksApart
	if s.monitor == nil {
		return u, s.replays.use(used, s.now(), left)
	}
	key := replayKey(used.Digest)
	if u.use, err = s.monitor.NewUse(ctx, key); err != nil {
		return u, err
	}
	if err := s.checkLoss(used); err != nil {
		return u, err
	}
	u.set = redis.NewStatusCmd(ctx, "set", key, replayValue, "nx", "px", max(left.Milliseconds(), 1))
	return u, nil
}

// checkUse tells by the answers whether this was the first use.
func (s *Store) checkUse(op string, u singleUse) error {
	switch err := u.set.Err(); {
	case errors.Is(err, redis.Nil):
		return ErrReplayed
	case err != nil:
		return redisdb.Unavailable(op, err)
	}
	if err := u.use.Counted(); err != nil {
		return err
	}
	return s.checkLoss(u.record) // which may have been noticed meanwhile
}

// UseOnce records that an assertion is used, where nothing else is written or read. Only one of any number of calls
// returns nil, on whichever replica. ErrReplayed is the answer to the others. After ErrUnavailable the assertion may count
// as used; it was not.
func (s *Store) UseOnce(ctx context.Context, used *ReplayRecord) error {
	_, err := s.doOnce(ctx, "use assertion", used)
	return err
}

// doOnce sends commands, and with them the use of an assertion; nil: none is used. Without an error this was the first use,
// and the commands are answered. Otherwise answered says whether their results may be read.
func (s *Store) doOnce(ctx context.Context, op string, used *ReplayRecord, cmds ...redis.Cmder) (answered bool, err error) {
	if used == nil {
		return false, s.db.Do(ctx, op, cmds...)
	}
	u, err := s.beginUse(ctx, used)
	if err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	all := cmds
	if u.set != nil {
		all = append(make([]redis.Cmder, 0, 2+len(cmds)), u.set, u.use.Count)
		all = append(all, cmds...)
	}
	if len(all) > 0 {
		if err := s.db.Send(ctx, op, all...); err != nil {
			return false, err
		}
	}
	if u.set != nil {
		err = s.checkUse(op, u)
	}
	if err == nil {
		err = redisdb.Answered(op, cmds...)
	}
	return true, err
}

// ClientOnce is [Store.Client], and uses an assertion in the same round trip; nil: none.
func (s *Store) ClientOnce(ctx context.Context, id string, used *ReplayRecord) (*Client, error) {
	cmd := redis.NewMapStringStringCmd(ctx, "hgetall", clientKey(id))
	if _, err := s.doOnce(ctx, "read client", used, cmd); err != nil {
		return nil, err
	}
	return s.decoded.client(id, cmd.Val())
}

// UserOnce is [Store.User], likewise.
func (s *Store) UserOnce(ctx context.Context, id string, used *ReplayRecord) (*User, error) {
	cmd := redis.NewMapStringStringCmd(ctx, "hgetall", userKey(id))
	if _, err := s.doOnce(ctx, "read user", used, cmd); err != nil {
		return nil, err
	}
	return s.decoded.user(id, cmd.Val())
}

// saveTokenOnce writes a token's record and uses an assertion, in one pipeline; in a cluster the two may go to two nodes
// at once. The record of a token whose assertion was used before, or of which that is not known, is deleted. No one has
// that token. If the record cannot be deleted, it expires.
func (s *Store) saveTokenOnce(ctx context.Context, d Digest, put redis.Cmder, used *ReplayRecord) error {
	answered, err := s.doOnce(ctx, "save token", used, put)
	if err == nil || !answered || put.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backgroundTimeout)
	defer cancel()
	if failed := s.db.Do(ctx, "delete token", s.credentials.deletion(d).Command(ctx)); failed != nil {
		s.log.WarnContext(ctx, "deleting the record of a token that was not issued failed; it expires", "error", failed)
	}
	return err
}
