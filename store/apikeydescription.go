package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// redescribeKey changes the description of a key, unless it was revoked: ErrNotFound then. A tombstone is not changed.
func (s *Store) redescribeKey(ctx context.Context, id string, change func(*APIKey) error) (k *APIKey, err error) {
	err = s.transact(ctx, "describe key", apiKeyKey(id), func(tx *redis.Tx) (t transaction, err error) {
		record, err := tx.Get(ctx, apiKeyKey(id)).Result()
		if errors.Is(err, redis.Nil) {
			return t, ErrNotFound
		}
		if err != nil {
			return t, err
		}
		if k, err = decodeKey(id, record); err != nil {
			return t, err
		}
		if k.Tombstone != nil {
			return t, ErrNotFound
		}
		if err := change(k); err != nil {
			return t, err
		}
		return write(func(p redis.Pipeliner) { _ = s.describeKey(ctx, p, k) })
	})
	return k, err
}

// inactiveFrom is when the key was revoked, or expires; zero: never.
func (k *APIKey) inactiveFrom() time.Time {
	if k.Tombstone != nil {
		return k.Tombstone.At
	}
	return k.ExpiresAt
}

// describeKey writes a description, which expires a while after the key does. It is the digest, so that even a key
// whose description cannot be read can be revoked, and the JSON behind that.
func (s *Store) describeKey(ctx context.Context, c redis.Cmdable, k *APIKey) error {
	return writeDescription(ctx, c, k, s.descriptionLifetime(k))
}

func writeDescription(ctx context.Context, c redis.Cmdable, k *APIKey, ttl time.Duration) error {
	return c.Set(ctx, apiKeyKey(k.ID), string(k.Digest[:])+encodeRecord(k), ttl).Err()
}

// keepDescription has a description that expires within a minute stay as long as it should. It does not write it again:
// a tombstone may be in its place by now.
func (s *Store) keepDescription(ctx context.Context, k *APIKey) error {
	const op = "describe key"
	kept := redis.NewBoolCmd(ctx, "persist", apiKeyKey(k.ID))
	if ttl := s.descriptionLifetime(k); ttl > 0 {
		kept = redis.NewBoolCmd(ctx, "pexpire", apiKeyKey(k.ID), ttl.Milliseconds())
	}
	switch err := s.rdb.Process(ctx, kept); {
	case err != nil:
		return unavailable(op, err)
	case !kept.Val():
		return unavailable(op, errors.New("it expired before the key was listed"))
	}
	return nil
}

// descriptionLifetime is how long a description stays from now on: a while longer than the key. 0: until it is deleted.
func (s *Store) descriptionLifetime(k *APIKey) time.Duration {
	from := k.inactiveFrom()
	if from.IsZero() {
		return 0
	}
	return max(from.Add(keyShown+keyGrace).Sub(s.now()), time.Millisecond)
}

func decodeKey(id, record string) (*APIKey, error) {
	k := &APIKey{ID: id}
	if copy(k.Digest[:], record) < len(k.Digest) {
		return nil, unavailable("read key", redisdb.ErrDamaged)
	}
	if err := decodeRecord(record[len(k.Digest):], k); err != nil {
		return nil, fmt.Errorf("key %s: %w", id, err)
	}
	return k, nil
}

// KeysByID reads many keys, active or not; nil stands for one that is not there. One whose description cannot be read has its id
// and digest, and says why.
func (s *Store) KeysByID(ctx context.Context, ids []string) ([]*APIKey, error) {
	return s.keysOf(ctx, ids)
}

// keysOf reads many keys in two round trips; nil stands for one that is not there.
func (s *Store) keysOf(ctx context.Context, ids []string) ([]*APIKey, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	described := make([]*redis.StringCmd, len(ids))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			described[i] = p.Get(ctx, apiKeyKey(id))
		}
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("read keys", err)
	}
	keys := make([]*APIKey, len(ids))
	for i, cmd := range described {
		record, err := cmd.Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, unavailable("read keys", err)
		}
		if keys[i], err = decodeKey(ids[i], record); err != nil { // which must not keep the others from being seen
			keys[i] = &APIKey{ID: ids[i], Unreadable: err}
			copy(keys[i].Digest[:], record)
		}
	}
	return keys, s.findActive(ctx, keys)
}

// findActive asks which of the keys are active or disabled, and shows those as their records have them.
func (s *Store) findActive(ctx context.Context, keys []*APIKey) error {
	cmds, now := make([]*redis.StringCmd, len(keys)), s.now()
	p := s.rdb.Pipeline()
	for i, k := range keys {
		if k == nil {
			continue
		}
		if k.Tombstone == nil && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt)) {
			cmds[i] = s.credentials.get(ctx, k.Digest)
			_ = p.Process(ctx, cmds[i])
		} else {
			k.take(nil, now)
		}
	}
	if p.Len() == 0 {
		return nil
	}
	if _, err := p.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return unavailable("read keys", err)
	}
	for i, cmd := range cmds {
		if cmd == nil {
			continue
		}
		if err := redisdb.Failure(cmd.Err()); err != nil {
			return unavailable("read keys", err)
		}
		c, err := decodeCredential(cmd)
		keys[i].take(c, now)
		keys[i].Active = keys[i].Active || err != nil && !isNotFound(err) // a newer version may accept it
	}
	return nil
}

// tidyAfter is how old, by this clock, what a creation or an expiry has left must be before it is tidied up. The clocks of two
// replicas may differ by that.
const tidyAfter = time.Hour

// withoutRecord are those of the keys that are not active and of which Redis has no record. A key that has expired by this clock
// alone has one. It leaves out keys of which another clock may say something else: those that were created within tidyAfter,
// whose creation may be under way, and those that expire within it and may have expired.
func (s *Store) withoutRecord(ctx context.Context, keys []*APIKey) (gone []*APIKey, err error) {
	now := s.now()
	candidates := slices.DeleteFunc(slices.Clone(keys), func(k *APIKey) bool {
		if k == nil || k.Revocable() {
			return true
		}
		left := k.ExpiresAt.Sub(now)
		return k.Tombstone == nil && (now.Sub(k.CreatedAt) <= tidyAfter || left > 0 && left <= tidyAfter)
	})
	if len(candidates) == 0 {
		return nil, nil
	}
	records, p := make([]*redis.StringCmd, len(candidates)), s.rdb.Pipeline()
	for i, k := range candidates {
		records[i] = s.credentials.get(ctx, k.Digest)
		_ = p.Process(ctx, records[i])
	}
	if _, err := p.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("read keys", err)
	}
	for i, k := range candidates {
		switch err := records[i].Err(); {
		case k.Tombstone != nil, errors.Is(err, redis.Nil):
			gone = append(gone, k)
		case err != nil:
			return nil, unavailable("read keys", err)
		}
	}
	return gone, nil
}

func present[T any](things []*T) []*T {
	var there []*T
	for _, thing := range things {
		if thing != nil {
			there = append(there, thing)
		}
	}
	return there
}
