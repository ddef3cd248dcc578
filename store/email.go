package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// FoldEmail is the form in which emails are compared: two that look the same, whatever their case and
// however their letters are put together, are the same (Unicode NFKC and full case folding).
func FoldEmail(email string) string {
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(email)))
}

// emailKey holds the id of the one user with the email. Its name has a digest: an email may be long.
func emailKey(email string) string {
	d := DigestOf(FoldEmail(email))
	return "mk:e:" + string(d[:16])
}

// UserByEmail reads the user with the email. ErrNotFound if there is none.
func (s *Store) UserByEmail(ctx context.Context, email string) (*User, error) {
	id, err := s.rdb.Get(ctx, emailKey(email)).Result()
	if errors.Is(err, redis.Nil) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, unavailable("read email", err)
	}
	u, err := s.User(ctx, id)
	if err == nil && FoldEmail(u.Metadata.Email) != FoldEmail(email) { // a change of email stopped half-way
		return nil, ErrNotFound
	}
	return u, err
}

// claimEmail takes an email for a user who is there. ErrExists if it is another user's; one that was
// left by a user who is not there any more is free, because ids are not used again.
func (s *Store) claimEmail(ctx context.Context, email, id string) error {
	const op = "claim email"
	key, gone := emailKey(email), "" // a user who is not there any more, and never will be again
	return s.transact(ctx, op, key, func(tx *redis.Tx) (t transaction, err error) {
		owner, err := tx.Get(ctx, key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return t, err
		}
		if owner != "" && owner != id && owner != gone {
			return t, &prerequisite{func() error {
				there, err := s.rdb.HExists(ctx, userKey(owner), metaField).Result()
				if err == nil && there {
					return ErrExists
				}
				gone = owner
				return unavailable(op, err)
			}}
		}
		// Written even if it is theirs already, so that a request that is about to give it back sees that it is wanted.
		return write(func(p redis.Pipeliner) { p.Set(ctx, key, id, 0) })
	})
}

// releaseEmail gives an email back that is kept for this user and not theirs any more. It tidies up and cannot
// fail what it comes after: an email that stays behind when its user is gone is free, see claimEmail. The user is read while the
// email is watched: they may have claimed it again just before. So it holds two connections, as no other plan does, and only one
// at a time does so.
func (s *Store) releaseEmail(ctx context.Context, email, id string) {
	s.releasing.Lock()
	defer s.releasing.Unlock()
	key := emailKey(email)
	err := s.transact(redisdb.WithoutBarrier(ctx), "release email", key, func(tx *redis.Tx) (t transaction, err error) {
		owner, err := tx.Get(ctx, key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return t, err
		}
		u, err := s.User(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return t, err
		}
		theirs := u != nil && FoldEmail(u.Metadata.Email) == FoldEmail(email)
		return write(func(p redis.Pipeliner) {
			if owner == id && !theirs {
				p.Del(ctx, key)
			}
		})
	})
	if err != nil {
		s.log.WarnContext(ctx, "releasing an email address failed; it cannot be reused yet", "user", id, "error", err)
	}
}
