package store

import (
	"errors"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// The verdicts of the store. Callers branch on these with errors.Is; everything else that can go
// wrong matches [ErrUnavailable].
var (
	// ErrNotFound: there is no such record, or no longer.
	ErrNotFound = errors.New("not found")
	// ErrExists: the name is taken.
	ErrExists = errors.New("already exists")
	// ErrConflict: another change of the record came first; nothing was written.
	ErrConflict = errors.New("changed by another request")
	// ErrNewerRecord: a newer Mintkeep wrote this record. What is not understood cannot be
	// judged, so it fails closed: it matches ErrUnavailable too.
	ErrNewerRecord error = newerRecordError{}

	// ErrUnavailable: the answer is not known. Neither yes nor no, and after a write: perhaps applied, perhaps not.
	ErrUnavailable = redisdb.ErrUnavailable
	// ErrUnconfirmed: a revocation or a change was applied, and cannot be said to last as [Options.Durability] asks,
	// or was not announced. It matches ErrUnavailable: its caller repeats it.
	ErrUnconfirmed = redisdb.ErrUnconfirmed
	// ErrQuarantined: Redis holds less than this process has seen in it. It matches ErrUnavailable.
	ErrQuarantined = rollback.ErrQuarantined
	// ErrDurability: this Redis cannot give what [Options.Durability] asks for. The message says how to fix it.
	ErrDurability = redisdb.ErrDurability
)

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

type newerRecordError struct{}

func (newerRecordError) Error() string { return "record written by a newer version" }

func (newerRecordError) Is(target error) bool { return target == ErrUnavailable }

// unavailable says that op got no answer from Redis: see [redisdb.Unavailable]. A verdict of the store, which was
// returned through a transaction's plan for instance, stays itself.
func unavailable(op string, err error) error {
	for _, verdict := range []error{ErrNotFound, ErrExists, ErrConflict} {
		if errors.Is(err, verdict) {
			return err
		}
	}
	return redisdb.Unavailable(op, err)
}
