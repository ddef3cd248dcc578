package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// ErrBehind: the store holds less than this process has seen in it: it was emptied, or an old backup was restored. It
// matches ErrUnavailable. Nothing is read or written until an operator has run mintkeep fence.
var ErrBehind = errors.New("the store is behind what this replica has seen: it was emptied, or an old backup was restored; put the newest backup back, then run mintkeep fence")

// Behind is whether every call ends in ErrBehind.
func (s *Store) Behind() bool { return s.epoch != nil && s.epoch.isBehind() }

// gate is the go-redis hook that keeps commands from a Redis that may not be believed. It costs a command one atomic
// load before it is sent and one after: what was under way when the gate was shut is not believed either.
type gate struct{ shut atomic.Pointer[shutError] }

// shutError is why the gate is shut. It matches ErrUnavailable.
type shutError struct{ cause error }

func (e *shutError) Error() string        { return e.cause.Error() }
func (e *shutError) Unwrap() error        { return e.cause }
func (e *shutError) Is(target error) bool { return target == ErrUnavailable }

var (
	shutToLook = &shutError{errors.New("the store has lost writes that this replica has seen; it is being looked at")}
	shutToHeal = &shutError{errors.New("the store has lost writes that this replica has seen; the ends among them are being repeated")}
	shutToNote = &shutError{errors.New("the store did not answer, and may have lost ends that this replica has carried out; they are being repeated")}
	shutBehind = &shutError{ErrBehind}
)

// unsentError is why a command was not even sent: nothing can have come of it.
type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

func unsent(err error) bool {
	var e unsentError
	return errors.As(err, &e)
}

func shutForWrites(cause error) *shutError {
	return &shutError{fmt.Errorf("the store takes no writes, so that what it says may be old: %w", cause)}
}

type passKey struct{}

// passing marks the commands of whoever finds out whether the gate may be opened.
func passing(ctx context.Context) context.Context { return context.WithValue(ctx, passKey{}, true) }

func passes(ctx context.Context) bool { return ctx.Value(passKey{}) != nil }

// plumbing are the commands of go-redis's own, which say nothing of what is stored: by them it connects, learns where
// the slots of a cluster are, and gives a connection back.
var plumbing = []string{"hello", "auth", "select", "client", "cluster", "command", "readonly", "unwatch"}

func (g *gate) refuses(ctx context.Context, cmds ...redis.Cmder) error {
	shut := g.shut.Load()
	if shut == nil || passes(ctx) {
		return nil
	}
	for _, cmd := range cmds {
		if !slices.Contains(plumbing, cmd.Name()) {
			return shut
		}
	}
	return nil
}

func (g *gate) isShut() bool { return g.shut.Load() != nil }

// open tells why it was shut, if it was.
func (g *gate) open(told func(was error)) {
	if was := g.shut.Load(); was != nil && g.shut.CompareAndSwap(was, nil) {
		told(was)
	}
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := g.refuses(ctx, cmd)
		if err != nil {
			err = unsentError{err}
		} else {
			err = next(ctx, cmd)
			if shut := g.refuses(ctx, cmd); shut != nil {
				err = shut
			}
		}
		cmd.SetErr(err)
		return err
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		shut := g.refuses(ctx, cmds...)
		if shut != nil {
			shut = unsentError{shut}
		} else {
			err := next(ctx, cmds)
			if shut = g.refuses(ctx, cmds...); shut == nil {
				return err
			}
		}
		for _, cmd := range cmds {
			cmd.SetErr(shut)
		}
		return shut
	}
}
