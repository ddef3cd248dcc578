package redisdb

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnavailable: the answer is not known, because Redis was unreachable, slow, read-only, out of memory, or said
	// something unexpected. It is neither yes nor no. After a write: perhaps applied, perhaps not.
	ErrUnavailable = errors.New("store unavailable")
	// ErrUnconfirmed: a write was applied, and it is not known whether it lasts as [Options.Durability] asks. It
	// matches ErrUnavailable: a caller that gets it repeats the write.
	ErrUnconfirmed error = unconfirmedError{}
	// ErrDamaged: a value is not of the form that was written.
	ErrDamaged = errors.New("damaged record")
)

type unconfirmedError struct{}

func (unconfirmedError) Error() string { return "applied, but not confirmed" }

func (unconfirmedError) Is(target error) bool { return target == ErrUnavailable }

// Failed is whether err says that a write was not applied, or perhaps not.
func Failed(err error) bool { return err != nil && !errors.Is(err, ErrUnconfirmed) }

// MostSevere returns the most severe of the errors of several parts: one that [Failed] before one that is unconfirmed. The result is
// unsent only if every part is unsent; a nil error is a part that was applied.
func MostSevere(errs ...error) error {
	var unsent, unconfirmed error
	isSent := false
	for _, err := range errs {
		switch {
		case Failed(err) && !IsUnsent(err):
			return err
		case Failed(err):
			unsent = err
			continue
		case err != nil:
			unconfirmed = err
		}
		isSent = true
	}
	switch {
	case unsent == nil:
		return unconfirmed
	case isSent:
		return partlyUnsentError{unsent}
	}
	return unsent
}

// partlyUnsentError is an error of a part that was not sent, while another part was.
type partlyUnsentError struct{ err error }

func (e partlyUnsentError) Error() string { return e.err.Error() }

func (e partlyUnsentError) Is(target error) bool { return errors.Is(e.err, target) }

// Unavailable says that op got no answer from Redis: the result matches [ErrUnavailable] and keeps the cause for the
// log. Nil stays nil, and an error that matches already stays itself.
//
// No kind of failure is sorted out here, on purpose. An expired context, a refused connection, a full pool, LOADING,
// READONLY, OOM, MISCONF, NOREPLICAS, CLUSTERDOWN, NOPERM and a reply of the wrong type have in common that it is not
// known what holds, and a list of them would miss the next one. redis.Nil is an answer: the caller has dealt with it.
func Unavailable(op string, err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) {
		return err
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

// withoutArgs cuts what Redis quotes of a command that it does not know. An old server answers HELLO … AUTH that way,
// which has the password among its arguments.
func withoutArgs(msg string) string {
	head, _, _ := strings.Cut(msg, ", with args beginning with")
	return head
}

// ErrorPrefix is the word with which Redis begins an error: "NOPERM", "LOADING", "ERR". It is empty if err is not an
// answer of Redis.
func ErrorPrefix(err error) string {
	var answer redis.Error
	if !errors.As(err, &answer) || errors.Is(err, redis.Nil) {
		return ""
	}
	word, _, _ := strings.Cut(answer.Error(), " ")
	return word
}

// Failure is err, unless go-redis says by it something ordinary: a key that is not there, or a transaction before
// which another one changed the watched key.
func Failure(err error) error {
	if errors.Is(err, redis.Nil) || errors.Is(err, redis.TxFailedErr) {
		return nil
	}
	return err
}

// Unsent marks err as the reason why a command never left this process: it cannot have been applied.
func Unsent(err error) error { return unsentError{err} }

// IsUnsent is whether err is from a command that never left this process.
func IsUnsent(err error) bool {
	var e unsentError
	return errors.As(err, &e)
}

type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

// IsUncertain is whether a write that ended in err may have been applied all the same.
func IsUncertain(err error) bool {
	return errors.Is(err, ErrUnavailable) && !IsUnsent(err) && ErrorPrefix(err) == ""
}
