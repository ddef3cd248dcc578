package store

import (
	"errors"
	"fmt"
	"strings"
)

// The verdicts of the store. Callers branch on these with errors.Is; everything else that can go
// wrong matches [ErrUnavailable].
var (
	// ErrNotFound: there is no such record, or no longer.
	ErrNotFound = errors.New("not found")
	// ErrExists: the name is taken.
	ErrExists = errors.New("already exists")
	// ErrConflict: somebody else changed the record first; nothing was written.
	ErrConflict = errors.New("changed by somebody else")
	// ErrNewerRecord: a newer Mintkeep wrote this record. What is not understood cannot be
	// judged, so it fails closed: it matches ErrUnavailable too.
	ErrNewerRecord error = newerRecordError{}
	// ErrUnavailable: the answer is not known, because the backend was unreachable, slow,
	// read-only, out of memory, or said something unexpected. Neither yes nor no, and after a
	// write: perhaps done, perhaps not.
	ErrUnavailable = errors.New("store unavailable")
)

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

type newerRecordError struct{}

func (newerRecordError) Error() string { return "record written by a newer version" }

func (newerRecordError) Is(target error) bool { return target == ErrUnavailable }

// unavailable says that op got no answer from the backend: the result matches [ErrUnavailable], and
// the cause is kept for the log. A nil err stays nil, and a verdict of the store, returned through a
// transaction's callback for instance, stays itself.
//
// No kind of failure is sorted out here, on purpose. An expired context, a refused connection, a full
// pool, LOADING, READONLY, OOM, MISCONF, NOREPLICAS, CLUSTERDOWN, NOPERM and a reply of the wrong
// type have in common that the store does not know, and a list of them would miss the next one.
// redis.Nil is an answer: whoever asks for a record turns it into ErrNotFound before coming here.
func unavailable(op string, err error) error {
	if err == nil {
		return nil
	}
	for _, verdict := range []error{ErrNotFound, ErrExists, ErrConflict, ErrUnavailable} {
		if errors.Is(err, verdict) {
			return err
		}
	}
	return &unavailableError{op: op, cause: err}
}

type unavailableError struct {
	op    string
	cause error
}

func (e *unavailableError) Error() string {
	return fmt.Sprintf("%s: %v: %s", e.op, ErrUnavailable, withoutArgs(e.cause.Error()))
}

func (e *unavailableError) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

// withoutArgs cuts what Redis quotes of a command that it does not know. An old server answers
// HELLO … AUTH that way, which has the password among its arguments.
func withoutArgs(msg string) string {
	head, _, _ := strings.Cut(msg, ", with args beginning with")
	return head
}
