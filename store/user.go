package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// User is a person with an account: a developer, who owns API keys, or an operator besides.
//
// The record is one hash, mk:p:<id>, shaped as a client's is: what a person may do hangs on fields being
// there, so that every end is an HDEL or a DEL.
//
//	meta        UserMetadata, versioned JSON; without it there is nobody
//	on          there while the person is enabled; each time another, which no reader minds
//	gen         the generation, drawn once: disabling suspends the keys, it does not end them
//	op          there while the person is an operator: a generation of that role
//	pw          the password's hash, sealed
//	pwlife      drawn with each password, whose hash may be made anew; missing if an earlier version did that
//	sess        the generation of the sessions
//	invite      the digest of the one link that sets a password, and its end
type User struct {
	ID         string
	Metadata   UserMetadata
	Enabled    bool
	Generation Generation
	Operator   Generation // none: a developer
	Sessions   Generation // none: nobody is signed in
	Password   []byte     // as package password sealed it; empty: none was set
	Invite     *Invite    // nil: there is none
}

// UserMetadata is what is known of a person.
type UserMetadata struct {
	Email     string    `json:"email"` // as it was given; compared by [FoldEmail]
	Name      string    `json:"name,omitempty"`
	CreatedAt time.Time `json:"created"`
}

// The roles of people.
const (
	Developer = "developer"
	Operator  = "operator"
)

// Role is what the person may do: operators see to everybody's clients and keys, developers to their own keys.
func (u *User) Role() string {
	if u.Operator != (Generation{}) {
		return Operator
	}
	return Developer
}

// NewUserID names a new person.
func NewUserID() string { return "usr_" + strings.ToLower(rand.Text()) }

func userKey(id string) string { return "mk:p:" + id }

const (
	operatorField     = "op"
	passwordField     = "pw"
	passwordLifeField = "pwlife"
	inviteField       = "invite"
)

var users = directory{ids: "mk:users:id", names: "mk:users:name"}

func (m UserMetadata) names() []string {
	if m.Name == "" {
		return []string{m.Email}
	}
	return []string{m.Email, m.Name}
}

// unfinished is how long a person lives whose creation was not finished.
const unfinished = time.Minute

// CreateUser adds a person, enabled, with the role and the invite that u has, under a generation of its own,
// which it sets. ErrExists if the email is taken. What ErrUnavailable interrupted is gone within a minute, or
// was finished: repeating it then says ErrExists.
func (s *Store) CreateUser(ctx context.Context, u *User) error {
	u.Generation, u.Enabled = NewGeneration(), true
	fields := []any{metaField, encodeRecord(u.Metadata), onField, newSign(), genField, u.Generation[:]}
	if u.Operator != (Generation{}) {
		fields = append(fields, operatorField, u.Operator[:])
	}
	if len(u.Password) > 0 {
		fields = append(fields, passwordField, u.Password, passwordLifeField, newSign())
	}
	if u.Invite != nil {
		fields = append(fields, inviteField, encodeInvite(*u.Invite))
	}
	if err := s.enter(ctx, users, u.ID, u.Metadata.names()...); err != nil {
		return err
	}
	// The person first, for a minute, and the email then: who finds an email taken by somebody who is not there
	// knows that nobody will be.
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

// User reads one person. ErrNotFound if there is none.
func (s *Store) User(ctx context.Context, id string) (*User, error) {
	cmd := redis.NewMapStringStringCmd(ctx, "hgetall", userKey(id))
	if err := s.ask(ctx, "read user", cmd); err != nil {
		return nil, err
	}
	return decodeUser(id, cmd.Val())
}

// Users lists at most limit people whose id, email or name begins with query, as [Store.Clients] does.
func (s *Store) Users(ctx context.Context, query, after string, limit int) (page []*User, next string, err error) {
	return listing[User]{
		directory: users,
		query:     query,
		read: func(ctx context.Context, ids []string) ([]*User, error) {
			return readAll(ctx, s, ids, userKey, decodeUser)
		},
		id:    func(u *User) string { return u.ID },
		names: func(u *User) []string { return u.Metadata.names() },
	}.page(ctx, s, after, limit)
}

// DisableUser suspends a person: every key of theirs is refused until they are enabled. Their sessions and their
// invite end.
func (s *Store) DisableUser(ctx context.Context, id string, cause Cause) error {
	err := s.endUserFields(ctx, "disable user", id, onField, sessionField, inviteField)
	if !failed(err) {
		s.forgetSessions(ctx, id)
	}
	return err
}

// EnableUser lets a person, and the keys that were suspended with them, work again. One who is enabled stays so, be it
// that they were to be disabled, and nobody knows whether they will be.
func (s *Store) EnableUser(ctx context.Context, id string, cause Cause) error {
	on := newSign()
	err := s.change(ctx, "enable user", userKey(id), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		if _, err := readUser(ctx, tx, id); err != nil {
			return nil, err
		}
		return func(p redis.Pipeliner) { p.HSet(ctx, userKey(id), onField, on) }, nil
	})
	s.noteEnabled(err, userKey(id), on)
	return err
}

// PromoteUser makes an operator of a person. It is nothing to one who is one.
func (s *Store) PromoteUser(ctx context.Context, id string, cause Cause) error {
	return s.change(ctx, "promote user", userKey(id), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		u, err := readUser(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		g := NewGeneration()
		return func(p redis.Pipeliner) {
			if u.Role() != Operator {
				p.HSet(ctx, userKey(id), operatorField, g[:])
			}
		}, nil
	})
}

// DemoteUser makes a developer of a person. What their keys could do as an operator's ends for good: should
// they be promoted again, it is under another generation.
func (s *Store) DemoteUser(ctx context.Context, id string, cause Cause) error {
	return s.endUserFields(ctx, "demote user", id, operatorField)
}

// DeleteUser ends a person and all their keys for good. The email may be given to somebody new, to whom
// nothing of the old one comes.
func (s *Store) DeleteUser(ctx context.Context, id string, cause Cause) error {
	u, err := s.User(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return cmp.Or(s.confirmGone(ctx, "delete user", "hexists", userKey(id), metaField), err)
	}
	// An unreadable record can be deleted too. Every key is dead from here on: its owner is not there.
	_, err = s.end(ctx, "delete user", deletion(userKey(id)))
	if failed(err) {
		return err
	}
	var names []string
	if u != nil {
		s.releaseEmail(ctx, u.Metadata.Email, id)
		names = u.Metadata.names()
	}
	s.strike(ctx, users, id, names...)
	s.endKeysOf(ctx, id, cause)
	s.forgetSessions(ctx, id)
	return err
}

// endUserFields takes rights away, by a command that a Redis out of memory accepts. The first of the fields is the sign
// of the life that ends.
func (s *Store) endUserFields(ctx context.Context, op, id string, fields ...string) error {
	ends, there, err := s.removals(ctx, userKey(id), fields...)
	switch {
	case err != nil:
		return unavailable(op, err)
	case !there:
		return cmp.Or(s.confirmGone(ctx, op, "hexists", userKey(id), metaField), ErrNotFound)
	}
	_, err = s.end(ctx, op, ends...)
	return err
}

func readUser(ctx context.Context, tx *redis.Tx, id string) (*User, error) {
	fields, err := tx.HGetAll(ctx, userKey(id)).Result()
	if err != nil {
		return nil, err
	}
	return decodeUser(id, fields)
}

func decodeUser(id string, fields map[string]string) (*User, error) {
	meta, there := fields[metaField]
	if !there {
		return nil, ErrNotFound
	}
	u := &User{ID: id, Password: []byte(fields[passwordField])}
	var err error
	if u.Metadata, err = userMetas.decode(meta); err != nil {
		return nil, fmt.Errorf("user %s: %w", id, err)
	}
	_, u.Enabled = fields[onField]
	u.Generation, u.Operator = generationOf(fields[genField]), generationOf(fields[operatorField])
	u.Sessions = generationOf(fields[sessionField])
	if invite, there := fields[inviteField]; there {
		i, err := decodeInvite(invite)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", id, err)
		}
		u.Invite = &i
	}
	return u, nil
}
