package store

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// Invite is the one link by which a user sets a password, the first or another. Only the digest of its
// code is known.
type Invite struct {
	Digest    Digest
	ExpiresAt time.Time
}

// InviteUser gives a user a new invite, and revokes the one before. ErrNotFound if there is no such user.
func (s *Store) InviteUser(ctx context.Context, id string, invite Invite, cause Cause) error {
	return s.change(ctx, "invite user", userKey(id), func(fields map[string]string) (t transaction, err error) {
		u, err := s.decoded.user(id, fields)
		if err != nil {
			return t, err
		}
		t.steps = u.inviteSteps(cause)
		t.write = func(p redis.Pipeliner) { p.HSet(ctx, userKey(id), inviteField, encodeInvite(invite)) }
		return t, nil
	})
}

// RedeemInvite spends a user's invite and sets the password, in one step: of two requests that try, one gets
// ErrNotFound, and so does every request with an invite that is not this one, has expired or is a disabled user's. Sessions
// that began with the old password are revoked.
func (s *Store) RedeemInvite(ctx context.Context, id string, code Digest, sealedPassword []byte) error {
	return s.change(ctx, "redeem invite", userKey(id), func(fields map[string]string) (t transaction, err error) {
		u, err := s.decoded.user(id, fields)
		if err != nil {
			return t, err
		}
		if !u.Enabled || u.Invite == nil || !u.Invite.Digest.Equal(code) || !s.now().Before(u.Invite.ExpiresAt) {
			return t, ErrNotFound
		}
		t.steps = passwordSteps(id, fields, s.now())
		t.write = func(p redis.Pipeliner) {
			p.HSet(ctx, userKey(id), passwordField, sealedPassword, passwordLifeField, randomValue())
			p.HDel(ctx, userKey(id), inviteField, sessionField)
		}
		return t, nil
	})
}

// RevokePassword revokes a user's password, their sessions and their invite: what an intruder may have. The user sets
// another password by an invite that is given afterwards. It is no error if there is none. ErrNotFound if there is no such
// user.
func (s *Store) RevokePassword(ctx context.Context, id string, cause Cause) error {
	const op = "revoke password"
	fields := []string{passwordLifeField, passwordField, sessionField, inviteField}
	switch there, err := s.rdb.HExists(ctx, userKey(id), passwordLifeField).Result(); {
	case err != nil:
		return unavailable(op, err)
	case !there: // it was set by a version that drew none
		fields = []string{passwordField, sessionField, inviteField}
	}
	err := s.revokeFields(ctx, op, userKey(id), cause.userRevocation(PasswordReset, id), fields...)
	if !redisdb.Failed(err) {
		s.forgetSessions(ctx, id)
	}
	return err
}

// RevokeInvite revokes the link by which a user could set a password; it is no error if there is none. ErrNotFound if
// there is no such user.
func (s *Store) RevokeInvite(ctx context.Context, id string, cause Cause) error {
	return s.revokeFields(ctx, "revoke invite", userKey(id), cause.userRevocation(InviteRevoked, id), inviteField)
}

// inviteSteps revoke the invite that u was read with.
func (u *User) inviteSteps(cause Cause) []step {
	if u.Invite == nil {
		return nil
	}
	invite := rollback.OfFields(userKey(u.ID), inviteField).While(inviteField, string(encodeInvite(*u.Invite)))
	return []step{{Revocation: cause.userRevocation(InviteRevoked, u.ID), deletions: []rollback.Deletion{invite}}}
}

// passwordSteps are the revocations of a user who sets another password, each with what it revokes as its condition: the
// old password, together with the sessions and the invite; the sessions; and the invite.
func passwordSteps(id string, fields map[string]string, at time.Time) []step {
	condition := passwordLifeField
	if fields[condition] == "" { // it was set by a version that drew none
		condition = passwordField
	}
	key, cause := userKey(id), Cause{At: at.UTC(), Actor: UserActor(id), Reason: "another password was set"}
	var steps []step
	revokes := func(kind Kind, field string, deleted ...string) {
		if fields[field] != "" {
			d := rollback.OfFields(key, deleted...).While(field, fields[field])
			steps = append(steps, step{Revocation: cause.userRevocation(kind, id), deletions: []rollback.Deletion{d}})
		}
	}
	revokes(PasswordReset, condition, passwordField, passwordLifeField, sessionField, inviteField)
	revokes(SessionRevoked, sessionField, sessionField)
	revokes(InviteRevoked, inviteField, inviteField)
	return steps
}

// An invite's field is its version, its digest and the milliseconds of its expiry.
func encodeInvite(i Invite) []byte {
	b := append([]byte{recordVersion}, i.Digest[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(i.ExpiresAt.UnixMilli()))
}

func decodeInvite(field string) (i Invite, err error) {
	body, err := recordBody(field)
	if err != nil {
		return i, err
	}
	if len(body) != len(i.Digest)+8 {
		return i, unavailable("read", redisdb.ErrDamaged)
	}
	n := copy(i.Digest[:], body)
	i.ExpiresAt = time.UnixMilli(int64(binary.BigEndian.Uint64([]byte(body[n:])))).UTC()
	return i, nil
}
