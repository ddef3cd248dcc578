package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

const (
	// SessionIdle is after how long without use a session expires, and SessionLife its longest lifetime.
	SessionIdle = 12 * time.Hour
	SessionLife = 7 * 24 * time.Hour
	// MaxSessions is how many a user may have: see [Store.SurplusSessions].
	MaxSessions = 100
	// useRecordedEvery is how exactly the last use of a session is recorded.
	useRecordedEvery = time.Minute
)

// Session is a sign-in to the dashboard. Its record stands under the digest of the cookie; it is valid while the user is
// enabled and has the session generation that it was created under.
type Session struct {
	Digest     Digest     `json:"-"`
	UserID     string     `json:"user"`
	Generation Generation `json:"gen"`
	CreatedAt  time.Time  `json:"created"`
	SeenAt     time.Time  `json:"seen"`
	Address    string     `json:"address"`
	Agent      string     `json:"agent"` // the browser, as it calls itself; cut
}

func sessionKey(d Digest) string { return "mk:s:" + string(d[:]) }

// sessionsOf are the digests of a user's sessions, by the millisecond in which they expire at the latest.
func sessionsOf(userID string) string { return "mk:ps:" + userID }

// sessionField is the generation of a user's sessions: there from a first sign-in on, deleted when all sessions are
// revoked.
const sessionField = "sess"

// CreateSession signs a user in. verified is the user as read when the presented password was found to match. ErrNotFound
// if the user is deleted, or disabled, or has another password by now.
func (s *Store) CreateSession(ctx context.Context, sess *Session, verified *User) error {
	err := s.change(redisdb.WithoutBarrier(ctx), "create session", userKey(sess.UserID), func(fields map[string]string) (t transaction, err error) {
		u, err := s.decoded.user(sess.UserID, fields)
		switch {
		case err != nil:
			return t, err
		case !u.Enabled || !u.hasPasswordOf(verified):
			return t, ErrNotFound
		}
		if sess.Generation = u.Sessions; sess.Generation != (Generation{}) {
			return t, nil
		}
		sess.Generation = NewGeneration()
		return write(func(p redis.Pipeliner) { p.HSet(ctx, userKey(u.ID), sessionField, sess.Generation[:]) })
	})
	if err != nil {
		return err
	}
	now := s.now().UTC()
	sess.CreatedAt, sess.SeenAt = now, now
	key := sessionsOf(sess.UserID)
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRemRangeByScore(ctx, key, "-inf", strconv.FormatInt(now.UnixMilli(), 10))
		p.ZAdd(ctx, key, redis.Z{Member: string(sess.Digest[:]), Score: scoreOf(now.Add(SessionLife))})
		p.PExpire(ctx, key, SessionLife)
		p.Set(ctx, sessionKey(sess.Digest), encodeRecord(sess), SessionIdle)
		return nil
	})
	return unavailable("create session", err)
}

// SurplusSessions are the oldest sessions of a user who has more than [MaxSessions]. The caller revokes them.
func (s *Store) SurplusSessions(ctx context.Context, userID string) ([]Digest, error) {
	oldest, err := s.rdb.ZRange(ctx, sessionsOf(userID), 0, -MaxSessions-1).Result()
	return digestsOf(oldest), unavailable("list sessions", err)
}

// Session reads a session and its user, in two round trips. ErrNotFound if it is not valid. That it
// was used is written, once in a minute.
func (s *Store) Session(ctx context.Context, d Digest) (*Session, *User, error) {
	sess, err := s.readSession(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	now := s.now()
	if now.Sub(sess.SeenAt) >= SessionIdle || now.Sub(sess.CreatedAt) >= SessionLife {
		return nil, nil, ErrNotFound
	}
	u, err := s.User(ctx, sess.UserID)
	if err != nil {
		return nil, nil, err
	}
	if !u.Enabled || !sess.Generation.Matches(u.Sessions) {
		return nil, nil, ErrNotFound
	}
	if now.Sub(sess.SeenAt) >= useRecordedEvery {
		s.recordSessionUse(ctx, sess)
	}
	return sess, u, nil
}

func (s *Store) readSession(ctx context.Context, d Digest) (*Session, error) {
	record, err := s.rdb.Get(ctx, sessionKey(d)).Result()
	if errors.Is(err, redis.Nil) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, unavailable("read session", err)
	}
	sess := &Session{Digest: d}
	return sess, decodeRecord(record, sess)
}

// recordSessionUse records that a session is in use, unless it was revoked meanwhile. It is a statistic and a later expiry,
// and cannot fail the request.
func (s *Store) recordSessionUse(ctx context.Context, sess *Session) {
	sess.SeenAt = s.now().UTC()
	ttl := min(SessionIdle, sess.CreatedAt.Add(SessionLife).Sub(sess.SeenAt))
	err := s.rdb.SetXX(ctx, sessionKey(sess.Digest), encodeRecord(sess), max(ttl, time.Millisecond)).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.log.WarnContext(ctx, "recording the use of a session failed", "user", sess.UserID, "error", err)
	}
}

// RevokeSession signs a user out of one session.
func (s *Store) RevokeSession(ctx context.Context, userID string, d Digest, cause Cause) error {
	r := cause.userRevocation(SessionRevoked, userID)
	r.Digest = d
	_, err := s.revoke(ctx, "revoke session", step{Revocation: r, deletions: []rollback.Deletion{rollback.OfKey(sessionKey(d))}})
	if redisdb.Failed(err) {
		return err
	}
	if err := s.rdb.ZRem(ctx, sessionsOf(userID), string(d[:])).Err(); err != nil {
		s.log.WarnContext(ctx, "removing a session from the user's list failed", "user", userID, "error", err)
	}
	return err
}

// RevokeSessions signs a user out everywhere.
func (s *Store) RevokeSessions(ctx context.Context, userID string, cause Cause) error {
	err := s.revokeFields(ctx, "revoke sessions", userKey(userID), cause.userRevocation(SessionRevoked, userID), sessionField)
	if !redisdb.Failed(err) {
		s.forgetSessions(ctx, userID)
	}
	return err
}

// forgetSessions tidies up after sessions that were revoked; what stays behind expires.
func (s *Store) forgetSessions(ctx context.Context, userID string) {
	members, err := s.rdb.ZRange(ctx, sessionsOf(userID), 0, -1).Result()
	if err == nil {
		_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, d := range digestsOf(members) {
				p.Del(ctx, sessionKey(d))
			}
			p.Del(ctx, sessionsOf(userID))
			return nil
		})
	}
	if err != nil {
		s.log.WarnContext(ctx, "deleting revoked sessions failed; they expire", "user", userID, "error", err)
	}
}

// Sessions lists the valid sessions of a user, as read; the last used first.
func (s *Store) Sessions(ctx context.Context, u *User) ([]*Session, error) {
	members, err := s.rdb.ZRange(ctx, sessionsOf(u.ID), 0, -1).Result()
	if err != nil {
		return nil, unavailable("list sessions", err)
	}
	digests := digestsOf(members)
	if len(digests) == 0 {
		return nil, nil
	}
	records := make([]*redis.StringCmd, len(digests))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, d := range digests {
			records[i] = p.Get(ctx, sessionKey(d))
		}
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("list sessions", err)
	}
	var sessions []*Session
	for i, record := range records {
		sess := &Session{Digest: digests[i]}
		switch err := record.Err(); {
		case errors.Is(err, redis.Nil):
			continue // it was not used for too long
		case err != nil:
			return nil, unavailable("list sessions", err)
		}
		if err := decodeRecord(record.Val(), sess); err != nil {
			return nil, err
		}
		if sess.Generation.Matches(u.Sessions) {
			sessions = append(sessions, sess)
		}
	}
	slices.SortFunc(sessions, func(a, b *Session) int { return b.SeenAt.Compare(a.SeenAt) })
	return sessions, nil
}

// SetPassword changes a user's password, signs them out everywhere and revokes their invite, in one step. before is
// the user as read when their presented password was found to match, in the session sess. ErrNotFound if the password or
// the session is not theirs any more: another request came first, and must not be undone.
func (s *Store) SetPassword(ctx context.Context, sess *Session, before *User, sealed []byte) error {
	userID := sess.UserID
	err := s.change(ctx, "set password", userKey(userID), func(fields map[string]string) (t transaction, err error) {
		u, err := s.decoded.user(userID, fields)
		if err != nil {
			return t, err
		}
		if !u.Enabled || !u.hasPasswordOf(before) || !sess.Generation.Matches(u.Sessions) {
			return t, ErrNotFound
		}
		t.steps = passwordSteps(userID, fields, s.now())
		t.write = func(p redis.Pipeliner) {
			p.HSet(ctx, userKey(userID), passwordField, sealed, passwordLifeField, randomValue())
			p.HDel(ctx, userKey(userID), sessionField, inviteField)
		}
		return t, nil
	})
	if err == nil {
		s.forgetSessions(ctx, userID)
	}
	return err
}

// RehashPassword replaces what is stored of a user's password, if it is still the one that was stored before. The
// password itself stays.
func (s *Store) RehashPassword(ctx context.Context, userID string, before, sealed []byte) error {
	return s.change(redisdb.WithoutBarrier(ctx), "rehash password", userKey(userID), func(fields map[string]string) (t transaction, err error) {
		u, err := s.decoded.user(userID, fields)
		if err != nil || !bytes.Equal(u.Password, before) {
			return t, err
		}
		return write(func(p redis.Pipeliner) { p.HSet(ctx, userKey(userID), passwordField, sealed) })
	})
}
