package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// This file is for a revocation that finds nothing to do. An earlier attempt may have been applied and not confirmed; or it
// was made by another replica, which crashed before it could append to the feed. So before the caller gets success, the
// revocation is confirmed, and appended once more.

// confirmGone is for a revocation that finds nothing to delete in a client's or a user's record: the field is not there.
// "It is gone" says that it stays so. A change that is on its way must fail, so that changeField is deleted all the same.
// And an earlier attempt may have been applied and not confirmed: the barrier is on the same connection.
func (s *Store) confirmGone(ctx context.Context, op, key, field string, r Revocation) error {
	mark, gone := redis.NewIntCmd(ctx, "hdel", key, changeField), redis.NewIntCmd(ctx, "hexists", key, field)
	return s.confirm(ctx, op, []Revocation{r}, gone, mark, gone)
}

// confirm sends commands, appends what the revocations void, and sends the barrier behind them. gone is one of the
// commands: its answer is 0 if what was revoked is gone. Nil: there is nothing to ask.
func (s *Store) confirm(ctx context.Context, op string, revoked []Revocation, gone *redis.IntCmd, cmds ...*redis.IntCmd) error {
	if err := s.known(ctx, op); err != nil {
		return err
	}
	voids := make([]*void, len(revoked))
	for i, r := range revoked {
		voids[i] = voidOf(r)
	}
	appends := s.appends(ctx, voids)
	if len(cmds)+len(appends) == 0 {
		return nil
	}
	err := s.db.Apply(ctx, op, cmds, appends...)
	if !redisdb.Failed(err) {
		err = redisdb.MostSevere(err, s.appended(ctx, op, appends))
	}
	switch {
	case errors.Is(err, ErrUnconfirmed): // nothing was applied
		return unavailable(op, errors.New(err.Error()))
	case err == nil && gone != nil && gone.Val() != 0:
		return unavailable(op, errors.New("what was revoked is active again"))
	}
	return err
}

// ConfirmRevoked is nil if a credential which was not found stays so: an earlier revocation may have been applied and not
// confirmed. ours: it may have been issued here; then it is appended to the feed. ErrUnavailable if it is not known whether
// it stays so, or if the credential is there; ErrManyUnknown if too many such revocations came within this second, from this
// client or from all. clientID is empty for a caller who is not authenticated.
func (s *Store) ConfirmRevoked(ctx context.Context, d Digest, ours bool, clientID string) error {
	const op = "confirm a revocation"
	var revoked []Revocation
	if ours && s.feed != nil && !s.unknown.has(s.now(), d) {
		if !s.unknown.take(s.now(), clientID) {
			return ErrManyUnknown
		}
		revoked = append(revoked, Revocation{Kind: TokenRevoked, Digest: d})
	}
	var asked []*redis.IntCmd
	var gone *redis.IntCmd
	if s.db.NeedsBarrier(ctx) { // else Redis's own answer is enough
		gone = redis.NewIntCmd(ctx, "exists", credentialKey(d))
		asked = append(asked, gone)
	}
	err := s.confirm(ctx, op, revoked, gone, asked...)
	if err == nil && len(revoked) > 0 {
		s.unknown.add(s.now(), d)
	}
	return err
}

// ConfirmUnknown is [Store.ConfirmRevoked] for a caller who is not authenticated. Such callers share confirmations of
// their own, so that they delay no revocation by others.
func (s *Store) ConfirmUnknown(ctx context.Context, d Digest) error {
	return s.ConfirmRevoked(redisdb.Unauthenticated(ctx), d, true, "")
}

// Confirm says that everything which Redis has applied until now lasts as [Options.Durability] asks: for a caller that
// finds nothing to do, because an earlier attempt was applied and not confirmed. It appends what the revocations of that
// attempt would void.
func (s *Store) Confirm(ctx context.Context, revoked ...Revocation) error {
	const op = "confirm"
	if err := s.confirm(ctx, op, revoked, nil); err != nil {
		return err
	}
	return s.db.Barrier(ctx, op)
}

// ErrManyUnknown: too many revocations of credentials that are not found came within a second. The caller may repeat it in the
// next one.
var ErrManyUnknown = errors.New("too many revocations of unknown credentials")

// Revocations of credentials that are not found are appended too. Each replica limits them, so that they cannot push
// everything else out of the feed, and so that one client does not delay those of the others.
const (
	unknownPerSecond         = 100
	clientPerSecond          = 50 // of these, by one client
	unauthenticatedPerSecond = 10 // of these, by callers who are not authenticated
)

// unknownLimit counts the revocations of credentials that are not found, within one second.
type unknownLimit struct {
	mu       sync.Mutex
	second   int64
	all      int
	of       map[string]int  // client → of these; empty: by callers who are not authenticated
	appended map[Digest]bool // a revocation of these does not count again: the feed has it
}

// enter begins the next second, if it is one. The caller holds the lock.
func (l *unknownLimit) enter(now time.Time) {
	if second := now.Unix(); second != l.second {
		l.second, l.all, l.of, l.appended = second, 0, map[string]int{}, map[Digest]bool{}
	}
}

func (l *unknownLimit) has(now time.Time, d Digest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enter(now)
	return l.appended[d]
}

func (l *unknownLimit) add(now time.Time, d Digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enter(now)
	l.appended[d] = true
}

// take counts one more by the client with this id; false: the limit of this second is reached.
func (l *unknownLimit) take(now time.Time, clientID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enter(now)
	most := clientPerSecond
	if clientID == "" {
		most = unauthenticatedPerSecond
	}
	if l.all >= unknownPerSecond || l.of[clientID] >= most {
		return false
	}
	l.all++
	l.of[clientID]++
	return true
}
