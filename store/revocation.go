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

// The kinds of revocations. The last three void nothing in the feed.
const (
	TokenRevoked     Kind = "token"     // an access token: Digest
	KeyRevoked       Kind = "key"       // an API key, revoked or changed: Digest, and KeyID and UserID where they are known
	SecretRevoked    Kind = "secret"    // a client secret: ClientID, SecretID
	ClientKeyRevoked Kind = "clientkey" // a public key of a client, the URL of its keys, or its authentication method: ClientID
	ClientRevoked    Kind = "client"    // all tokens of a client, or what they are worth: ClientID
	UserRevoked      Kind = "user"      // all keys of a user, or what they are worth: UserID
	AllRevoked       Kind = "all"       // all tokens, or all sessions, of all
	SessionRevoked   Kind = "session"   // a session of the dashboard, Digest, or all of a user, UserID
	InviteRevoked    Kind = "invite"    // the link by which a user sets a password: UserID
	PasswordReset    Kind = "password"  // a password that was replaced or revoked: UserID
)

// Revocation is one change by which a credential is no longer valid, or no longer valid for what it was. Each method
// that revokes something makes one and goes through [Store.revoke] or [Store.transact]: nothing else deletes from a
// record. What it voids is appended to the feed, and the redo log keeps that with the deletion.
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

// step is a revocation and the deletions by which it takes effect. A step of a transaction may have none, and is only
// appended to the feed.
type step struct {
	Revocation
	deletions []rollback.Deletion
	// silent: another step voids what is revoked.
	silent bool
}

// revoke applies the deletions of steps, and tells how much the first deletion of each step deleted: nothing, if it was
// revoked before. With ErrUnconfirmed all of them are applied, and it tells as well; with another error, some may be, and it tells
// of those whose answer came.
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
	voids := s.voidsOf(steps)
	appends := s.appends(ctx, voids)
	err := s.db.Apply(ctx, op, cmds, appends...)
	deleted := make([]int64, len(steps))
	for i, cmd := range first {
		if cmd.Err() == nil {
			deleted[i] = cmd.Val()
		}
	}
	if redisdb.Failed(err) { // the caller may try again, find nothing to delete, and so leave nothing to remember
		s.noteUnacknowledged(entriesOf(steps, voids, false), cmds, err)
		return deleted, err
	}
	notAppended := s.appended(ctx, op, appends)
	if notAppended != nil {
		s.appendLater(voids...)
	}
	return deleted, redisdb.MostSevere(err, s.note(op, entriesOf(steps, voids, notAppended == nil)...), notAppended)
}

// errNoRoom is why a revocation is not confirmed while Redis is out of memory and the redo log is full.
var errNoRoom = errors.New("the revocation log is full (16,384 entries): Redis accepts no watermark, probably because it is out of memory")

// errNotAppended is why a revocation that finds nothing to delete is no success: the feed may not have that of an earlier
// attempt.
var errNotAppended = errors.New("the feed does not have all revocations yet")

// note remembers deletions that were applied. Those for which there is no room are not confirmed.
func (s *Store) note(op string, entries ...rollback.Entry) error {
	if s.monitor == nil || s.monitor.Note(entries...) {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", op, ErrUnconfirmed, errNoRoom)
}

// noteUnacknowledged remembers the deletions that may have been applied, if any was sent: those that Redis has not rejected. In a
// cluster a part of them may not have been sent; the next heartbeat applies it as well.
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
		return cmp.Or(s.confirmGone(ctx, op, key, metaField, r), ErrNotFound)
	}
	_, err = s.revoke(ctx, op, step{Revocation: r, deletions: deletions})
	return err
}

// known is nil if this replica remembers every deletion that it was the first to apply, and the feed has it. It comes
// before the answer that there is nothing to do. It resolves the in-doubt transactions.
func (s *Store) known(ctx context.Context, op string) error {
	if s.monitor == nil {
		return nil
	}
	switch {
	case s.monitor.IsFull():
		return unavailable(op, errNoRoom)
	case !s.monitor.AnnouncedAll(ctx):
		return unavailable(op, errNotAppended)
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
