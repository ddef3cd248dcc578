package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// SessionIdle is how long a session lives without being used, and SessionLife how long at most.
	SessionIdle = 12 * time.Hour
	SessionLife = 7 * 24 * time.Hour
	// MaxSessions is how many a person may have. One more ends the oldest.
	MaxSessions = 100
	// seenEvery is how exactly is noted when a session was last used.
	seenEvery = time.Minute
)

// Session is a sign-in to the dashboard. Its record stands under the digest of the cookie; it is worth
// something while the person is enabled and has the session generation that it was made under.
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

// sessionsOf are the digests of a person's sessions, by the millisecond in which they end at the latest.
func sessionsOf(userID string) string { return "mk:ps:" + userID }

// sessionField is the generation of a person's sessions: there from a first sign-in on, gone with the end of
// all sessions.
const sessionField = "sess"

// CreateSession signs a person in who has shown the password of which verified is kept. ErrNotFound if they are not
// there, or disabled, or have another password by now.
func (s *Store) CreateSession(ctx context.Context, sess *Session, verified []byte) error {
	err := s.change(tidy(ctx), "create session", userKey(sess.UserID), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		u, err := readUser(ctx, tx, sess.UserID)
		switch {
		case err != nil:
			return nil, err
		case !u.Enabled || !bytes.Equal(u.Password, verified):
			return nil, ErrNotFound
		}
		if sess.Generation = u.Sessions; sess.Generation != (Generation{}) {
			return func(redis.Pipeliner) {}, nil
		}
		sess.Generation = NewGeneration()
		return func(p redis.Pipeliner) { p.HSet(ctx, userKey(u.ID), sessionField, sess.Generation[:]) }, nil
	})
	if err != nil {
		return err
	}
	now := s.now().UTC()
	sess.CreatedAt, sess.SeenAt = now, now
	key := sessionsOf(sess.UserID)
	var oldest *redis.StringSliceCmd
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRemRangeByScore(ctx, key, "-inf", strconv.FormatInt(now.UnixMilli(), 10))
		p.ZAdd(ctx, key, redis.Z{Member: string(sess.Digest[:]), Score: scoreOf(now.Add(SessionLife))})
		p.PExpire(ctx, key, SessionLife)
		p.Set(ctx, sessionKey(sess.Digest), encodeRecord(sess), SessionIdle)
		oldest = p.ZRange(ctx, key, 0, -MaxSessions-1)
		return nil
	})
	if err != nil {
		return unavailable("create session", err)
	}
	for _, digest := range oldest.Val() {
		if err := s.RevokeSession(ctx, sess.UserID, Digest([]byte(digest)), Cause{At: now.UTC(), Actor: UserActor(sess.UserID), Reason: "too many sessions"}); err != nil {
			return err
		}
	}
	return nil
}

// Session reads a session and its person, in two round trips. ErrNotFound if it is not worth anything. That it
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
	if now.Sub(sess.SeenAt) >= seenEvery {
		s.seeSession(ctx, sess)
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

// seeSession notes that a session is in use, unless it has ended meanwhile. It is a statistic and a longer
// life, and cannot fail what it is noted for.
func (s *Store) seeSession(ctx context.Context, sess *Session) {
	sess.SeenAt = s.now().UTC()
	ttl := min(SessionIdle, sess.CreatedAt.Add(SessionLife).Sub(sess.SeenAt))
	err := s.rdb.SetXX(ctx, sessionKey(sess.Digest), encodeRecord(sess), max(ttl, time.Millisecond)).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.log.WarnContext(ctx, "the use of a session is not noted", "user", sess.UserID, "error", err)
	}
}

// RevokeSession signs out.
func (s *Store) RevokeSession(ctx context.Context, userID string, d Digest, cause Cause) error {
	_, err := s.end(ctx, "end session", deletion(sessionKey(d)))
	if failed(err) {
		return err
	}
	if err := s.rdb.ZRem(ctx, sessionsOf(userID), string(d[:])).Err(); err != nil {
		s.log.WarnContext(ctx, "a session is left in the list", "user", userID, "error", err)
	}
	return err
}

// RevokeSessions signs a person out everywhere.
func (s *Store) RevokeSessions(ctx context.Context, userID string, cause Cause) error {
	err := s.endUserFields(ctx, "end sessions", userID, sessionField)
	if !failed(err) {
		s.forgetSessions(ctx, userID)
	}
	return err
}

// forgetSessions tidies up after sessions that are worth nothing any more; what stays behind expires.
func (s *Store) forgetSessions(ctx context.Context, userID string) {
	digests, err := s.rdb.ZRange(ctx, sessionsOf(userID), 0, -1).Result()
	if err == nil {
		_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, d := range digests {
				p.Del(ctx, sessionKey(Digest([]byte(d))))
			}
			p.Del(ctx, sessionsOf(userID))
			return nil
		})
	}
	if err != nil {
		s.log.WarnContext(ctx, "dead sessions are left behind", "user", userID, "error", err)
	}
}

// Sessions lists the sessions of a person, as read, that are worth something; the last used first.
func (s *Store) Sessions(ctx context.Context, u *User) ([]*Session, error) {
	digests, err := s.rdb.ZRange(ctx, sessionsOf(u.ID), 0, -1).Result()
	if err != nil {
		return nil, unavailable("list sessions", err)
	}
	if len(digests) == 0 {
		return nil, nil
	}
	records := make([]*redis.StringCmd, len(digests))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, digest := range digests {
			records[i] = p.Get(ctx, sessionKey(Digest([]byte(digest))))
		}
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("list sessions", err)
	}
	var sessions []*Session
	for i, record := range records {
		sess := &Session{Digest: Digest([]byte(digests[i]))}
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

// SetPassword changes a person's password, signs them out everywhere and ends their invite, in one step. before is
// what was kept of the password that they have shown, in the session sess. ErrNotFound if either is not theirs any
// more: somebody was faster, and must not be overruled.
func (s *Store) SetPassword(ctx context.Context, sess *Session, before, sealed []byte) error {
	userID := sess.UserID
	var ended []ending
	err := s.change(ctx, "set password", userKey(userID), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		fields, err := tx.HGetAll(ctx, userKey(userID)).Result()
		if err != nil {
			return nil, err
		}
		u, err := decodeUser(userID, fields)
		if err != nil {
			return nil, err
		}
		if !u.Enabled || !bytes.Equal(u.Password, before) || !sess.Generation.Matches(u.Sessions) {
			return nil, ErrNotFound
		}
		ended = passwordEndings(userID, fields)
		return func(p redis.Pipeliner) {
			p.HSet(ctx, userKey(userID), passwordField, sealed, passwordLifeField, newSign())
			p.HDel(ctx, userKey(userID), sessionField, inviteField)
		}, nil
	})
	err = s.noteChange(err, ended...)
	if err == nil {
		s.forgetSessions(ctx, userID)
	}
	return err
}

// RehashPassword keeps a person's password and what is stored of it anew, if it is still the one that was
// stored before.
func (s *Store) RehashPassword(ctx context.Context, userID string, before, sealed []byte) error {
	return s.change(tidy(ctx), "rehash password", userKey(userID), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		u, err := readUser(ctx, tx, userID)
		if err != nil {
			return nil, err
		}
		return func(p redis.Pipeliner) {
			if bytes.Equal(u.Password, before) {
				p.HSet(ctx, userKey(userID), passwordField, sealed)
			}
		}, nil
	})
}

// onceFor is how long a form is remembered after it was sent.
const onceFor = time.Hour

func onceKey(d Digest) string { return "mk:o:" + string(d[:16]) }

// ClaimIdempotencyKey says whether something is done for the first time: of two that say the same digest within an hour, one is
// told so, and the other what [Store.CompleteIdempotencyKey] has left.
func (s *Store) ClaimIdempotencyKey(ctx context.Context, d Digest) (first bool, left string, err error) {
	first, err = s.rdb.SetNX(ctx, onceKey(d), "", onceFor).Result()
	if err != nil || first {
		return first, "", unavailable("look whether it was done", err)
	}
	left, err = s.rdb.Get(ctx, onceKey(d)).Result()
	if errors.Is(err, redis.Nil) {
		return false, "", nil
	}
	return false, left, unavailable("look whether it was done", err)
}

// CompleteIdempotencyKey leaves a word for who comes second; an empty one lets it be done again.
func (s *Store) CompleteIdempotencyKey(ctx context.Context, d Digest, left string) {
	var err error
	if left == "" {
		err = s.rdb.Del(ctx, onceKey(d)).Err()
	} else {
		err = s.rdb.Set(ctx, onceKey(d), left, onceFor).Err()
	}
	if err != nil {
		s.log.WarnContext(ctx, "what was done is not remembered", "error", err)
	}
}
