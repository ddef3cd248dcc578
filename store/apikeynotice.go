package store

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// leakNoted is how long its owner is told that a key was reported as leaked.
	leakNoted = 30 * 24 * time.Hour
	// maxNotices is how many keys of each kind a user is told of: the last that were reported, and the first to expire.
	maxNotices = 100
)

// leakedKeysOf are the keys of a user that were reported as leaked, by the millisecond of the report.
func leakedKeysOf(userID string) string { return "mk:kl:" + userID }

// KeyNotice is a key that its owner should look at: it expires soon and has no successor, or was reported as leaked.
type KeyNotice struct {
	KeyID string
	State KeyState  // StateExpiring or StateLeaked
	At    time.Time // when it expires, or was reported
}

// noteLeaked enters keys that were reported, for their owners. They are revoked already: an error is logged.
func (s *Store) noteLeaked(ctx context.Context, keys []*APIKey, at time.Time) {
	if len(keys) == 0 {
		return
	}
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, k := range keys {
			if k.UserID == "" { // its description cannot be read
				continue
			}
			p.ZAdd(ctx, leakedKeysOf(k.UserID), redis.Z{Member: k.ID, Score: scoreOf(at)})
			p.ZRemRangeByScore(ctx, leakedKeysOf(k.UserID), "-inf", "("+scoreText(at.Add(-leakNoted)))
			p.PExpire(ctx, leakedKeysOf(k.UserID), leakNoted)
		}
		return nil
	}); err != nil {
		s.log.WarnContext(ctx, "telling the owners of leaked keys failed; the keys are revoked", "keys", len(keys), "error", err)
	}
}

// KeyNotices are those of a user: the leaked keys of the last 30 days, the latest first, and then the keys that expire soon, in
// this order. It reads the descriptions of these keys alone.
func (s *Store) KeyNotices(ctx context.Context, userID string) (notices []KeyNotice, err error) {
	now := s.now()
	var leaked, expiring *redis.StringSliceCmd
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		leaked = p.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: leakedKeysOf(userID), Start: "+inf", Stop: scoreText(now.Add(-leakNoted)), ByScore: true, Rev: true, Count: maxNotices,
		})
		expiring = p.ZRangeByScore(ctx, activeKeysOf(userID), &redis.ZRangeBy{
			Min: "(" + scoreText(now), Max: scoreText(now.Add(ExpiresSoon)), Count: maxNotices,
		})
		return nil
	}); err != nil {
		return nil, unavailable("read notices", err)
	}
	keys, err := s.keysOf(ctx, slices.Concat(leaked.Val(), expiring.Val()))
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k == nil || k.UserID != userID {
			continue
		}
		switch state := k.State(now); state { // what is only an entry decides nothing
		case StateLeaked:
			notices = append(notices, KeyNotice{k.ID, state, k.Tombstone.At})
		case StateExpiring:
			if k.RotatedTo != "" { // it has a successor
				continue
			}
			notices = append(notices, KeyNotice{k.ID, state, k.ExpiresAt})
		}
	}
	slices.SortStableFunc(notices, func(a, b KeyNotice) int {
		if a.State != b.State {
			if a.State == StateLeaked {
				return -1
			}
			return 1
		}
		if a.State == StateLeaked {
			a, b = b, a
		}
		return a.At.Compare(b.At)
	})
	return notices, nil
}

func scoreText(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
