package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

const (
	feedKey  = "mk:feed"
	beatsKey = "mk:feed:beats:{mk:feed}" // in the slot of the feed
)

// newFeed is the feed to which the revocations of this store are appended, and the Announce that does so.
func (s *Store) newFeed() (*feed.Feed, *Announce) {
	o := feed.Options{Key: feedKey, BeatsKey: beatsKey, DB: s.db, Logger: s.log}
	if s.monitor != nil {
		o.Replica = s.monitor.Replica()
		o.Watermarks = func(ctx context.Context) (feed.Watermarks, error) {
			counter, of, err := s.monitor.Watermarks(ctx, feedKey)
			return feed.Watermarks{Counter: counter, Of: of}, err
		}
		o.Trusted = func() bool { return s.monitor.State() == rollback.Closed }
		o.OnConnect = s.monitor.Connected
	}
	f := feed.New(o)
	return f, &Announce{
		Append: func(ctx context.Context, revocations []Revocation) []redis.Cmder {
			handles, all := voidsOf(revocations)
			return f.Void(ctx, handles, all)
		},
		Check: func(cmds []redis.Cmder) error {
			var errs []error
			for _, cmd := range cmds {
				errs = append(errs, redisdb.Failure(cmd.Err()))
			}
			return errors.Join(errs...)
		},
	}
}

// Feed is what guards are told; nil: this store has none.
func (s *Store) Feed() *feed.Feed { return s.feed }

// voidsOf are the handles of revocations, each once; all: everything is void.
func voidsOf(revocations []Revocation) (handles []feed.Handle, all bool) {
	has := map[feed.Handle]bool{}
	for _, r := range revocations {
		h, voids := voidOf(r)
		all = all || r.Kind == AllRevoked
		if voids && !has[h] {
			has[h] = true
			handles = append(handles, h)
		}
	}
	return handles, all
}

// voidOf is the handle of a revocation; false: no answer of introspection and no remembered authentication depends on it.
func voidOf(r Revocation) (h feed.Handle, voids bool) {
	switch r.Kind {
	case TokenRevoked, KeyRevoked:
		return feed.OfCredential(r.Digest), true
	case ClientRevoked:
		return feed.OfClient(r.ClientID), true
	case UserRevoked:
		return feed.OfUser(r.UserID), true
	case SecretRevoked, ClientKeyRevoked:
		return feed.OfAuthentication(r.ClientID), true
	case AllRevoked, SessionRevoked, InviteRevoked, PasswordReset:
	}
	return h, false
}
