package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

const (
	feedKey  = "mk:feed"
	beatsKey = "mk:feed:beats:{mk:feed}" // in the slot of the feed
)

// newFeed is the feed to which the revocations of this store are appended.
func (s *Store) newFeed() *feed.Feed {
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
	return feed.New(o)
}

// Feed is what guards are told; nil: this store has none.
func (s *Store) Feed() *feed.Feed { return s.feed }

// void is what a revocation voids in the feed. The redo log keeps it with the deletion.
type void struct {
	kind   Kind
	handle feed.Handle
	all    bool // everything
}

// voidOf is what a revocation voids; nil: neither an answer of introspection nor a remembered authentication depends on it.
func voidOf(r Revocation) *void {
	switch r.Kind {
	case TokenRevoked, KeyRevoked:
		return &void{kind: r.Kind, handle: feed.OfCredential(r.Digest)}
	case ClientRevoked:
		return &void{kind: r.Kind, handle: feed.OfClient(r.ClientID)}
	case UserRevoked:
		return &void{kind: r.Kind, handle: feed.OfUser(r.UserID)}
	case SecretRevoked, ClientKeyRevoked:
		return &void{kind: r.Kind, handle: feed.OfAuthentication(r.ClientID)}
	case AllRevoked:
		return &void{kind: r.Kind, all: true}
	case SessionRevoked, InviteRevoked, PasswordReset:
	}
	return nil
}

// voidsOf are what each step voids; without a feed nothing.
func (s *Store) voidsOf(steps []step) []*void {
	voids := make([]*void, len(steps))
	for i, st := range steps {
		if s.feed != nil && !st.silent {
			voids[i] = voidOf(st.Revocation)
		}
	}
	return voids
}

// handlesOf are the handles of voids, each once; all: everything is void.
func handlesOf(voids []*void) (handles []feed.Handle, all bool) {
	has := map[feed.Handle]bool{}
	for _, v := range voids {
		switch {
		case v == nil:
		case v.all:
			all = true
		case !has[v.handle]:
			has[v.handle] = true
			handles = append(handles, v.handle)
		}
	}
	return handles, all
}

// appends are the commands that append voids to the feed. They go behind the deletions, on the same connection and before
// the durability barrier; in a cluster in a pipeline of their own, with its barrier. They are in no MULTI with the
// deletions: a Redis that is out of memory would reject both.
func (s *Store) appends(ctx context.Context, voids []*void) []redis.Cmder {
	if s.feed == nil {
		return nil
	}
	s.countVoids(voids)
	handles, all := handlesOf(voids)
	if redisdb.IsUnauthenticated(ctx) {
		return s.feed.VoidLater(ctx, handles, all)
	}
	return s.feed.Void(ctx, handles, all)
}

// appended reads the answers to appends. With an error the revocation is applied, and guards may not learn of it. If Redis
// rejects an append, because it is out of memory, the feed is deleted instead: then guards forget everything.
func (s *Store) appended(ctx context.Context, op string, appends []redis.Cmder) error {
	var errs []error
	rejected := false
	for _, cmd := range appends {
		id, err := cmd.(*redis.StringCmd).Result()
		if err == nil && id == "" {
			err = errNotSent
		}
		errs = append(errs, err)
		rejected = rejected || redisdb.ErrorPrefix(err) != ""
	}
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	if rejected {
		deleted := s.deleteFeed(ctx, op)
		if deleted == nil {
			s.log.WarnContext(ctx, "Redis rejected what is appended to the feed, which was deleted; guards ask at each call", "error", err)
			return nil
		}
		err = errors.Join(err, deleted)
	}
	return fmt.Errorf("%s: %w: the feed does not have it: %w", op, ErrUnconfirmed, err)
}

var errNotSent = errors.New("it was not sent")

// deleteFeed makes every cursor invalid. Redis accepts it when it is out of memory.
func (s *Store) deleteFeed(ctx context.Context, op string) error {
	return s.db.Apply(ctx, op, []*redis.IntCmd{redis.NewIntCmd(ctx, "del", feedKey)})
}

// appendAgain makes the commands for the redo log, whose payloads are voids.
func (s *Store) appendAgain(ctx context.Context, payloads []any, repeats bool) []redis.Cmder {
	voids := make([]*void, len(payloads))
	for i, p := range payloads {
		voids[i] = p.(*void)
	}
	s.countVoids(voids)
	handles, all := handlesOf(voids)
	if repeats {
		return s.feed.Repeat(ctx, handles, all)
	}
	return s.feed.Void(ctx, handles, all)
}

// appendLater has the next heartbeat append voids of which it is not known whether the feed has them.
func (s *Store) appendLater(voids ...*void) {
	for _, v := range voids {
		if s.monitor != nil && v != nil {
			s.monitor.NoteAnnouncement(v)
		}
	}
}

// entriesOf are the deletions of steps as the redo log keeps them, with what each step voids. appended: the feed has it.
func entriesOf(steps []step, voids []*void, appended bool) (entries []rollback.Entry) {
	for i, st := range steps {
		for _, d := range st.deletions {
			e := rollback.Entry{Deletion: d, Announced: appended}
			if voids[i] != nil { // a nil in an interface is not nil
				e.Payload = voids[i]
			}
			entries = append(entries, e)
		}
	}
	return entries
}
