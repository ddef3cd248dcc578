package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// Kind is what a revocation concerns.
type Kind string

// The kinds of revocations. All but the last three say that what is known about a credential is no longer true.
const (
	TokenRevoked     Kind = "token"     // an access token: Digest
	KeyRevoked       Kind = "key"       // an API key, revoked or changed: Digest, and KeyID and UserID where they are known
	SecretRevoked    Kind = "secret"    // a client secret: ClientID, SecretID
	ClientKeyRevoked Kind = "clientkey" // a public key of a client, or the URL of its keys: ClientID
	ClientRevoked    Kind = "client"    // all tokens of a client, or what they are worth: ClientID
	UserRevoked      Kind = "user"      // all keys of a user, or what they are worth: UserID
	AllRevoked       Kind = "all"       // all tokens, or all sessions, of all
	SessionRevoked   Kind = "session"   // a session of the dashboard, Digest, or all of a user, UserID
	InviteRevoked    Kind = "invite"    // the link by which a user sets a password: UserID
	PasswordReset    Kind = "password"  // a password that was replaced or revoked: UserID
)

// Revocation is one change by which a credential is no longer valid, or no longer valid for what it was. Each method
// that revokes something makes one and goes through [Store.revoke] or [Store.transact]: nothing else deletes from a
// record. It is announced (see [Announce]), and the redo log keeps it with its deletion.
type Revocation struct {
	Kind                              Kind
	ClientID, UserID, KeyID, SecretID string
	Digest                            Digest    // zero: of more than one credential, or not known
	Expires                           time.Time // of the credential by itself; zero: not known, or never
	At                                time.Time
	Actor                             Actor
	Reason                            string
}

// revocation is a Revocation of this kind with this cause.
func (c Cause) revocation(kind Kind) Revocation {
	return Revocation{Kind: kind, At: c.At, Actor: c.Actor, Reason: c.Reason}
}

// Announce tells others of revocations, through the same Redis. Both functions are required, and are called by many
// requests at once.
type Announce struct {
	// Append makes the commands that announce revocations. They are sent behind the deletions, on the same connection
	// and before the durability barrier; in a cluster in a pipeline of their own, with its barrier. A deletion that is
	// sent again is announced again: each one by the next heartbeat, and after a rollback. The key of a command is its
	// first argument.
	Append func(context.Context, []Revocation) []redis.Cmder
	// Check reads their answers. With an error the revocation is applied and not announced: its caller gets
	// [ErrUnconfirmed], and each heartbeat announces it again until Check has no error.
	Check func([]redis.Cmder) error
}

// step is a revocation and the deletions by which it takes effect. A step of a transaction may have none, and is announced
// alone.
type step struct {
	Revocation
	deletions []rollback.Deletion
	// silent: what is revoked was announced by another step.
	silent bool
}

// commands make the commands that announce steps; none without an Announce.
func (a *Announce) commands(ctx context.Context, steps []step) []redis.Cmder {
	if a == nil {
		return nil
	}
	var revocations []Revocation
	for _, st := range steps {
		if !st.silent {
			revocations = append(revocations, st.Revocation)
		}
	}
	if len(revocations) == 0 {
		return nil
	}
	return a.Append(ctx, revocations)
}

// check makes an error of the answers to an announcement.
func (a *Announce) check(op string, cmds []redis.Cmder) error {
	if len(cmds) == 0 {
		return nil
	}
	if err := a.Check(cmds); err != nil {
		return fmt.Errorf("%s: %w: not announced: %w", op, ErrUnconfirmed, err)
	}
	return nil
}

// again makes the commands for the redo log, whose payloads are revocations.
func (a *Announce) again(ctx context.Context, payloads []any) []redis.Cmder {
	revocations := make([]Revocation, len(payloads))
	for i, p := range payloads {
		revocations[i] = *p.(*Revocation)
	}
	return a.Append(ctx, revocations)
}

// revoke applies the deletions of steps, and tells how much the first deletion of each step deleted: nothing, if it was
// revoked before. With ErrUnconfirmed all of them are applied, and it tells as well; with another error, some may be.
func (s *Store) revoke(ctx context.Context, op string, steps ...step) ([]int64, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	var cmds []*redis.IntCmd
	first := make([]*redis.IntCmd, len(steps))
	for i, st := range steps {
		for n, d := range st.deletions {
			cmd := d.Command(ctx)
			cmds = append(cmds, cmd)
			if n == 0 {
				first[i] = cmd
			}
		}
	}
	announcement := s.announce.commands(ctx, steps)
	err := s.db.Apply(ctx, op, cmds, announcement...)
	entries := s.entriesOf(steps)
	if redisdb.Failed(err) { // the caller may try again, find nothing to delete, and so leave nothing to remember
		s.noteUnacknowledged(entries, cmds, err)
		return nil, err
	}
	unannounced := s.announce.check(op, announcement)
	if unannounced != nil {
		s.announceLater(steps)
	}
	err = redisdb.MostSevere(err, s.note(op, entries...), unannounced)
	deleted := make([]int64, len(steps))
	for i, cmd := range first {
		deleted[i] = cmd.Val()
	}
	return deleted, err
}

// entriesOf are the deletions of steps as the redo log keeps them: with the revocation, if it is to be announced again.
func (s *Store) entriesOf(steps []step) (entries []rollback.Entry) {
	for _, st := range steps {
		var payload any
		if s.announce != nil && !st.silent {
			r := st.Revocation
			payload = &r
		}
		for _, d := range st.deletions {
			entries = append(entries, rollback.Entry{Deletion: d, Payload: payload})
		}
	}
	return entries
}

// errNoRoom is why a revocation is not confirmed while Redis is out of memory and the redo log is full.
var errNoRoom = errors.New("the revocation log is full (16,384 entries): Redis accepts no watermark, probably because it is out of memory")

// errNotAnnounced is why a revocation that finds nothing to delete is no success: an earlier attempt may not have been
// announced yet.
var errNotAnnounced = errors.New("revocations are not announced yet")

// note remembers deletions that were applied. Those for which there is no room are not confirmed.
func (s *Store) note(op string, entries ...rollback.Entry) error {
	if s.monitor == nil || s.monitor.Note(entries...) {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", op, ErrUnconfirmed, errNoRoom)
}

// noteUnacknowledged remembers the deletions that may have been applied: those that were sent, and that Redis has not
// rejected.
func (s *Store) noteUnacknowledged(entries []rollback.Entry, cmds []*redis.IntCmd, err error) {
	if s.monitor == nil || redisdb.IsUnsent(err) {
		return
	}
	var sent []rollback.Entry
	for i, e := range entries {
		if redisdb.ErrorPrefix(cmds[i].Err()) == "" {
			sent = append(sent, e)
		}
	}
	s.monitor.NoteUnacknowledged(sent...)
}

// fieldDeletions delete fields of a record, and tell whether the record is there. The condition is the value of the first
// field, which shows whether that was set again meanwhile. Each of the other fields is
// deleted under its own condition too, for the first may be set again by itself, when what was disabled is enabled.
func (s *Store) fieldDeletions(ctx context.Context, key string, fields ...string) (deletions []rollback.Deletion, there bool, err error) {
	values, err := s.rdb.HMGet(ctx, key, append([]string{metaField}, fields...)...).Result()
	if err != nil || len(values) <= len(fields) {
		return nil, false, err
	}
	value, _ := values[1].(string)
	all := slices.Concat(fields, []string{changeField})
	deletions = append(deletions, rollback.OfFields(key, all...).While(fields[0], value))
	for i, field := range fields[1:] {
		if value, ok := values[i+2].(string); ok {
			deletions = append(deletions, rollback.OfFields(key, field).While(field, value).Implied())
		}
	}
	return deletions, values[0] != nil, nil
}

// revokeFields deletes fields of a record, by a command that a Redis out of memory accepts. It reads first whether the
// record is there: ErrNotFound if it is not. Fields that are gone already are no error.
func (s *Store) revokeFields(ctx context.Context, op, key string, r Revocation, fields ...string) error {
	deletions, there, err := s.fieldDeletions(ctx, key, fields...)
	switch {
	case err != nil:
		return unavailable(op, err)
	case !there:
		return cmp.Or(s.confirmGone(ctx, op, key, metaField), ErrNotFound)
	}
	_, err = s.revoke(ctx, op, step{Revocation: r, deletions: deletions})
	return err
}

// known is nil if this replica remembers every deletion that it was the first to apply, and has announced it. It comes
// before the answer that there is nothing to do. It resolves the in-doubt transactions.
func (s *Store) known(ctx context.Context, op string) error {
	if s.monitor == nil {
		return nil
	}
	switch {
	case s.monitor.IsFull():
		return unavailable(op, errNoRoom)
	case s.monitor.Unannounced() > 0:
		return unavailable(op, errNotAnnounced)
	}
	return s.resolve(ctx, op)
}

// resolve finds out which of the in-doubt transactions were applied, and remembers what they deleted.
func (s *Store) resolve(ctx context.Context, op string) error {
	if s.monitor == nil {
		return nil
	}
	switch room, err := s.monitor.Resolve(ctx); {
	case err != nil:
		return unavailable(op, err)
	case !room:
		return fmt.Errorf("%s: %w: %w", op, ErrUnconfirmed, errNoRoom)
	}
	return nil
}

// confirmGone is for a revocation that finds nothing to delete in a client's or a user's record: the field is not there.
// "It is gone" says that it stays so. A change that is on its way must fail, so that changeField is deleted all the same.
// And an earlier attempt may have been applied and not confirmed: the barrier is on the same connection.
func (s *Store) confirmGone(ctx context.Context, op, key, field string) error {
	mark, gone := redis.NewIntCmd(ctx, "hdel", key, changeField), redis.NewIntCmd(ctx, "hexists", key, field)
	return s.confirm(ctx, op, gone, mark, gone)
}

// confirm sends commands, and the barrier behind them. gone is one of them: its answer is 0 if what was revoked is gone.
func (s *Store) confirm(ctx context.Context, op string, gone *redis.IntCmd, cmds ...*redis.IntCmd) error {
	if err := s.known(ctx, op); err != nil {
		return err
	}
	err := s.db.Apply(ctx, op, cmds)
	switch {
	case errors.Is(err, ErrUnconfirmed): // nothing was applied
		return unavailable(op, errors.New(err.Error()))
	case err == nil && gone.Val() != 0:
		return unavailable(op, errors.New("what was revoked is active again"))
	}
	return err
}

// ConfirmRevoked is nil if a credential which was not found stays so: an earlier revocation may have been applied and not
// confirmed. ErrUnavailable if that is not known, or the credential is there.
func (s *Store) ConfirmRevoked(ctx context.Context, d Digest) error {
	const op = "confirm a revocation"
	if !s.db.NeedsBarrier(ctx) { // Redis's own answer is enough
		return s.known(ctx, op)
	}
	gone := redis.NewIntCmd(ctx, "exists", credentialKey(d))
	return s.confirm(ctx, op, gone, gone)
}

// Confirm says that everything which Redis has applied until now lasts as [Options.Durability] asks: for a caller that
// finds nothing to do, because an earlier attempt was applied and not confirmed.
func (s *Store) Confirm(ctx context.Context) error {
	const op = "confirm"
	if err := s.known(ctx, op); err != nil {
		return err
	}
	return s.db.Barrier(ctx, op)
}
