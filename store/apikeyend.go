package store

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
)

// RevokeKey ends a key for good. It says whether the key was live until now: one that had ended already keeps the
// end that it had. ErrNotFound if there is no such key. With ErrUnconfirmed it has ended, and it says so as well.
func (s *Store) RevokeKey(ctx context.Context, id string, cause Cause) (wasLive bool, err error) {
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
	took, err := s.end(ctx, "end key", s.credentialEnding(d))
	if failed(err) {
		return false, err
	}
	wasLive = took[0] > 0
	k, unreadable := decodeKey(id, record) // it has ended too
	if unreadable != nil {
		s.log.WarnContext(ctx, "an ended key cannot be described", "key", id, "error", unreadable)
		return wasLive, err
	}
	s.buryKeys(ctx, []*APIKey{k}, cause)
	return wasLive, err
}

// RevokeKeys ends many keys, and returns those that were live until now. The others keep the end that they had.
// With ErrUnconfirmed they have ended, and it returns them as well.
func (s *Store) RevokeKeys(ctx context.Context, keys []*APIKey, cause Cause) (were []*APIKey, err error) {
	ends := make([]ending, len(keys))
	for i, k := range keys {
		ends[i] = s.credentialEnding(k.Digest)
	}
	took, err := s.end(ctx, "end keys", ends...)
	if failed(err) {
		return nil, err
	}
	for i, k := range keys {
		if took[i] > 0 {
			were = append(were, k)
		}
	}
	s.buryKeys(ctx, were, cause)
	return were, err
}

// buryKeys writes down how keys ended, which holds already: it tidies up and cannot fail. A key stays among the live
// ones until it is written down, so that Run finds it there if it could not be.
func (s *Store) buryKeys(ctx context.Context, keys []*APIKey, cause Cause) {
	const batch = 200
	for batch := range slices.Chunk(keys, batch) {
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, k := range batch {
				s.buryKey(ctx, p, k, cause)
			}
			return nil
		})
		if err == nil {
			_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
				for _, k := range batch {
					s.retireKey(ctx, p, k)
				}
				return nil
			})
		}
		if err != nil {
			s.log.WarnContext(ctx, "how keys ended is not written down yet", "keys", len(batch), "error", err)
		}
	}
}

func (s *Store) buryKey(ctx context.Context, p redis.Pipeliner, k *APIKey, cause Cause) {
	k.Active = false
	if k.Tombstone == nil && (k.ExpiresAt.IsZero() || cause.At.Before(k.ExpiresAt)) {
		k.Tombstone = cause.Tombstone()
	}
	p.ZAdd(ctx, dueKeys, redis.Z{Member: k.ID, Score: scoreOf(k.endsAt().Add(endedKept))})
	if k.Unreadable == nil { // else what it says is kept for who can read it
		_ = s.describeKey(ctx, p, k)
	}
}

// sweepKeys writes down the ends that nobody could write down: of keys that stand among the live ones, have no record,
// and are not being made at this moment. It looks at some of them each time.
func (s *Store) sweepKeys(ctx context.Context) error {
	const some = 500
	ids, err := s.rdb.ZRange(ctx, liveKeys, s.swept, s.swept+some-1).Result()
	if err != nil {
		return unavailable("sweep keys", err)
	}
	s.swept += int64(len(ids))
	if len(ids) < some {
		s.swept = 0
	}
	keys, err := s.keysOf(ctx, ids)
	if err != nil {
		return err
	}
	var dead []*APIKey
	for i, k := range keys {
		switch {
		case k == nil: // its description has had its time, or was never finished
			dead = append(dead, &APIKey{ID: ids[i], Unreadable: errDamaged})
		case !k.Active && s.now().Sub(k.CreatedAt) > unfinished:
			dead = append(dead, k)
		}
	}
	s.buryKeys(ctx, dead, Cause{At: s.now().UTC(), Reason: "not recorded"})
	return nil
}

// endKeysOf writes down the end of all keys of a person who is gone.
func (s *Store) endKeysOf(ctx context.Context, userID string, cause Cause) {
	ids, err := s.rdb.ZRange(ctx, liveKeysOf(userID), 0, -1).Result()
	var keys []*APIKey
	if err == nil && len(ids) > 0 {
		keys, err = s.keysOf(ctx, ids)
	}
	if err == nil {
		_, err = s.RevokeKeys(tidy(ctx), present(keys), cause)
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
