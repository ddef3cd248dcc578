package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// EndKey ends a key for good. It says whether the key was live until now: one that had ended already keeps the
// end that it had. ErrNotFound if there is no such key.
func (s *Store) EndKey(ctx context.Context, id string, end KeyEnd) (wasLive bool, err error) {
	record, err := s.rdb.Get(ctx, apiKeyKey(id)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return false, ErrNotFound
	case err != nil:
		return false, unavailable("end key", err)
	}
	var d Digest
	if copy(d[:], record) < len(d) {
		return false, unavailable("end key", errDamaged)
	}
	n, err := s.delCredential(ctx, s.rdb, d).Result()
	if err != nil {
		return false, unavailable("end key", err)
	}
	k, err := decodeKey(id, record) // one that cannot be read has ended too
	if err != nil {
		s.log.WarnContext(ctx, "an ended key cannot be described", "key", id, "error", err)
		return n > 0, nil
	}
	s.buryKeys(ctx, []*APIKey{k}, end)
	return n > 0, nil
}

// EndKeys ends many keys, and returns those that were live until now.
func (s *Store) EndKeys(ctx context.Context, keys []*APIKey, end KeyEnd) (were []*APIKey, err error) {
	cmds := make([]*redis.IntCmd, len(keys))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, k := range keys {
			cmds[i] = s.delCredential(ctx, p, k.Digest)
		}
		return nil
	}); err != nil {
		return nil, unavailable("end keys", err)
	}
	for i, k := range keys {
		if cmds[i].Val() > 0 {
			were = append(were, k)
		}
	}
	s.buryKeys(ctx, keys, end)
	return were, nil
}

// buryKeys writes down how keys ended, which holds already: it tidies up and cannot fail.
func (s *Store) buryKeys(ctx context.Context, keys []*APIKey, end KeyEnd) {
	const batch = 200
	for len(keys) > 0 {
		n := min(batch, len(keys))
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, k := range keys[:n] {
				k.Live = false
				if k.Ended == nil && (k.ExpiresAt.IsZero() || end.At.Before(k.ExpiresAt)) {
					k.Ended = &end
				}
				_ = s.describeKey(ctx, p, k)
				s.retireKey(ctx, p, k)
			}
			return nil
		})
		if err != nil {
			s.log.WarnContext(ctx, "how keys ended is not written down", "keys", n, "error", err)
		}
		keys = keys[n:]
	}
}

// endKeysOf writes down the end of all keys of a person who is gone.
func (s *Store) endKeysOf(ctx context.Context, userID string, end KeyEnd) {
	ids, err := s.rdb.ZRange(ctx, liveKeysOf(userID), 0, -1).Result()
	var keys []*APIKey
	if err == nil && len(ids) > 0 {
		keys, err = s.keysOf(ctx, ids)
	}
	if err == nil {
		_, err = s.EndKeys(ctx, present(keys), end)
	}
	if err == nil {
		_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Del(ctx, liveKeysOf(userID)) // with what was counted and is not there
			p.Expire(ctx, keysOfUser(userID), endedKept+endedGrace)
			return nil
		})
	}
	if err != nil {
		s.log.WarnContext(ctx, "the keys of a deleted person are dead, and left behind", "user", userID, "error", err)
	}
}
