package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxRejected bounds the credentials that are not active and whose rejections are counted between two flushes: what a
	// caller makes up must not cost Redis more than so many reads.
	maxRejected = 1_000
	// formerKept is for how long after its revocation or expiry a key is known by its digest. A disabled key is known by its record.
	formerKept = 31 * 24 * time.Hour
)

// rejectedUses are the rejected uses of API keys that were not flushed yet.
type rejectedUses struct {
	mu        sync.Mutex
	keys      map[string]int64  // by the id of an active key
	inactive  map[Digest]int64  // by the digest of what is not active; Run finds out whether it was a key
	formerIDs map[Digest]string // keys that are not active any more
}

// formerKey holds the id of a key that is not active any more, by which the uses are counted that are rejected.
func formerKey(d Digest) string { return "mk:kf:" + string(d[:16]) }

// RecordKeyRejection counts a use of an active API key that was rejected: the key lacks a scope, is over its limit, or is not
// taken there. Run flushes it: it costs no round trip.
func (s *Store) RecordKeyRejection(keyID string) {
	r := &s.rejected
	r.mu.Lock()
	defer r.mu.Unlock()
	countIn(&r.keys, keyID, 1, maxUses)
}

// RecordRejection counts a use of a credential that is not active, likewise, if it turns out to be an API key that is
// disabled, has expired, or was revoked in the last 31 days.
func (s *Store) RecordRejection(d Digest) {
	r := &s.rejected
	r.mu.Lock()
	defer r.mu.Unlock()
	countIn(&r.inactive, d, 1, maxRejected)
}

// countIn adds to a count, or begins one if there are not too many.
func countIn[K comparable](counts *map[K]int64, of K, n int64, most int) {
	if _, known := (*counts)[of]; !known && len(*counts) >= most {
		return
	}
	if *counts == nil {
		*counts = map[K]int64{}
	}
	(*counts)[of] += n
}

// noteFormer remembers the id of a key that is not active any more, until it is flushed.
func (r *rejectedUses) noteFormer(d Digest, keyID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d == (Digest{}) || len(r.formerIDs) >= maxUses {
		return
	}
	if r.formerIDs == nil {
		r.formerIDs = map[Digest]string{}
	}
	r.formerIDs[d] = keyID
}

// take is what was recorded since it was last called.
func (r *rejectedUses) take() (keys map[string]int64, inactive map[Digest]int64, formerIDs map[Digest]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, inactive, formerIDs = r.keys, r.inactive, r.formerIDs
	r.keys, r.inactive, r.formerIDs = nil, nil, nil
	return keys, inactive, formerIDs
}

// takeRejected writes which keys are not active any more, and returns the rejected uses by the id of the key.
func (s *Store) takeRejected(ctx context.Context) (map[string]int64, error) {
	keys, inactive, formerIDs := s.rejected.take()
	if err := s.writeFormer(ctx, formerIDs); err != nil {
		for d, id := range formerIDs {
			s.rejected.noteFormer(d, id)
		}
		return keys, err
	}
	const batch = 100 // two commands for each
	for digests := range slices.Chunk(slices.Collect(maps.Keys(inactive)), batch) {
		ids, err := s.keysByDigest(ctx, digests)
		if err != nil {
			return keys, err
		}
		for i, id := range ids {
			if id != "" {
				countIn(&keys, id, inactive[digests[i]], maxUses)
			}
		}
	}
	return keys, nil
}

func (s *Store) writeFormer(ctx context.Context, ids map[Digest]string) error {
	const batch = 200
	for digests := range slices.Chunk(slices.Collect(maps.Keys(ids)), batch) {
		if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, d := range digests {
				p.Set(ctx, formerKey(d), ids[d], formerKept)
			}
			return nil
		}); err != nil {
			return unavailable("write the ids of former keys", err)
		}
	}
	return nil
}

// keysByDigest are the ids of the keys with these digests that are not active any more, or whose owner is disabled; empty
// for what is no key, or is not known.
func (s *Store) keysByDigest(ctx context.Context, digests []Digest) ([]string, error) {
	former, records := make([]*redis.StringCmd, len(digests)), make([]*redis.StringCmd, len(digests))
	p := s.rdb.Pipeline()
	for i, d := range digests {
		former[i], records[i] = p.Get(ctx, formerKey(d)), s.credentials.get(ctx, d)
		_ = p.Process(ctx, records[i])
	}
	if _, err := p.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("look for rejected keys", err)
	}
	ids := make([]string, len(digests))
	for i := range digests {
		ids[i] = former[i].Val()
		if c, err := decodeCredential(records[i]); err == nil && c.Key != nil {
			ids[i] = c.Key.ID
		}
	}
	return ids, nil
}

// sweepExpired remembers keys that have expired by their digests, and takes them out of the active ones, at most 200 in a call. It
// leaves those among the active ones that another clock may call active; the next call begins behind them.
func (s *Store) sweepExpired(ctx context.Context) error {
	const some = 200
	ids, err := s.rdb.ZRangeByScore(ctx, activeKeys, &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(s.now().Add(-unfinished).UnixMilli(), 10), Offset: s.sweptLate, Count: some,
	}).Result()
	if err != nil {
		return unavailable("look for expired keys", err)
	}
	keys, err := s.keysOf(ctx, ids)
	if err != nil {
		return err
	}
	keys = slices.DeleteFunc(present(keys), func(k *APIKey) bool { return k.Unreadable != nil })
	for _, k := range keys {
		s.rejected.noteFormer(k.Digest, k.ID)
	}
	expired, err := s.withoutRecord(ctx, keys)
	if err != nil {
		return err
	}
	s.sweptLate += int64(len(ids) - len(expired))
	if len(ids) < some {
		s.sweptLate = 0
	}
	return s.writeTombstones(ctx, expired, Cause{At: s.now().UTC(), Reason: "expired"})
}
