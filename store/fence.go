package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Fence says that what is in Redis now is what holds: replicas that are behind it (ErrBehind) take it as it is. Whoever
// fences ends first what a restored Redis has brought back. It returns the fence: the present millisecond, or one more
// than the last fence.
func (s *Store) Fence(ctx context.Context) (fence int64, err error) {
	err = s.change(ctx, "fence", fenceKey, func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		last, err := tx.Get(ctx, fenceKey).Result()
		if failure(err) != nil {
			return nil, err
		}
		before, _ := strconv.ParseInt(last, 10, 64) // none is 0, and so is what no fence wrote
		fence = max(s.now().UnixMilli(), before+1)
		return func(p redis.Pipeliner) { p.Set(ctx, fenceKey, fence, 0) }, nil
	})
	return fence, err
}

// RevokeAllTokens ends every token of every client, whether or not its record can be read, and tells how many clients
// there were. Enabled clients fetch new ones at once. told, which may be nil, hears of each page. It is for a process that
// does not Run: no sign is read, so that its ends must not be repeated.
func (s *Store) RevokeAllTokens(ctx context.Context, cause Cause, told func(done int)) (int, error) {
	return s.endOfAll(ctx, "end all tokens", clients, clientKey, genField, told)
}

// RevokeAllSessions signs every person out, and tells how many people there were. told is as in RevokeAllTokens.
func (s *Store) RevokeAllSessions(ctx context.Context, cause Cause, told func(done int)) (int, error) {
	return s.endOfAll(ctx, "end all sessions", users, userKey, sessionField, told)
}

// endOfAll takes a field of every thing away that is in a directory.
func (s *Store) endOfAll(ctx context.Context, op string, d directory, key func(id string) string, field string, told func(int)) (done int, err error) {
	const page = 500
	walk := &directoryWalk{directory: d}
	for {
		ids, err := s.entries(ctx, walk, page)
		if err != nil {
			return done, err
		}
		ends := make([]ending, len(ids))
		for i, id := range ids {
			ends[i] = removal(key(id), field)
		}
		if _, err := s.end(ctx, op, ends...); err != nil {
			return done, err
		}
		done += len(ids)
		if told != nil {
			told(done)
		}
		if len(ids) < page {
			return done, nil
		}
		walk.last = ids[len(ids)-1]
	}
}

// Address is where the store is, for people: the hosts, and never a password. Empty: in this process.
func (s *Store) Address() string {
	t := s.target
	at := strings.Join(t.addrs, ",")
	switch t.kind {
	case sentinel:
		at = t.master + " behind the Sentinels " + at
	case cluster:
		at = "the cluster of " + at
	}
	if t.db != 0 {
		at += ", database " + strconv.Itoa(t.db)
	}
	return at
}
