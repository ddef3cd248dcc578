package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// User is an account with an email address: a developer, who owns API keys, or an operator besides.
//
// The record is one hash, mk:p:<id>, shaped as a client's is: what a user may do depends on fields being
// there, so that every revocation is an HDEL or a DEL.
//
//	meta        UserMetadata, versioned JSON; without it there is no user
//	on          there while the user is enabled; a new random value each time, which no reader looks at
//	gen         the generation, drawn once: keys of a disabled user are inactive, not revoked
//	op          there while the user is an operator: a generation of that role
//	pw          the password's hash, sealed
//	pwlife      drawn with each password, which may be hashed again; absent if an earlier version set it
//	sess        the generation of the sessions
//	invite      the digest of the one link that sets a password, and its expiry
//	w           a random value, there while the record may be changed; each revocation deletes it: see changeField
type User struct {
	ID           string
	Metadata     UserMetadata
	Enabled      bool
	Generation   Generation
	Operator     Generation // none: a developer
	Sessions     Generation // none: no session is valid
	Password     []byte     // as package password sealed it; empty: none was set
	PasswordLife string     // drawn with each password; empty: an earlier version set it
	Invite       *Invite    // nil: there is none
}

// hasPasswordOf is whether u has the password that other was read with. It may have been hashed or sealed again since.
func (u *User) hasPasswordOf(other *User) bool {
	return bytes.Equal(u.Password, other.Password) || u.PasswordLife != "" && u.PasswordLife == other.PasswordLife
}

// UserMetadata is what is known of a user.
type UserMetadata struct {
	Email     string    `json:"email"` // as it was given; compared by [FoldEmail]
	Name      string    `json:"name,omitempty"`
	ManagedBy string    `json:"managed_by,omitempty"` // as of a client
	CreatedAt time.Time `json:"created"`
}

// The roles of users.
const (
	Developer = "developer"
	Operator  = "operator"
)

// Role is what the user may do: operators manage all clients, users and keys, developers their own keys.
func (u *User) Role() string {
	if u.Operator != (Generation{}) {
		return Operator
	}
	return Developer
}

// NewUserID names a new user.
func NewUserID() string { return userIDPrefix + strings.ToLower(rand.Text()) }

const userIDPrefix = "usr_"

func userKey(id string) string { return "mk:p:" + id }

const (
	operatorField     = "op"
	passwordField     = "pw"
	passwordLifeField = "pwlife"
	inviteField       = "invite"
)

var users = directory{ids: "mk:users:id", names: "mk:users:name", words: "mk:users:word", idPrefix: userIDPrefix}

func (m UserMetadata) names() []string {
	if m.Name == "" {
		return []string{m.Email}
	}
	return []string{m.Email, m.Name}
}

// unfinished is how long a user is stored whose creation was not finished.
const unfinished = time.Minute

// userRevocation is a Revocation of what the keys of a user are worth.
func (c Cause) userRevocation(kind Kind, id string) Revocation {
	r := c.revocation(kind)
	r.UserID = id
	return r
}

// CreateUser adds a user, enabled, with the role and the invite that u has, under a generation of its own,
// which it sets. ErrExists if the email is taken. What ErrUnavailable interrupted is gone within a minute, or
// was finished: repeating it then says ErrExists.
func (s *Store) CreateUser(ctx context.Context, u *User) error {
	u.Generation, u.Enabled = NewGeneration(), true
	fields := []any{metaField, encodeRecord(u.Metadata), onField, randomValue(), genField, u.Generation[:], changeField, randomValue()}
	if u.Operator != (Generation{}) {
		fields = append(fields, operatorField, u.Operator[:])
	}
	if len(u.Password) > 0 {
		u.PasswordLife = randomValue()
		fields = append(fields, passwordField, u.Password, passwordLifeField, u.PasswordLife)
	}
	if u.Invite != nil {
		fields = append(fields, inviteField, encodeInvite(*u.Invite))
	}
	if err := users.enter(ctx, s.rdb, u.ID, u.Metadata.names()...); err != nil {
		return err
	}
	// The user first, for a minute, and the email then: an email of a user who is not there is free.
	if _, err := s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, userKey(u.ID), fields...)
		p.PExpire(ctx, userKey(u.ID), unfinished)
		return nil
	}); err != nil {
		return unavailable("create user", err)
	}
	if err := s.claimEmail(ctx, u.Metadata.Email, u.ID); err != nil {
		if errors.Is(err, ErrExists) {
			s.rdb.Del(ctx, userKey(u.ID)) // or it expires
			s.strike(ctx, users, u.ID, u.Metadata.names()...)
		}
		return err
	}
	there, err := s.rdb.Persist(ctx, userKey(u.ID)).Result()
	if err == nil && !there {
		err = errors.New("it took too long")
	}
	return unavailable("create user", err)
}

// User reads one user. ErrNotFound if there is none.
func (s *Store) User(ctx context.Context, id string) (*User, error) {
	cmd := redis.NewMapStringStringCmd(ctx, "hgetall", userKey(id))
	if err := s.db.Do(ctx, "read user", cmd); err != nil {
		return nil, err
	}
	return s.decoded.user(id, cmd.Val())
}

// Users lists at most limit users of whose id, email or name a word begins with query, as [Store.Clients] does.
func (s *Store) Users(ctx context.Context, query, after string, limit int) (page []*User, next string, err error) {
	return listing[User]{
		directory: users,
		query:     query,
		read: func(ctx context.Context, ids []string) ([]*User, error) {
			return readAll(ctx, s, ids, userKey, s.decoded.user)
		},
		id:    func(u *User) string { return u.ID },
		names: func(u *User) []string { return u.Metadata.names() },
	}.page(ctx, s, after, limit)
}

// DisableUser disables a user: every key of theirs is rejected until they are enabled. Their sessions and their
// invite are revoked.
func (s *Store) DisableUser(ctx context.Context, id string, cause Cause) error {
	err := s.revokeFields(ctx, "disable user", userKey(id), cause.userRevocation(UserRevoked, id), onField, sessionField, inviteField)
	if !redisdb.Failed(err) {
		s.forgetSessions(ctx, id)
	}
	return err
}

// EnableUser enables a user, and thereby the keys that have neither expired nor been revoked. One who is enabled stays so, even if a
// disabling of unknown outcome is applied later.
func (s *Store) EnableUser(ctx context.Context, id string, cause Cause) error {
	return s.enableUser(ctx, id, cause, false)
}

// KeepUserEnabled is EnableUser for a caller who read the user as enabled and therefore recorded no event.
// ErrConflict if they were disabled since.
func (s *Store) KeepUserEnabled(ctx context.Context, id string, cause Cause) error {
	return s.enableUser(ctx, id, cause, true)
}

func (s *Store) enableUser(ctx context.Context, id string, cause Cause, wasEnabled bool) error {
	on := randomValue()
	return s.change(ctx, "enable user", userKey(id), func(fields map[string]string) (transaction, error) {
		u, err := s.decoded.user(id, fields)
		if err != nil {
			return transaction{}, err
		}
		if wasEnabled && !u.Enabled {
			return transaction{}, &planError{ErrConflict}
		}
		return transaction{
			write:   func(p redis.Pipeliner) { p.HSet(ctx, userKey(id), onField, on) },
			steps:   []step{{Revocation: cause.userRevocation(UserRevoked, id)}},
			enabled: onField, value: on,
		}, nil
	})
}

// PromoteUser makes an operator of a user. For one who is an operator already it changes nothing, and appends to the feed once
// more.
func (s *Store) PromoteUser(ctx context.Context, id string, cause Cause) error {
	return s.promoteUser(ctx, id, cause, false)
}

// KeepUserPromoted is PromoteUser for a caller who read the user as an operator and therefore recorded no event.
// ErrConflict if they were demoted since.
func (s *Store) KeepUserPromoted(ctx context.Context, id string, cause Cause) error {
	return s.promoteUser(ctx, id, cause, true)
}

func (s *Store) promoteUser(ctx context.Context, id string, cause Cause, wasOperator bool) error {
	return s.change(ctx, "promote user", userKey(id), func(fields map[string]string) (t transaction, err error) {
		u, err := s.decoded.user(id, fields)
		if err != nil {
			return t, err
		}
		t.steps = []step{{Revocation: cause.userRevocation(UserRevoked, id)}}
		switch {
		case u.Role() == Operator:
			return t, nil
		case wasOperator:
			return transaction{}, &planError{ErrConflict}
		}
		g := NewGeneration()
		t.write = func(p redis.Pipeliner) { p.HSet(ctx, userKey(id), operatorField, g[:]) }
		return t, nil
	})
}

// DemoteUser makes a developer of a user. What their keys could do as an operator's is revoked: should
// they be promoted again, it is under another generation.
func (s *Store) DemoteUser(ctx context.Context, id string, cause Cause) error {
	return s.revokeFields(ctx, "demote user", userKey(id), cause.userRevocation(UserRevoked, id), operatorField)
}

// DeleteUser removes a user and revokes all their keys. The email may be given to another user, who
// gets nothing of the old one.
func (s *Store) DeleteUser(ctx context.Context, id string, cause Cause) error {
	u, err := s.User(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return cmp.Or(s.confirmGone(ctx, "delete user", userKey(id), metaField, cause.userRevocation(UserRevoked, id)), err)
	}
	// An unreadable record can be deleted too. No key is valid from here on: its owner is not there.
	record := rollback.OfKey(userKey(id))
	_, err = s.revoke(ctx, "delete user", step{Revocation: cause.userRevocation(UserRevoked, id), deletions: []rollback.Deletion{record}})
	if redisdb.Failed(err) {
		return err
	}
	var names []string
	if u != nil {
		s.releaseEmail(ctx, u.Metadata.Email, id)
		names = u.Metadata.names()
	}
	s.strike(ctx, users, id, names...)
	s.revokeKeysOf(ctx, id, cause)
	s.forgetSessions(ctx, id)
	return err
}

func (d *decoded) user(id string, fields map[string]string) (*User, error) {
	meta, there := fields[metaField]
	if !there {
		return nil, ErrNotFound
	}
	u := &User{ID: id, Password: []byte(fields[passwordField])}
	var err error
	if u.Metadata, err = d.users.decode(meta); err != nil {
		return nil, fmt.Errorf("user %s: %w", id, err)
	}
	_, u.Enabled = fields[onField]
	u.Generation, u.Operator = generationOf(fields[genField]), generationOf(fields[operatorField])
	u.Sessions, u.PasswordLife = generationOf(fields[sessionField]), fields[passwordLifeField]
	if invite, there := fields[inviteField]; there {
		i, err := decodeInvite(invite)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", id, err)
		}
		u.Invite = &i
	}
	return u, nil
}
