package store

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// RevokeKey revokes a key. It says whether the key was active until now: one that was revoked already keeps the
// tombstone that it has. ErrNotFound if there is no such key. With ErrUnconfirmed it is revoked, and it says so as well.
func (s *Store) RevokeKey(ctx context.Context, id string, cause Cause) (wasActive bool, err error) {
	const op = "revoke key"
	record, err := s.rdb.Get(ctx, apiKeyKey(id)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return false, ErrNotFound
	case err != nil:
		return false, unavailable(op, err)
	}
	var d Digest
	if copy(d[:], record) < len(d) {
		return false, unavailable(op, redisdb.ErrDamaged)
	}
	k, unreadable := decodeKey(id, record) // it is revoked too
	if unreadable != nil {
		k = &APIKey{ID: id, Digest: d}
	}
	k.Unreadable = unreadable
	were, err := s.RevokeKeys(ctx, []*APIKey{k}, cause)
	return len(were) > 0, err
}

// keyStep revokes a key.
func (s *Store) keyStep(cause Cause, k *APIKey) step {
	r := cause.keyRevocation(k.ID, k.UserID, k.Digest)
	r.Expires = k.ExpiresAt
	return step{Revocation: r, deletions: []rollback.Deletion{s.credentials.deletion(k.Digest)}}
}

// RevokeKeys revokes many keys, and returns those that were active or disabled until now. The others keep the tombstone that
// they have. With ErrUnconfirmed they are revoked, and it returns them as well.
func (s *Store) RevokeKeys(ctx context.Context, keys []*APIKey, cause Cause) (were []*APIKey, err error) {
	const op = "revoke keys"
	were, creations, err := s.revokeKeys(ctx, keys, s.keySteps(cause, keys), cause)
	if redisdb.Failed(err) || len(creations) == 0 {
		return were, err
	}
	if err := s.writeTombstones(ctx, creations, cause); err != nil {
		return nil, unavailable(op, err)
	}
	// What a creation has written meanwhile was deleted behind the tombstone. This is remembered and confirmed too.
	_, again := s.revoke(ctx, op, s.keySteps(cause, creations)...)
	return were, redisdb.MostSevere(err, again)
}

func (s *Store) keySteps(cause Cause, keys []*APIKey) []step {
	steps := make([]step, len(keys))
	for i, k := range keys {
		steps[i] = s.keyStep(cause, k)
	}
	return steps
}

// revokeKeys applies a step for each key. creations are the keys that had neither a record nor a tombstone: their creation is
// perhaps under way, see lookAgain.
func (s *Store) revokeKeys(ctx context.Context, keys []*APIKey, steps []step, cause Cause) (were, creations []*APIKey, err error) {
	deleted, err := s.revoke(ctx, "revoke keys", steps...)
	if redisdb.Failed(err) {
		return nil, nil, err
	}
	var readable []*APIKey
	for i, k := range keys {
		switch {
		case deleted[i] > 0:
			were = append(were, k)
		case k.Unreadable == nil && k.Tombstone == nil:
			creations = append(creations, k)
		}
		if k.Unreadable != nil {
			s.log.WarnContext(ctx, "writing a key's tombstone failed: its description cannot be read", "key", k.ID, "error", k.Unreadable)
		} else if deleted[i] > 0 {
			readable = append(readable, k)
		}
	}
	_ = s.writeTombstones(ctx, readable, cause)
	return were, creations, err
}

// writeTombstones writes when, by whom and why keys were revoked, which holds already: an error is logged. A key stays
// among the active ones until its tombstone is written, so that Run finds it there if that failed. The record of a key
// that was being created is deleted once more behind the tombstone.
func (s *Store) writeTombstones(ctx context.Context, keys []*APIKey, cause Cause) (failed error) {
	const batch = 200
	for batch := range slices.Chunk(keys, batch) {
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, k := range batch {
				s.rejected.noteFormer(k.Digest, k.ID)
				s.writeTombstone(ctx, p, k, cause)
			}
			return nil
		})
		if err == nil {
			_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
				for _, k := range batch {
					_ = p.Process(ctx, s.credentials.deletion(k.Digest).Command(ctx))
					s.retireKey(ctx, p, k)
				}
				return nil
			})
		}
		if err != nil {
			failed = err
			s.log.WarnContext(ctx, "writing the tombstones of keys failed; they are written later", "keys", len(batch), "error", err)
		}
	}
	return failed
}

func (s *Store) writeTombstone(ctx context.Context, p redis.Pipeliner, k *APIKey, cause Cause) {
	k.Active, k.Disabled = false, nil
	if k.Tombstone == nil && (k.ExpiresAt.IsZero() || cause.At.Before(k.ExpiresAt)) {
		k.Tombstone = cause.Tombstone()
	}
	p.ZAdd(ctx, dueKeys, redis.Z{Member: k.ID, Score: scoreOf(k.inactiveFrom().Add(keyShown))})
	if k.Unreadable == nil { // else its description stays as it is, for a version that can read it
		_ = s.describeKey(ctx, p, k)
	}
}

// sweepKeys writes the tombstones that could not be written: of keys that stand among the active ones, have no record,
// and cannot be being created at this moment. It looks at some of them each time, and enters the words of the active ones:
// version 0.1.0 entered none.
func (s *Store) sweepKeys(ctx context.Context) error {
	const some = 500
	ids, err := s.rdb.ZRange(ctx, activeKeys, s.swept, s.swept+some-1).Result()
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
	revoked, err := s.withoutRecord(ctx, keys)
	if err != nil {
		return err
	}
	for i, k := range keys {
		if k == nil { // its description has expired, or was never finished
			revoked = append(revoked, &APIKey{ID: ids[i], Unreadable: redisdb.ErrDamaged})
		}
	}
	_ = s.writeTombstones(ctx, revoked, Cause{At: s.now().UTC(), Reason: "not recorded"})
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, k := range keys {
			if k != nil && k.Revocable() {
				allKeys.enterNames(ctx, p, k.ID, k.Name)
			}
		}
		return nil
	})
	return unavailable("enter words", err)
}

// revokeKeysOf revokes all keys of a user who is deleted, and writes their tombstones. What was announced is the user: no
// key is valid without one.
func (s *Store) revokeKeysOf(ctx context.Context, userID string, cause Cause) {
	ids, err := s.rdb.ZRange(ctx, activeKeysOf(userID), 0, -1).Result()
	var keys []*APIKey
	if err == nil && len(ids) > 0 {
		keys, err = s.keysOf(ctx, ids)
	}
	if err == nil {
		keys = present(keys)
		steps := s.keySteps(cause, keys)
		for i := range steps {
			steps[i].silent = true
		}
		_, _, err = s.revokeKeys(redisdb.WithoutBarrier(ctx), keys, steps, cause)
	}
	if err == nil {
		_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Del(ctx, activeKeysOf(userID)) // with what was counted and is not there
			p.Expire(ctx, keysOfUser(userID), keyShown+keyGrace)
			return nil
		})
	}
	if err != nil {
		s.log.WarnContext(ctx, "cleaning up the keys of a deleted user failed; none of these keys is active", "user", userID, "error", err)
	}
}
