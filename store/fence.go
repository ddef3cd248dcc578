package store

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// Fence declares the data that is in Redis now valid: quarantined replicas accept it as it is. The caller first revokes
// what a restored Redis has brought back. The feed is deleted, so that guards forget all that they were told before, also
// by a process without a feed. It returns the fence: the present millisecond, or one more than the last fence.
func (s *Store) Fence(ctx context.Context) (fence int64, err error) {
	const op = "fence"
	if err := s.deleteFeed(ctx, op); err != nil && (s.feed != nil || redisdb.ErrorPrefix(err) != "NOPERM") {
		return 0, err
	}
	err = s.transact(ctx, op, fenceKey, func(tx *redis.Tx) (t transaction, err error) {
		last, err := tx.Get(ctx, fenceKey).Result()
		if redisdb.Failure(err) != nil {
			return t, err
		}
		before, _ := strconv.ParseInt(last, 10, 64) // none is 0, and so is what no fence wrote
		fence = max(s.now().UnixMilli(), before+1)
		return write(func(p redis.Pipeliner) { p.Set(ctx, fenceKey, fence, 0) })
	})
	return fence, err
}

// RevokeAllTokens revokes every token of every client, whether or not its record can be read and a list has it, and tells
// how many clients there were. Enabled clients fetch new ones at once. progress, which may be nil, is called after each page.
// It is for a process that does not Run: its deletions have no condition, and must not be replayed.
func (s *Store) RevokeAllTokens(ctx context.Context, cause Cause, progress func(done int)) (int, error) {
	return s.revokeOfAll(ctx, "revoke all tokens", cause, clientRecords, genField, progress)
}

// RevokeAllSessions signs every user out, and tells how many users there were. progress is as in RevokeAllTokens.
func (s *Store) RevokeAllSessions(ctx context.Context, cause Cause, progress func(done int)) (int, error) {
	return s.revokeOfAll(ctx, "revoke all sessions", cause, userRecords, sessionField, progress)
}

// revokeOfAll deletes a field of every record of a kind.
func (s *Store) revokeOfAll(ctx context.Context, op string, cause Cause, kind recordKind, field string, progress func(int)) (done int, err error) {
	ids, err := s.everyID(ctx, kind)
	if err != nil {
		return 0, err
	}
	for page := range slices.Chunk(ids, everyPage) {
		all := step{Revocation: cause.revocation(AllRevoked)}
		for _, id := range page {
			all.deletions = append(all.deletions, rollback.OfFields(kind.prefix+id, field, changeField))
		}
		if _, err := s.revoke(ctx, op, all); err != nil {
			return done, err
		}
		done += len(page)
		if progress != nil {
			progress(done)
		}
	}
	return done, nil
}
