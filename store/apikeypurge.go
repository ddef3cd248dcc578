package store

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// MaxInactiveKeys is how many inactive keys of a user are kept.
const MaxInactiveKeys = 2_000

// purgeOldest drops the oldest of a user's inactive keys, if there are too many. It comes after a creation, by which alone
// there can be more, and cannot fail it.
func (s *Store) purgeOldest(ctx context.Context, userID string) {
	if err := s.purgeOldestKeys(ctx, userID); err != nil {
		s.log.WarnContext(ctx, "purging the oldest inactive keys of a user failed; the next creation of a key retries it", "user", userID, "error", err)
	}
}

func (s *Store) purgeOldestKeys(ctx context.Context, userID string) error {
	const batch = 200
	var all, active *redis.IntCmd
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		all = p.ZCard(ctx, keysOfUser(userID))
		active = p.ZCount(ctx, activeKeysOf(userID), "("+strconv.FormatInt(s.now().UnixMilli(), 10), "+inf")
		return nil
	}); err != nil {
		return unavailable("count keys", err)
	}
	excess := min(all.Val()-active.Val()-MaxInactiveKeys, batch)
	if excess <= 0 {
		return nil
	}
	ids, err := s.rdb.ZRange(ctx, keysOfUser(userID), 0, active.Val()+excess-1).Result() // by their creation
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
	var oldest []*APIKey
	for i, k := range keys {
		if int64(len(oldest)) == excess {
			break
		}
		if k == nil {
			k = &APIKey{ID: ids[i]}
		} else if !slices.Contains(gone, k) {
			continue
		}
		k.UserID = userID
		oldest = append(oldest, k)
	}
	return s.dropKeys(ctx, oldest)
}

// dropKeys drops all that is left of keys.
func (s *Store) dropKeys(ctx context.Context, keys []*APIKey) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, k := range keys {
			if k.UserID != "" { // else it cannot be read: its user and its name are not known
				p.ZRem(ctx, keysOfUser(k.UserID), k.ID)
				p.ZRem(ctx, activeKeysOf(k.UserID), k.ID)
				p.ZRem(ctx, allKeys.names, nameEntry(k.Name, k.ID))
				if entries := allKeys.wordEntries(k.ID, []string{k.Name}); len(entries) > 0 {
					p.ZRem(ctx, allKeys.words, anys(entries)...)
				}
				p.HDel(ctx, keyUsesKey(k.UserID), k.ID)
			}
			p.Del(ctx, keyDaysKey(k.ID))
			p.Del(ctx, formerKey(k.Digest))
			p.Del(ctx, apiKeyKey(k.ID))
			p.ZRem(ctx, allKeys.ids, k.ID)
			p.ZRem(ctx, activeKeys, k.ID)
			p.ZRem(ctx, dueKeys, k.ID) // last: should the rest fail, it is found again
		}
		return nil
	})
	return unavailable("purge keys", err)
}
