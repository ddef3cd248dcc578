package store

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// All keys, active or not, stand in a directory, and each user's in one of their own. Two more indexes are sorted by time:
const (
	activeKeys = "mk:keys:live" // id, by the millisecond of its expiry; revoked ones are taken out
	dueKeys    = "mk:keys:due"  // id, by the millisecond from which nothing of it is kept
)

var allKeys = directory{ids: "mk:keys:id", names: "mk:keys:name", words: "mk:keys:word", idPrefix: keyIDPrefix, latestFirst: true}

func keysOfUser(userID string) string { return "mk:pk:" + userID }

// activeKeysOf is a user's part of activeKeys, by which their number is limited.
func activeKeysOf(userID string) string { return "mk:pl:" + userID }

// KeyFilter says which keys are wanted. The zero value wants all.
type KeyFilter struct {
	UserID string // of this user alone
	Query  string // of whose id or name a word begins so, whatever their case
	State  KeyState

	UnusedSince time.Time // that were neither created nor used since then; zero: any
}

// Keys lists at most limit keys, the newest first; with a query, those that are found by name come last. A page may be short, even empty, before the last. after and next are as in [Store.Clients].
func (s *Store) Keys(ctx context.Context, f KeyFilter, after string, limit int) (page []*APIKey, next string, err error) {
	l := listing[APIKey]{
		directory: allKeys,
		query:     f.Query,
		read:      s.keysOf,
		id:        func(k *APIKey) string { return k.ID },
		names:     func(k *APIKey) []string { return []string{k.Name} },
		wants:     func(k *APIKey) bool { return f.wants(k, s.now()) },
	}
	if f.UserID != "" {
		l.directory, l.query = directory{ids: keysOfUser(f.UserID), latestFirst: true}, ""
	}
	if !f.UnusedSince.IsZero() {
		after = s.unusedSince(&l, f.UnusedSince, after)
	}
	return l.page(ctx, s, after, limit)
}

// KeysListed is how many keys a listing has to look at, of a user or of all: active or not, and what is left of purged ones.
func (s *Store) KeysListed(ctx context.Context, userID string) (int64, error) {
	ids := allKeys.ids
	if userID != "" {
		ids = keysOfUser(userID)
	}
	n, err := s.rdb.ZCard(ctx, ids).Result()
	return n, unavailable("count keys", err)
}

func (f KeyFilter) wants(k *APIKey, now time.Time) bool {
	named := allKeys.finds(f.Query, k.ID, []string{k.Name})
	mine := f.UserID == "" || f.UserID == k.UserID || k.Unreadable != nil // which stands in the user's own directory
	return named && mine && f.State.has(k.State(now))
}

// enterKey adds a key's entries, or moves them to where its new expiry has them.
func (s *Store) enterKey(ctx context.Context, k *APIKey) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, keysOfUser(k.UserID), redis.Z{Member: k.ID})
		p.ZAdd(ctx, allKeys.ids, redis.Z{Member: k.ID})
		allKeys.enterNames(ctx, p, k.ID, k.Name)
		p.ZAdd(ctx, activeKeys, redis.Z{Member: k.ID, Score: scoreOf(k.ExpiresAt)})
		p.ZAdd(ctx, activeKeysOf(k.UserID), redis.Z{Member: k.ID, Score: scoreOf(k.ExpiresAt)})
		if !k.ExpiresAt.IsZero() {
			p.ZAdd(ctx, dueKeys, redis.Z{Member: k.ID, Score: scoreOf(k.ExpiresAt.Add(keyShown))})
		}
		return nil
	})
	return unavailable("enter a key", err)
}

// retireKey takes a key that is not active any more out of the active ones.
func (s *Store) retireKey(ctx context.Context, p redis.Pipeliner, k *APIKey) {
	p.ZRem(ctx, activeKeys, k.ID)
	p.ZRem(ctx, activeKeysOf(k.UserID), k.ID)
}

// scoreOf is a point in time as a score; zero is never.
func scoreOf(t time.Time) float64 {
	if t.IsZero() {
		return math.Inf(1)
	}
	return float64(t.UnixMilli())
}

// RoomForKey says whether a user may have another key: nil, or ErrTooManyKeys.
func (s *Store) RoomForKey(ctx context.Context, userID string) error {
	err := s.countKeys(ctx, userID)
	if errors.Is(err, ErrTooManyKeys) {
		if err := s.recountKeys(ctx, userID); err != nil {
			return err
		}
		return s.countKeys(ctx, userID)
	}
	return err
}

func (s *Store) countKeys(ctx context.Context, userID string) error {
	n, err := s.rdb.ZCount(ctx, activeKeysOf(userID), "("+strconv.FormatInt(s.now().UnixMilli(), 10), "+inf").Result()
	if err == nil && n >= MaxActiveKeys {
		return ErrTooManyKeys
	}
	return unavailable("count keys", err)
}

// reserveKey counts a new key among its owner's, in one step with reading how many they have. Creations by this replica
// wait for each other, so that only other replicas can come in between.
func (s *Store) reserveKey(ctx context.Context, k *APIKey) error {
	creating := &s.creating[k.UserID[len(k.UserID)-1]%byte(len(s.creating))]
	creating.Lock()
	defer creating.Unlock()
	key := activeKeysOf(k.UserID)
	return s.transact(redisdb.WithoutBarrier(ctx), "count keys", key, func(tx *redis.Tx) (transaction, error) {
		now := strconv.FormatInt(s.now().UnixMilli(), 10)
		switch n, err := tx.ZCount(ctx, key, "("+now, "+inf").Result(); {
		case err != nil:
			return transaction{}, err
		case n >= MaxActiveKeys:
			return transaction{}, &planError{ErrTooManyKeys}
		}
		return write(func(p redis.Pipeliner) {
			p.ZRemRangeByScore(ctx, key, "-inf", scoreText(s.now().Add(-tidyAfter)))
			p.ZAdd(ctx, key, redis.Z{Member: k.ID, Score: scoreOf(k.ExpiresAt)})
		})
	})
}

// recountKeys drops what is counted and has no record, which creations and revocations left that stopped half-way, but for
// what may be being created at this moment.
func (s *Store) recountKeys(ctx context.Context, userID string) error {
	ids, err := s.rdb.ZRange(ctx, activeKeysOf(userID), 0, -1).Result()
	if err != nil {
		return unavailable("count keys", err)
	}
	keys, err := s.keysOf(ctx, ids)
	if err != nil {
		return err
	}
	gone, err := s.withoutRecord(ctx, keys)
	if err != nil {
		return err
	}
	var inactive []any
	for i, k := range keys {
		if k == nil || slices.Contains(gone, k) {
			inactive = append(inactive, ids[i])
		}
	}
	if len(inactive) == 0 {
		return nil
	}
	return unavailable("count keys", s.rdb.ZRem(ctx, activeKeysOf(userID), inactive...).Err())
}

// purgeKeys drops what is left of keys that were revoked or expired long ago, at most so many at once.
func (s *Store) purgeKeys(ctx context.Context) error {
	const batch = 200
	ids, err := s.rdb.ZRangeByScore(ctx, dueKeys, &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(s.now().UnixMilli(), 10), Count: batch,
	}).Result()
	if err != nil || len(ids) == 0 {
		return unavailable("purge keys", err)
	}
	keys, err := s.keysOf(ctx, ids)
	if err != nil {
		return err
	}
	for i, k := range keys {
		if k == nil { // its description has expired
			keys[i] = &APIKey{ID: ids[i]}
		}
	}
	return s.dropKeys(ctx, keys)
}
