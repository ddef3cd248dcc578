package store

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/redis/go-redis/v9"
)

// Invite is the one link by which a person sets a password, the first or another. Only the digest of its
// code is known.
type Invite struct {
	Digest    Digest
	ExpiresAt time.Time
}

// InviteUser gives a person a new invite; the one before is worth nothing then. ErrNotFound if there is no
// such person.
func (s *Store) InviteUser(ctx context.Context, id string, invite Invite, cause Cause) error {
	var ended []ending
	err := s.change(ctx, "invite user", userKey(id), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		u, err := readUser(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		ended = u.inviteEnding()
		return func(p redis.Pipeliner) { p.HSet(ctx, userKey(id), inviteField, encodeInvite(invite)) }, nil
	})
	return s.noteChange(err, ended...)
}

// RedeemInvite spends a person's invite and sets the password, in one step: of two who try, one is told
// ErrNotFound, as is everybody with an invite that is not this one, has expired or is a disabled person's. Who
// was signed in with the old password is signed out.
func (s *Store) RedeemInvite(ctx context.Context, id string, code Digest, sealedPassword []byte) error {
	var ended []ending
	err := s.change(ctx, "redeem invite", userKey(id), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		fields, err := tx.HGetAll(ctx, userKey(id)).Result()
		if err != nil {
			return nil, err
		}
		u, err := decodeUser(id, fields)
		if err != nil {
			return nil, err
		}
		if !u.Enabled || u.Invite == nil || !u.Invite.Digest.Equal(code) || !s.now().Before(u.Invite.ExpiresAt) {
			return nil, ErrNotFound
		}
		ended = passwordEndings(id, fields)
		return func(p redis.Pipeliner) {
			p.HSet(ctx, userKey(id), passwordField, sealedPassword, passwordLifeField, newSign())
			p.HDel(ctx, userKey(id), inviteField, sessionField)
		}, nil
	})
	return s.noteChange(err, ended...)
}

// RevokeInvite ends the link by which a person could set a password; it is no error if there is none. ErrNotFound if there
// is no such person.
func (s *Store) RevokeInvite(ctx context.Context, id string, cause Cause) error {
	return s.endUserFields(ctx, "end invite", id, inviteField)
}

// inviteEnding is the end of the invite that u was read with.
func (u *User) inviteEnding() []ending {
	if u.Invite == nil {
		return nil
	}
	return []ending{removal(userKey(u.ID), inviteField).while(inviteField, string(encodeInvite(*u.Invite)))}
}

// passwordEndings are the ends that come with another password, each while what it ends is there: of the old password,
// with all that stands beside it; of the sessions; and of the invite.
func passwordEndings(id string, fields map[string]string) []ending {
	sign := passwordLifeField
	if fields[sign] == "" { // it was set by a version that drew none
		sign = passwordField
	}
	key := userKey(id)
	return []ending{
		removal(key, passwordField, passwordLifeField, sessionField, inviteField).while(sign, fields[sign]),
		removal(key, sessionField).while(sessionField, fields[sessionField]),
		removal(key, inviteField).while(inviteField, fields[inviteField]),
	}
}

// An invite's field is its version, its digest and the milliseconds of its end.
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
		return i, unavailable("read", errDamaged)
	}
	n := copy(i.Digest[:], body)
	i.ExpiresAt = time.UnixMilli(int64(binary.BigEndian.Uint64([]byte(body[n:])))).UTC()
	return i, nil
}
