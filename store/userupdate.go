package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// UpdateUser changes what is known of a person. It is repeated when somebody else changes the same person at
// the same time, so change must do nothing else. ErrExists if the new email is taken. After ErrUnavailable the
// new email may be kept for this person alone; repeating it settles that.
func (s *Store) UpdateUser(ctx context.Context, id string, cause Cause, change func(*UserMetadata) error) (u *User, err error) {
	const tries = 10
	for range tries {
		if u, err = s.updateUser(ctx, id, cause, change); !errors.Is(err, ErrConflict) {
			break
		}
	}
	return u, err
}

// updateUser is one try of UpdateUser: ErrConflict if the person is another by the time that the new email is
// theirs. The next try wants the same email, so that it needs not be given back.
func (s *Store) updateUser(ctx context.Context, id string, cause Cause, change func(*UserMetadata) error) (*User, error) {
	u, err := s.User(ctx, id)
	if err != nil {
		return nil, err
	}
	before := u.Metadata
	if err := change(&u.Metadata); err != nil {
		return nil, err
	}
	next, moved := u.Metadata, FoldEmail(before.Email) != FoldEmail(u.Metadata.Email)
	if err := s.claimEmail(ctx, next.Email, id); err != nil {
		return nil, err
	}
	if err := s.enter(ctx, users, id, next.names()...); err != nil {
		return nil, err
	}
	if u, err = s.replaceUserMetadata(ctx, id, before, next, moved); err != nil {
		return nil, err
	}
	if moved {
		s.releaseEmail(ctx, before.Email, id)
		// Whoever moved away from the new address before may have let go of it only now.
		if err := s.claimEmail(ctx, next.Email, id); err != nil {
			return nil, err
		}
	}
	s.strikeNames(ctx, users, id, lostNames(before.names(), next.names())...)
	return u, nil
}

// replaceUserMetadata is for when nobody else has changed it: ErrConflict. Who moved to another address has no invite
// any more, for whoever has the link has it from the old one.
func (s *Store) replaceUserMetadata(ctx context.Context, id string, before, next UserMetadata, moved bool) (u *User, err error) {
	var ended []ending
	err = s.change(ctx, "update user", userKey(id), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		if u, err = readUser(ctx, tx, id); err != nil {
			return nil, err
		}
		if encodeRecord(u.Metadata) != encodeRecord(before) {
			return nil, fmt.Errorf("user %s: %w", id, ErrConflict)
		}
		u.Metadata = next
		if moved {
			ended, u.Invite = u.inviteEnding(), nil
		}
		return func(p redis.Pipeliner) {
			p.HSet(ctx, userKey(id), metaField, encodeRecord(next))
			if moved {
				p.HDel(ctx, userKey(id), inviteField)
			}
		}, nil
	})
	err = s.noteChange(err, ended...)
	return u, err
}

// lostNames are those of before that have no entry after.
func lostNames(before, after []string) (lost []string) {
	kept := map[string]bool{}
	for _, name := range after {
		kept[strings.ToLower(name)] = true
	}
	for _, name := range before {
		if !kept[strings.ToLower(name)] {
			lost = append(lost, name)
		}
	}
	return lost
}
