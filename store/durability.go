package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
)

// Durability is what must hold before an end, or a change, is answered with success.
type Durability = config.Durability

const (
	// replicasPatience is how long replicas have to confirm. It leaves a request, which has 1.5 s, the time to say
	// that they did not.
	replicasPatience = 400 * time.Millisecond
	// diskPatience is the same for a disk that is written once a second.
	diskPatience = 1100 * time.Millisecond
	// answerTime is what is left of a deadline for the answer to arrive.
	answerTime = 100 * time.Millisecond
	// maxConfirming is how many ends and changes are confirmed at once. Each holds a connection while it waits:
	// replicas that do not answer must not leave introspection without one.
	maxConfirming = 16
)

// ErrUnconfirmed: an end or a change was carried out, and cannot be said to last as [Options.Durability] asks. It
// matches ErrUnavailable: whoever is told so repeats it.
var ErrUnconfirmed error = unconfirmedError{}

type unconfirmedError struct{}

func (unconfirmedError) Error() string { return "carried out, and not confirmed" }

func (unconfirmedError) Is(target error) bool { return target == ErrUnavailable }

// errNoRoom is why an end is not confirmed while Redis is out of memory, and this replica has too many to repeat.
var errNoRoom = errors.New("more ends than are remembered are not written down")

// failed is whether err says that something was not carried out, or perhaps not.
func failed(err error) bool { return err != nil && !errors.Is(err, ErrUnconfirmed) }

// confirms is whether Redis's own answer is not enough.
func (s *Store) confirms(ctx context.Context) bool {
	return s.durability != Durability{} && ctx.Value(tidying{}) == nil
}

type tidying struct{}

// tidy is the context of what nobody needs to know the lasting of: what comes after an end, by which it holds, and
// what is made. If that is lost it is not there, and is made again; a secret that is shown once would be lost for
// certain by an answer that is not a success.
func tidy(ctx context.Context) context.Context { return context.WithValue(ctx, tidying{}, true) }

// turn waits until one more may be confirmed.
func (s *Store) turn(ctx context.Context, op string) (done func(), err error) {
	if !s.confirms(ctx) {
		return func() {}, nil
	}
	select {
	case s.confirming <- struct{}{}:
		return func() { <-s.confirming }, nil
	case <-ctx.Done():
		return nil, unavailable(op, unsentError{fmt.Errorf("too many wait to be confirmed: %w", ctx.Err())})
	}
}

// confirmChange is the confirmation of what was just written in tx, on the same connection: a Tx never goes on with
// another.
func (s *Store) confirmChange(ctx context.Context, op string, tx *redis.Tx) error {
	if !s.confirms(ctx) {
		return nil
	}
	return s.confirmBy(ctx, op, func(p *proof) error {
		if p.byDisk() { // it waits for longer than a pipeline would
			p.cmd = tx.WaitAOF(ctx, 1, 0, within(ctx, diskPatience))
			return p.cmd.Err()
		}
		return send(ctx, tx, p.cmd)
	})
}

// confirmGone is for an end that finds nothing to end. An earlier try may have been carried out and not confirmed,
// and "it is gone" says that it stays so. gone is a command that answers 0 if it is: EXISTS or HEXISTS, asked on the
// connection that confirms, of the server that does. Where Redis's own answer is enough, nothing is asked.
func (s *Store) confirmGone(ctx context.Context, op string, gone ...any) error {
	if err := s.known(ctx, op); err != nil || !s.confirms(ctx) {
		return err
	}
	cmd := redis.NewIntCmd(ctx, gone...)
	err := s.carryOut(ctx, op, []*redis.IntCmd{cmd})
	switch {
	case errors.Is(err, ErrUnconfirmed): // nothing was carried out
		return unavailable(op, errors.New(err.Error()))
	case err == nil && cmd.Val() != 0:
		return unavailable(op, errors.New("what was gone is there again"))
	}
	return err
}

// ConfirmRevoked says that a credential which was not found stays so: an earlier end of it may have been carried out
// and not confirmed. ErrUnavailable if that is not known, or it is there.
func (s *Store) ConfirmRevoked(ctx context.Context, d Digest) error {
	return s.confirmGone(ctx, "confirm an end", "exists", credentialKey(d))
}

// Confirm says that everything which Redis has carried out until now lasts: for who finds that there is nothing
// to do, because an earlier try was carried out and not confirmed. Where Redis's own answer is enough, it asks
// nothing.
func (s *Store) Confirm(ctx context.Context) error {
	const op = "confirm"
	if err := s.known(ctx, op); err != nil || !s.confirms(ctx) {
		return err
	}
	done, err := s.turn(ctx, op)
	if err != nil {
		return err
	}
	defer done()
	return unavailable(op, s.eachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return s.confirmBy(ctx, op, func(p *proof) error {
			// WAIT speaks of what was written, by anybody, before the last command of its connection. Without one
			// it speaks of nothing.
			before := redis.NewStatusCmd(ctx, "ping")
			err := send(ctx, p.through(node), before, p.cmd)
			return cmp.Or(before.Err(), err)
		})
	}))
}
