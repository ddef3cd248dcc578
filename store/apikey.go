package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// MaxActiveKeys is how many active keys a user may have.
	MaxActiveKeys = 1_000
	// keyShown is how long a key is shown after it was revoked or has expired.
	keyShown = 400 * 24 * time.Hour
	// keyGrace is how much longer its description stays, for Run to find what else there is to purge.
	keyGrace = 30 * 24 * time.Hour
)

// KeyRecord is what the record of an API key says: all that its use needs, but the owner. It is written when the key is created
// and deleted when it is revoked. That of a disabled key has no generations: see [Credential.IsDisabled].
type KeyRecord struct {
	ID        string            `json:"id"`
	UserID    string            `json:"user"`
	Name      string            `json:"name"`
	Scope     string            `json:"scope"`
	CreatedAt int64             `json:"created"`           // milliseconds since 1970
	ExpiresAt int64             `json:"expires,omitempty"` // likewise; 0: never
	RotatedTo string            `json:"next,omitempty"`    // the key that replaces it
	Metadata  map[string]string `json:"meta,omitempty"`
	RateLimit Rate              `json:"rate,omitzero"` // zero: none

	// Enabled is a random value, another one each time that the key is enabled; empty: it never was since its creation. So
	// a replay of its disabling leaves it alone.
	Enabled string `json:"on,omitempty"`
	// Held are the generations of a disabled key, the owner's and that of their role, until it is enabled.
	Held []byte `json:"off,omitempty"`

	// Operator is the generation of the operator's role that its owner had when it was created; none if the owner was a
	// developer.
	Operator Generation `json:"-"`
}

// APIKey describes a key of a user, from its creation until 400 days after it was revoked or has expired. It decides
// nothing: whether the key is valid depends on its [Credential].
type APIKey struct {
	ID          string            `json:"-"`
	Digest      Digest            `json:"-"`
	UserID      string            `json:"user"`
	Name        string            `json:"name"`
	Description string            `json:"text,omitempty"`
	Scope       string            `json:"scope"`
	Masked      string            `json:"masked"` // mk_Ab3d…9xQz: what may be shown
	CreatedAt   time.Time         `json:"created"`
	CreatedBy   string            `json:"by"`
	ExpiresAt   time.Time         `json:"expires,omitzero"` // zero: never
	Metadata    map[string]string `json:"meta,omitempty"`
	RateLimit   Rate              `json:"rate,omitzero"` // zero: none
	RotatedTo   string            `json:"rotated_to,omitempty"`
	RotatedAt   time.Time         `json:"rotated,omitzero"`
	RotatedBy   string            `json:"rotated_by,omitempty"`
	Disabled    *Disabling        `json:"disabled,omitempty"` // nil: it is not disabled
	Tombstone   *Tombstone        `json:"ended,omitempty"`    // nil: not revoked, or it could not be written

	Active     bool  `json:"-"` // as it was read: the record is there and has its generations, and has not expired
	Unreadable error `json:"-"` // why there is nothing but id and digest: a newer version's description, or a damaged one
}

// Disabling is when and by whom a key was disabled. It has neither if that could not be written.
type Disabling struct {
	At time.Time `json:"at,omitzero"`
	By string    `json:"by,omitempty"`
}

// Tombstone is when, by whom and why a key was revoked.
type Tombstone struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"why"`
}

// Revocable is whether the key is active, or disabled and may be active again: it counts among those that its owner has.
func (k *APIKey) Revocable() bool { return k.Active || k.Disabled != nil }

// ErrTooManyKeys says that a user has [MaxActiveKeys] already.
var ErrTooManyKeys = fmt.Errorf("%w: the user has reached the limit of active keys", ErrConflict)

// NewKeyID names a new key. Ids sort by the millisecond of their creation.
func NewKeyID(at time.Time) string {
	return fmt.Sprintf("%s%011x%s", keyIDPrefix, at.UnixMilli(), strings.ToLower(rand.Text()[:16]))
}

const keyIDPrefix = "key_"

func apiKeyKey(id string) string { return "mk:k:" + id }

// keyRevocation is a Revocation of an API key, or of what was known about it.
func (c Cause) keyRevocation(id, userID string, d Digest) Revocation {
	r := c.revocation(KeyRevoked)
	r.KeyID, r.UserID, r.Digest = id, userID, d
	return r
}

// CreateKey makes a key valid for its owner, as the owner was read. The key carries the owner's generations, that of
// their role as well. It is listed before it is valid: ErrConflict if it is revoked meanwhile, and ErrNotFound if the owner
// is deleted. It is not valid then. ErrTooManyKeys if the owner has too many. After ErrUnavailable there may be a key that
// no caller knows.
func (s *Store) CreateKey(ctx context.Context, k *APIKey, owner *User) error {
	// The description comes before the entries that lead to it, and stays once they are there.
	if err := writeDescription(ctx, s.rdb, k, unfinished); err != nil {
		return unavailable("describe key", err)
	}
	if err := s.reserveKey(ctx, k); err != nil {
		s.rdb.Del(ctx, apiKeyKey(k.ID)) // or it expires
		return err
	}
	if err := s.enterKey(ctx, k); err != nil {
		return err
	}
	if err := s.keepDescription(ctx, k); err != nil {
		return err
	}
	c := &Credential{Generation: owner.Generation, Key: &KeyRecord{
		ID: k.ID, UserID: k.UserID, CreatedAt: k.CreatedAt.UnixMilli(), Operator: owner.Operator,
	}}
	c.Key.setMembers(k)
	if k.Disabled != nil {
		c.disable()
	}
	if err := s.rdb.Process(ctx, s.credentials.putKey(ctx, k.Digest, c, s.now())); err != nil {
		return unavailable("create key", err)
	}
	if err := s.lookAgain(ctx, k); err != nil {
		return err
	}
	k.Active = k.Disabled == nil
	s.purgeOldest(ctx, k.UserID)
	return nil
}

// lookAgain reads, once the record of a new key is there, whether its owner was deleted or the key was revoked meanwhile,
// by a request that did not find the record yet. That request deletes the record after it has written the tombstone, so
// that one of the two sees the other.
func (s *Store) lookAgain(ctx context.Context, k *APIKey) error {
	const op = "create key"
	owner := redis.NewBoolCmd(ctx, "hexists", userKey(k.UserID), metaField)
	description := redis.NewStringCmd(ctx, "get", apiKeyKey(k.ID))
	if err := s.db.Do(ctx, op, owner, description); err != nil {
		return err
	}
	if !owner.Val() {
		_, err := s.RevokeKey(ctx, k.ID, Cause{At: s.now().UTC(), Reason: "the user was deleted"})
		return cmp.Or(err, ErrNotFound)
	}
	now, err := decodeKey(k.ID, description.Val())
	if err == nil && now.Tombstone == nil {
		return nil
	}
	revoked := s.keyStep(Cause{At: s.now().UTC(), Reason: "revoked while it was created"}, k)
	_, err = s.revoke(ctx, op, revoked)
	return cmp.Or(err, fmt.Errorf("%w: the key was revoked while it was created", ErrConflict))
}

// Key reads one key, active or not. ErrNotFound if there is none.
func (s *Store) Key(ctx context.Context, id string) (*APIKey, error) {
	keys, err := s.keysOf(ctx, []string{id})
	switch {
	case err != nil:
		return nil, err
	case keys[0] == nil:
		return nil, ErrNotFound
	case keys[0].Unreadable != nil:
		return nil, keys[0].Unreadable
	}
	return keys[0], nil
}
