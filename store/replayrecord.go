package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// ReplayRecord is the record that an assertion was used (RFC 7523 §3, item 7). There is one for each assertion that is
// valid once, and only after its signature was verified: a caller without a key must not make Redis grow.
type ReplayRecord struct {
	Digest  [16]byte
	Created time.Time // iat of the assertion; without it exp − 5 min
	Expires time.Time // until then it would be accepted again: the allowance for clocks included
}

// NewReplayRecord is that of the assertion with this jti. kind tells apart what has a jti of its own kind, and owner is
// who chose it: a client's id for instance.
func NewReplayRecord(kind, owner, jti string, created, expires time.Time) *ReplayRecord {
	hash := sha256.New()
	for _, part := range []string{kind, owner, jti} {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // "a", "bc" is not "ab", "c"
		hash.Write([]byte(part))
	}
	return &ReplayRecord{Digest: [16]byte(hash.Sum(nil)), Created: created, Expires: expires}
}

// ErrReplayed: the assertion was used, or may have been used before Redis lost data.
var ErrReplayed = errors.New("the assertion was used already")

// clocksApart is by how much the clocks of two replicas may differ. A record stays so much longer than the assertion is
// valid by the clock of the replica that wrote it: by another one it may be valid longer.
const clocksApart = time.Minute

func replayKey(digest [16]byte) string { return "mk:j:" + string(digest[:]) }

// singleUse is an assertion that is being used: the commands that do it travel with others in one pipeline, and check reads
// their answers.
type singleUse struct {
	record *ReplayRecord
	set    *redis.StatusCmd // nil in the embedded store
}

// beginUse makes the commands by which an assertion is used. In the embedded store it is used when beginUse has returned.
// An error: it must not be.
func (s *Store) beginUse(ctx context.Context, record *ReplayRecord) (u singleUse, cmds []redis.Cmder, err error) {
	u.record = record
	left := record.Expires.Sub(s.now()) + clocksApart
	if s.db.IsEmbedded() {
		return u, nil, s.replays.use(record.Digest, s.now(), left)
	}
	value := make([]byte, 8)
	_, _ = rand.Read(value) // never fails
	u.set = redis.NewStatusCmd(ctx, "set", replayKey(record.Digest), value, "nx", "px", max(left.Milliseconds(), 1))
	return u, []redis.Cmder{u.set}, nil
}

// check tells by the answer whether this was the first use.
func (u singleUse) check(op string) error {
	switch err := u.set.Err(); {
	case errors.Is(err, redis.Nil):
		return ErrReplayed
	default:
		return redisdb.Unavailable(op, err)
	}
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
	u, first, err := s.beginUse(ctx, used)
	if err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	if all := append(first, cmds...); len(all) > 0 {
		if err = s.db.Send(ctx, op, all...); err != nil {
			return false, err
		}
	}
	if u.set != nil {
		err = u.check(op)
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
