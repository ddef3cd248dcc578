package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// reportedLate is how long after the revocation of a key it may have been used: guards answer from memory.
const reportedLate = time.Minute

// ReportKeyUse records n uses of the API key with this id, the last of them being last, as a guard has counted them. Run
// writes them if there is such a key. What cannot be the id of a key is ignored.
func (s *Store) ReportKeyUse(keyID string, n int64, last Use) {
	if !isKeyID(keyID) {
		return
	}
	u := &s.uses
	u.mu.Lock()
	defer u.mu.Unlock()
	before, known := u.reported[keyID]
	if !known && len(u.reported) >= maxUses {
		return
	}
	if u.reported == nil {
		u.reported = map[string]recorded{}
	}
	u.reported[keyID] = before.and(recorded{last, n})
}

// isKeyID is whether [NewKeyID] may have made the id. A secret in its place is not sent to Redis.
func isKeyID(id string) bool {
	rest, ok := strings.CutPrefix(id, keyIDPrefix)
	return ok && len(rest) > 0 && len(rest) <= 32 && !strings.ContainsFunc(rest, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// and is the sum of both, with the later of their last uses.
func (r recorded) and(other recorded) recorded {
	if other.At.After(r.At) {
		r.Use = other.Use
	}
	r.n += other.n
	return r
}

// takeReported adds the reported uses to used, which it changes: those of keys that exist, and the last use that Redis has,
// if that is later.
func (s *Store) takeReported(ctx context.Context, used map[use]recorded) (map[use]recorded, error) {
	s.uses.mu.Lock()
	reported := s.uses.reported
	s.uses.reported = nil
	s.uses.mu.Unlock()
	const batch = 200 // commands in one pipeline
	for ids := range slices.Chunk(slices.Collect(maps.Keys(reported)), batch) {
		places, err := s.placesOf(ctx, ids, reported)
		if err != nil {
			return used, err
		}
		if len(places) > 0 && used == nil {
			used = map[use]recorded{}
		}
		for at, last := range places {
			of := reported[at.field]
			s.statistics[KeyUses].Add(of.n)
			used[at] = used[at].and(of).and(recorded{Use: last})
		}
	}
	return used, nil
}

// placesOf says, of each key that exists, where its last use is written, and which one is there now.
func (s *Store) placesOf(ctx context.Context, ids []string, reported map[string]recorded) (map[use]Use, error) {
	descriptions := make([]*redis.StringCmd, len(ids))
	p := s.rdb.Pipeline()
	for i, id := range ids {
		descriptions[i] = p.Get(ctx, apiKeyKey(id))
	}
	if _, err := p.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("look for used keys", err)
	}
	last := map[use]*redis.StringCmd{}
	p = s.rdb.Pipeline()
	for i, id := range ids {
		text, err := descriptions[i].Result()
		if err != nil {
			continue // there is no such key
		}
		k, err := decodeKey(id, text)
		if err != nil || usedAfter(k, reported[id].At) {
			continue
		}
		at := use{keyUsesKey(k.UserID), id}
		last[at] = p.HGet(ctx, at.key, at.field)
	}
	if p.Len() == 0 {
		return nil, nil
	}
	if _, err := p.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("read last uses", err)
	}
	places := map[use]Use{}
	for at, cmd := range last {
		places[at], _ = parseUse(cmd.Val())
	}
	return places, nil
}

// usedAfter is whether the key had been invalid for longer than reportedLate by this time.
func usedAfter(k *APIKey, at time.Time) bool {
	inactive := k.inactiveFrom()
	return !inactive.IsZero() && at.Sub(inactive) > reportedLate
}
