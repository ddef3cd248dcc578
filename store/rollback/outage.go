package rollback

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// tripIfUncovered trips the breaker if an acknowledged deletion is pending in a part that gave no answer: the server
// that takes its place may have the watermark without the deletion. errOf is the error of a part, or nil.
func (m *Monitor) tripIfUncovered(ctx context.Context, errOf func(part int) error) {
	if errors.Is(ctx.Err(), context.Canceled) { // this replica has given up, not Redis
		return
	}
	if m.log.pendingAcknowledged(func(key string) bool { return isNoAnswer(errOf(m.part(key))) }) {
		m.breaker.tripIfClosed(uncovered)
	}
}

// heartbeatFailed trips the breaker if err says that this Redis takes no writes. It may have lost its link to the
// primary, and not know what was revoked there. An error of the ACL is logged once.
func (m *Monitor) heartbeatFailed(ctx context.Context, err error) {
	if takesNoWrites(err) {
		m.db.CloseConnections()
		if !m.IsQuarantined() {
			m.breaker.trip(notPrimary(err))
		}
	}
	if text := err.Error(); text != m.warned && redis.IsPermissionError(err) {
		m.warned = text
		m.logger.WarnContext(ctx, "this replica cannot detect a rollback of Redis: the ACL denies a command", "error", err)
	}
}

// takesNoWrites is whether err is, or contains, one by which a Redis says that it is not, or no longer, a primary with
// the replicas that it should have. One that is out of memory (OOM), or cannot write to its disk (MISCONF), is a
// primary.
func takesNoWrites(err error) bool {
	return anyOf(err, func(err error) bool {
		return redis.IsReadOnlyError(err) || redis.IsMasterDownError(err) || redis.IsNoReplicasError(err)
	})
}

// isNoAnswer is whether err is, or contains, one after which another Redis may be there, or the same one with less.
func isNoAnswer(err error) bool {
	return err != nil && anyOf(err, func(err error) bool {
		return redisdb.ErrorPrefix(err) == "" && !errors.Is(err, redisdb.ErrDamaged) || redis.IsLoadingError(err) || redis.IsClusterDownError(err)
	})
}

// anyOf is whether is holds for err, or for one of the errors that err joins.
func anyOf(err error, is func(error) bool) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return anyOf(err, is) })
	}
	return is(err)
}
