package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// UpdateUser changes what is known of a user. It is repeated when another request changes the same user at
// the same time, so change must do nothing else. ErrExists if the new email is taken. After ErrUnavailable the
// new email may be kept for this user alone; repeating it settles that.
func (s *Store) UpdateUser(ctx context.Context, id string, cause Cause, change func(*UserMetadata) error) (u *User, err error) {
	for range maxTries {
		if u, err = s.updateUser(ctx, id, cause, change); !errors.Is(err, ErrConflict) {
			break
		}
	}
	return u, err
}

// updateUser is one try of UpdateUser: ErrConflict if the user has changed by the time that the new email is
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
	if err := users.enter(ctx, s.rdb, id, next.names()...); err != nil {
		return nil, err
	}
	if u, err = s.replaceUserMetadata(ctx, id, cause, before, next, moved); err != nil {
		return nil, err
	}
	if moved {
		s.releaseEmail(ctx, before.Email, id)
		// A user who moved away from the new address before may have given it back only now.
		if err := s.claimEmail(ctx, next.Email, id); err != nil {
			return nil, err
		}
	}
	s.strikeNames(ctx, users, id, before.names(), next.names())
	return u, nil
}

// replaceUserMetadata writes next. ErrConflict if another request has changed the metadata since before. A user who moved to another address has
// no invite any more, for the link went to the old one.
func (s *Store) replaceUserMetadata(ctx context.Context, id string, cause Cause, before, next UserMetadata, moved bool) (u *User, err error) {
	err = s.change(ctx, "update user", userKey(id), func(fields map[string]string) (t transaction, err error) {
		if u, err = s.decoded.user(id, fields); err != nil {
			return t, err
		}
		if encodeRecord(u.Metadata) != encodeRecord(before) {
			return t, fmt.Errorf("user %s: %w", id, ErrConflict)
		}
		u.Metadata = next
		if moved {
			t.steps, u.Invite = u.inviteSteps(cause), nil
		}
		t.write = func(p redis.Pipeliner) {
			p.HSet(ctx, userKey(id), metaField, encodeRecord(next))
			if moved {
				p.HDel(ctx, userKey(id), inviteField)
			}
		}
		return t, nil
	})
	return u, err
}
