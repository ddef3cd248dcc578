package store

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
)

// doubt shuts the gate if a part that gave no answer may lose an end by that which is not written down: whoever takes its
// place may have the mark without the end.
func (e *epoch) doubt(ctx context.Context, fails func(part int) error) {
	if errors.Is(ctx.Err(), context.Canceled) { // it was this replica that hung up
		return
	}
	if e.journal.owes(func(key string) bool { return noAnswer(fails(e.part(key))) }) {
		e.gate.shut.CompareAndSwap(nil, shutToNote)
	}
}

// failed shuts the gate if err says that this Redis takes no writes. It may have lost touch with the one that does,
// and not know what was ended there.
func (e *epoch) failed(ctx context.Context, err error) {
	if takesNoWrites(err) {
		e.lines.hangUp()
		if !e.isBehind() {
			e.shut(shutForWrites(err))
		}
	}
	if text := err.Error(); text != e.told && redis.IsPermissionError(err) {
		e.told = text
		e.log.WarnContext(ctx, "this replica will not notice if the store loses writes", "error", err)
	}
}

// takesNoWrites is whether err is, or has in it, one by which a Redis says that it is not, or no longer, a primary with
// the replicas that it should have. For want of memory or of disk it refuses other writes, and is a primary.
func takesNoWrites(err error) bool {
	return oneOf(err, func(err error) bool {
		return redis.IsReadOnlyError(err) || redis.IsMasterDownError(err) || redis.IsNoReplicasError(err)
	})
}

// noAnswer is whether err is, or has in it, one after which another Redis may be there, or the same one with less.
func noAnswer(err error) bool {
	return err != nil && oneOf(err, func(err error) bool {
		return Refusal(err) == "" && !errors.Is(err, errDamaged) || redis.IsLoadingError(err) || redis.IsClusterDownError(err)
	})
}

func oneOf(err error, is func(error) bool) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return oneOf(err, is) })
	}
	return is(err)
}
