package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// transaction is what a plan wants to be written in one MULTI.
type transaction struct {
	// write queues the commands. Nil: there is nothing to write, and the steps, if there are any, are only appended to the feed.
	write func(redis.Pipeliner)
	// steps are what the transaction revokes. Their deletions are part of write, or follow from it; a replay after a
	// rollback sends them alone.
	steps []step
	// enabled is the field of the key that the transaction sets to a new value, so that an earlier disabling is no
	// longer replayed. Empty: none.
	enabled, value string
}

// changeField is a field of a client's and of a user's record: a random value, there while the record may be changed. A
// change goes on only if it has read the field under WATCH. A revocation deletes the field, even if it finds nothing else
// to delete. So a revocation always touches the record, and a transaction that began before it fails, however late it
// arrives, and whichever replica sent it.
const changeField = "w"

// prerequisite is the error of a plan that needs something beside the watched key first. do is called once the connection of the
// WATCH is free, and then the plan is called again. A plan itself sends commands through its tx alone: if each of
// many plans holds a connection and waits for a second one, none of them gets it.
type prerequisite struct{ do func() error }

func (*prerequisite) Error() string { return "something else comes before the transaction" }

// errUnmarked: the record has no changeField.
var errUnmarked = errors.New("the record has no field " + changeField)

// change is transact on the record of a client or a user. plan is given the fields of the record; none: it is not there.
func (s *Store) change(ctx context.Context, op, key string, plan func(fields map[string]string) (transaction, error)) error {
	return s.transact(ctx, op, key, func(tx *redis.Tx) (transaction, error) {
		fields, err := tx.HGetAll(ctx, key).Result()
		if err != nil {
			return transaction{}, err
		}
		t, err := plan(fields)
		if err != nil || t.write == nil || fields[changeField] != "" {
			return t, err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSetNX(ctx, key, changeField, randomValue())
			if len(fields) == 0 { // a creation, which makes the record stay
				p.PExpire(ctx, key, unfinished)
			}
			return nil
		})
		return transaction{}, cmp.Or(err, errUnmarked)
	})
}

// maxTries is how often a transaction is tried when another one came before.
const maxTries = 10

// transact is the one way by which records change, other than by a deletion. plan reads under WATCH on key and says what
// to write in one MULTI, again when another transaction wrote in between: of two at once, the second sees the first. It uses
// nothing but its tx: see prerequisite.
// ErrConflict after maxTries. What was written is confirmed as a revocation is: ErrUnconfirmed if it cannot be.
func (s *Store) transact(ctx context.Context, op, key string, plan func(*redis.Tx) (transaction, error)) error {
	release, err := s.db.AcquireBarrier(ctx, op)
	if err != nil {
		return err
	}
	defer release()
	for range maxTries {
		var t transaction // what was sent
		var voids []*void
		var appends []redis.Cmder
		err := s.rdb.Watch(ctx, func(tx *redis.Tx) (err error) {
			planned, err := plan(tx)
			if err != nil {
				return err
			}
			t = planned
			var written []redis.Cmder
			if t.write != nil {
				if written, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error { t.write(p); return nil }); err != nil {
					return err
				}
			}
			voids = s.voidsOf(t.steps)
			appends = s.appends(ctx, voids)
			if len(written) == 0 && len(appends) == 0 {
				return nil
			}
			return applied(op, s.sendBehind(ctx, op, tx, appends))
		}, key)
		if !redisdb.Failed(err) {
			err = redisdb.MostSevere(err, applied(op, s.sendApart(ctx, op, appends)))
		}
		var verdict *planError
		var first *prerequisite
		switch {
		case errors.Is(err, redis.TxFailedErr), errors.Is(err, errUnmarked):
			continue
		case errors.As(err, &first):
			if err := first.do(); err != nil {
				return err
			}
			continue
		case errors.As(err, &verdict):
			return verdict.error
		case err != nil:
			if err = unavailable(op, err); errors.Is(err, ErrUnavailable) {
				s.db.SettleAfter(ctx, err)
			}
		}
		return s.transacted(ctx, op, key, t, voids, appends, err)
	}
	return fmt.Errorf("%s: %w", op, ErrConflict)
}

// applied says of an error that came after Redis has answered the transaction that it was applied.
func applied(op string, err error) error {
	if redisdb.Failed(err) {
		return fmt.Errorf("%s: %w: %w", op, ErrUnconfirmed, err)
	}
	return err
}

// sendBehind sends the appends and the barrier behind a transaction. In a cluster sendApart sends the appends.
func (s *Store) sendBehind(ctx context.Context, op string, tx *redis.Tx, appends []redis.Cmder) error {
	if s.db.IsCluster() {
		appends = nil
	}
	return s.db.SendBehind(ctx, op, tx, appends...)
}

// sendApart sends the appends of a transaction in a cluster, where the feed may lie on another server.
func (s *Store) sendApart(ctx context.Context, op string, appends []redis.Cmder) error {
	if !s.db.IsCluster() || len(appends) == 0 {
		return nil
	}
	return s.db.ApplyBehind(ctx, op, appends...)
}

// transacted remembers what came of a transaction. If it may have been applied, a heartbeat finds that out.
func (s *Store) transacted(ctx context.Context, op, key string, t transaction, voids []*void, appends []redis.Cmder, err error) error {
	if redisdb.Failed(err) {
		if voids == nil { // the transaction has no answer
			voids = s.voidsOf(t.steps)
		}
		if s.monitor != nil && redisdb.IsUncertain(err) {
			s.monitor.NoteInDoubt(entriesOf(t.steps, voids, false)...)
			for i, st := range t.steps {
				if len(st.deletions) == 0 { // the others are appended once it is known what became of them
					s.appendLater(voids[i])
				}
			}
		}
		return err
	}
	if s.monitor != nil && t.enabled != "" {
		s.monitor.Forget(key, t.enabled, t.value)
	}
	notAppended := s.appended(ctx, op, appends)
	if err != nil || notAppended != nil {
		s.appendLater(voids...)
	}
	isAppended := err == nil && notAppended == nil
	err = redisdb.MostSevere(err, notAppended)
	if err != nil && redisdb.IsWithoutBarrier(ctx) {
		// Without a barrier it is the append that failed. An error would lose what is shown once.
		s.log.WarnContext(ctx, "appending a change to the feed failed; the next heartbeat retries", "error", err)
		err = nil
	}
	err = redisdb.MostSevere(err, s.note(op, entriesOf(t.steps, voids, isAppended)...))
	if err != nil {
		return err
	}
	return s.resolve(ctx, op)
}

// write is a transaction that revokes nothing.
func write(commands func(redis.Pipeliner)) (transaction, error) {
	return transaction{write: commands}, nil
}

// planError marks an error of the caller's own, met while a transaction was planned: it is not Redis's and goes back as
// it is.
type planError struct{ error }

func (e *planError) Unwrap() error { return e.error }
