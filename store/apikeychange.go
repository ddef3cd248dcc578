package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// What may be changed of a key stands in its record, by which it is used, and in its description, by which it is shown. The
// record is written first, in one step, and decides; the description follows. If they differ because the second step failed,
// what is shown is what the record says: see [APIKey.take]. Only the text of [APIKey.Description] is not in the record. Neither
// the scope nor the expiry of a record ever becomes wider, so that a replay may narrow it again: see narrowing.

// Expires is when the key expires; zero: never, or there is no key.
func (k *KeyRecord) Expires() time.Time {
	if k == nil || k.ExpiresAt == 0 {
		return time.Time{}
	}
	return time.UnixMilli(k.ExpiresAt).UTC()
}

func (k *KeyRecord) expired(now time.Time) bool {
	return k.ExpiresAt != 0 && now.UnixMilli() >= k.ExpiresAt
}

// setMembers gives the record what may be changed of a key.
func (k *KeyRecord) setMembers(from *APIKey) {
	k.Name, k.Scope, k.Metadata, k.RateLimit, k.ExpiresAt = from.Name, from.Scope, from.Metadata, from.RateLimit, 0
	if !from.ExpiresAt.IsZero() {
		k.ExpiresAt = from.ExpiresAt.UnixMilli()
	}
}

// setMembers shows what may be changed of a key as its record has it.
func (k *APIKey) setMembers(from *KeyRecord) {
	k.Name, k.Scope, k.Metadata, k.RateLimit, k.ExpiresAt = from.Name, from.Scope, from.Metadata, from.RateLimit, from.Expires()
}

// keyChange is what a change makes of a record.
type keyChange struct {
	steps   []step
	revokes bool   // the record is deleted
	enabled string // the value of KeyRecord.Enabled that it draws; empty: none
}

// changeKey changes the record of a key, and writes it with the expiry that it then has. One that has expired by that is
// deleted. ErrNotFound if there is no record: the key was revoked, or has expired. A change without an effect is written as well:
// it fails the EXEC of an earlier change that is still on its way to Redis.
func (s *Store) changeKey(ctx context.Context, op string, d Digest, change func(*Credential) (keyChange, error)) error {
	return s.transact(ctx, op, s.credentials.watchedKey(d), func(tx *redis.Tx) (t transaction, err error) {
		cmd := s.credentials.get(ctx, d)
		_ = tx.Process(ctx, cmd) // the command has the error
		c, err := decodeCredential(cmd)
		switch {
		case err != nil:
			return t, err
		case c.Key == nil || c.Key.expired(s.now()):
			return t, ErrNotFound
		}
		made, err := change(c)
		if err != nil {
			return t, err
		}
		t.steps = made.steps
		if made.enabled != "" {
			t.enabled, t.value = enabledMember, made.enabled
		}
		t.write = func(p redis.Pipeliner) {
			if made.revokes || c.Key.expired(s.now()) {
				_ = p.Process(ctx, s.credentials.deletion(d).Command(ctx))
				return
			}
			_ = p.Process(ctx, s.credentials.putKey(ctx, d, c, s.now()))
		}
		return t, nil
	})
}

// narrowing is the restriction of a record to a scope and an expiry. What narrowed it further stays.
func narrowing(scope string, expiresAt int64) rollback.Restriction {
	return func(value string) (string, bool) {
		c, err := parseCredential(value, decodeKeyRecord)
		switch {
		case err != nil: // which is not valid either, but for a version that can read it
			return "", true
		case c.Key == nil:
			return "", false
		}
		was := *c.Key
		c.Key.Scope = common(was.Scope, scope)
		if expiresAt != 0 && (was.ExpiresAt == 0 || expiresAt < was.ExpiresAt) {
			c.Key.ExpiresAt = expiresAt
		}
		return string(encodeKeyRecord(c)), c.Key.Scope != was.Scope || c.Key.ExpiresAt != was.ExpiresAt
	}
}

// common is the part of a scope that another has too; if that is all, the scope as it is written.
func common(scope, other string) string {
	allowed := map[string]bool{}
	for token := range strings.FieldsSeq(other) {
		allowed[token] = true
	}
	var kept []string
	all := true
	for token := range strings.FieldsSeq(scope) {
		if all = all && allowed[token]; allowed[token] {
			kept = append(kept, token)
		}
	}
	if all {
		return scope
	}
	return strings.Join(kept, " ")
}

// narrowed is the step that the redo log remembers: a replay gives the key no more than its record has now.
func (s *Store) narrowed(cause Cause, k *APIKey, record *KeyRecord) step {
	st := step{Revocation: cause.keyRevocation(k.ID, k.UserID, k.Digest)}
	st.Expires = record.Expires()
	st.deletions = []rollback.Deletion{rollback.OfValue(s.credentials.watchedKey(k.Digest), narrowing(record.Scope, record.ExpiresAt))}
	return st
}

// UpdateKey changes the name, the description, the scope, the expiry, the metadata and the rate limit of a key that is active or
// disabled, as change says, and returns it as it is stored then. From its return on no replica accepts the key for more than
// that. change is called for each of the two steps, and again when another request changes the key at the same time, with what
// that one has written, so it must do nothing else; it must widen neither the scope nor the expiry. ErrNotFound if the key was
// revoked or has expired.
func (s *Store) UpdateKey(ctx context.Context, k *APIKey, cause Cause, change func(*APIKey) error) (*APIKey, error) {
	var after APIKey
	var before string // its name in the record
	entered, err := s.enterForeseen(ctx, k, change)
	if err != nil {
		return nil, err
	}
	err = s.changeKey(ctx, "update key", k.Digest, func(c *Credential) (made keyChange, err error) {
		after, before = *k, c.Key.Name
		after.take(c, s.now())
		if err := change(&after); err != nil {
			return made, &planError{err}
		}
		if after.Name != before && after.Name != entered { // another request has changed it as well
			return made, s.entering(ctx, allKeys, k.ID, &entered, after.Name)
		}
		c.Key.setMembers(&after)
		made.steps = []step{s.narrowed(cause, k, c.Key)}
		return made, nil
	})
	if redisdb.Failed(err) {
		return nil, err
	}
	described, names, e := s.describeUpdate(ctx, after, change)
	if e != nil {
		return &after, redisdb.MostSevere(err, e)
	}
	described.Active, described.Disabled = after.Active, after.Disabled
	if !described.ExpiresAt.Equal(k.ExpiresAt) {
		e = s.enterKey(ctx, described)
	}
	if e == nil {
		s.strikeNames(ctx, allKeys, k.ID, append(names, before), []string{described.Name})
	}
	return described, redisdb.MostSevere(err, e)
}

// enterForeseen enters the name that a change will give to a key, if that is another one than it had when it was read: the entry
// comes before the name. It returns what it has entered; empty: nothing.
func (s *Store) enterForeseen(ctx context.Context, k *APIKey, change func(*APIKey) error) (string, error) {
	next := *k
	isNew := change(&next) == nil && next.Name != k.Name // the transaction finds out what an error means
	if !isNew {
		return "", nil
	}
	return next.Name, allKeys.enter(ctx, s.rdb, k.ID, next.Name)
}

// describeUpdate describes a key as its record is after a change, and the text as the change makes it. names are those that the
// description had before. It reads the record behind the description, and describes the key again if another request has changed
// it: so the last description is that of the last record.
func (s *Store) describeUpdate(ctx context.Context, after APIKey, change func(*APIKey) error) (described *APIKey, names []string, err error) {
	var record KeyRecord
	record.setMembers(&after)
	for range maxTries {
		described, err = s.redescribeKey(ctx, after.ID, func(d *APIKey) error {
			names = append(names, d.Name)
			after.Description = d.Description
			if err := change(&after); err != nil {
				return &planError{err}
			}
			d.Description = after.Description
			d.setMembers(&record)
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		c, err := s.Credential(ctx, after.Digest)
		switch {
		case isNotFound(err): // revoked meanwhile, or expired
			return described, names, nil
		case err != nil:
			return nil, nil, err
		case c.Key == nil || described.isAsIn(c.Key):
			return described, names, nil
		}
		record = *c.Key
	}
	return nil, nil, fmt.Errorf("describe key: %w", ErrConflict)
}

// isAsIn is whether a description shows what may be changed of a key as its record has it.
func (k *APIKey) isAsIn(record *KeyRecord) bool {
	shown := *k
	shown.setMembers(record)
	return encodeRecord(&shown) == encodeRecord(k)
}

// ExpireKey brings the expiry of an active key forward to at, because next replaces it. If at is zero or not in the future,
// the key is revoked. ErrNotFound if it is not active any more, ErrConflict if it was disabled, or if another key replaced it
// already.
func (s *Store) ExpireKey(ctx context.Context, k *APIKey, at time.Time, next string, cause Cause) error {
	revoked := false
	now := at.IsZero()
	if now {
		at = cause.At
	}
	err := s.changeKey(ctx, "expire key", k.Digest, func(c *Credential) (made keyChange, err error) {
		if c.IsDisabled() || c.Key.RotatedTo != k.RotatedTo { // since k was read
			return made, ErrConflict
		}
		c.Key.RotatedTo = next
		if c.Key.ExpiresAt == 0 || at.UnixMilli() < c.Key.ExpiresAt {
			c.Key.ExpiresAt = at.UnixMilli()
		}
		k.ExpiresAt = c.Key.Expires()
		replaced := s.narrowed(cause, k, c.Key)
		if revoked = now || !k.ExpiresAt.After(s.now()); revoked {
			replaced.deletions = []rollback.Deletion{s.credentials.deletion(k.Digest)}
		}
		return keyChange{steps: []step{replaced}, revokes: revoked}, nil
	})
	switch {
	case revoked && !redisdb.Failed(err):
		k.RotatedTo = next
		_ = s.writeTombstones(ctx, []*APIKey{k}, cause)
		return err
	case err != nil:
		return err
	}
	described, err := s.redescribeKey(ctx, k.ID, func(d *APIKey) error {
		d.ExpiresAt, d.RotatedTo, d.RotatedAt, d.RotatedBy = k.ExpiresAt, next, k.RotatedAt, k.RotatedBy
		return nil
	})
	if err != nil {
		return err
	}
	k.RotatedTo = next
	return s.enterKey(ctx, described)
}
