package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

const (
	keyringKey      = "mk:signing-keys"
	keyringClaimKey = "mk:signing-keys:claim:" // + the revision to be replaced
	keyringVersion  = 1
)

// Keyring is every signing key that a replica must know, in the order in which they are published: the
// active one, the next one, and the retired ones, newest first. It is one record, so that a
// replica never sees half a rotation.
type Keyring struct {
	// Revision is drawn at each write; ReplaceKeyring compares it.
	Revision string
	Keys     []SigningKey
}

// SigningKey is one key of the ring. Its state follows from its times: a key that was never activated
// is next, one that was activated and not retired is active.
type SigningKey struct {
	// ID is the "kid": the RFC 7638 thumbprint of Public.
	ID string `json:"id"`
	// Algorithm is the JOSE name: ES256, EdDSA, RS256.
	Algorithm string `json:"alg"`
	// Sealed is the private key, encrypted by the caller. Empty once retired: such a key never signs
	// again.
	Sealed []byte `json:"sealed,omitempty"`
	// Public is the public JWK (RFC 7517).
	Public json.RawMessage `json:"public"`

	CreatedAt time.Time `json:"created_at"`
	// PublishedAt is when every replica has the key in its JWKS, which is a little after CreatedAt.
	PublishedAt time.Time `json:"published_at"`
	ActivatedAt time.Time `json:"activated_at,omitzero"`
	RetiredAt   time.Time `json:"retired_at,omitzero"`
	// TokenTTLMax is the longest lifetime of a token that an active key may have signed. Zero: a version wrote the record that
	// did not keep it.
	TokenTTLMax time.Duration `json:"token_ttl_max,omitempty"`
	// RemoveAt is when the last token that a retired key signed has expired.
	RemoveAt time.Time `json:"remove_at,omitzero"`
}

// The states of a SigningKey.
const (
	KeyNext    = "next"
	KeyActive  = "active"
	KeyRetired = "retired"
)

// State is KeyNext, KeyActive or KeyRetired.
func (k SigningKey) State() string {
	switch {
	case !k.RetiredAt.IsZero():
		return KeyRetired
	case !k.ActivatedAt.IsZero():
		return KeyActive
	}
	return KeyNext
}

// Active is the key that signs. A ring that came from the store has exactly one.
func (r *Keyring) Active() SigningKey { return r.only(KeyActive) }

// Next is the key that will sign after the next rotation. A ring that came from the store has exactly
// one.
func (r *Keyring) Next() SigningKey { return r.only(KeyNext) }

// revision of a nil ring is empty.
func (r *Keyring) revision() string {
	if r == nil {
		return ""
	}
	return r.Revision
}

func (r *Keyring) only(state string) SigningKey {
	for _, k := range r.Keys {
		if k.State() == state {
			return k
		}
	}
	return SigningKey{}
}

// Keyring reads the ring. ErrNotFound: there is none yet. ErrNewerRecord: a newer Mintkeep wrote it,
// and what this one would make of it is a guess. ErrKeyringDamaged: it cannot be used.
func (s *Store) Keyring(ctx context.Context) (*Keyring, error) {
	return getKeyring(ctx, s.rdb)
}

// ReplaceKeyring writes next in place of old, in one step; a nil old stands for "there is none yet".
// ErrConflict: the stored ring is not old any more, and nothing was written. After ErrUnavailable it
// may have been written or not: read again; ErrUnconfirmed says that it was. The revision of next is drawn here.
func (s *Store) ReplaceKeyring(ctx context.Context, old *Keyring, next Keyring) error {
	next.Revision = rand.Text()
	record, err := encodeKeyring(next)
	if err != nil {
		return err
	}
	held := old.revision()
	if old == nil { // if the first keys are lost, no one has used them, and others are created
		ctx = redisdb.WithoutBarrier(ctx)
	}
	err = s.transact(ctx, "write the signing keys", keyringKey, func(tx *redis.Tx) (t transaction, err error) {
		stored, err := getKeyring(ctx, tx)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return t, err
		}
		if stored.revision() != held {
			return t, &planError{ErrConflict}
		}
		return write(func(p redis.Pipeliner) { p.Set(ctx, keyringKey, record, 0) })
	})
	if errors.Is(err, ErrConflict) {
		return ErrConflict
	}
	return err
}

// ClaimKeyring asks for the right to create what replaces old, for ttl, so that not every replica draws
// an RSA key that only one of them will store. It saves work and decides nothing: ReplaceKeyring keeps the ring right.
// The same owner may claim again.
func (s *Store) ClaimKeyring(ctx context.Context, old *Keyring, owner string, ttl time.Duration) (bool, error) {
	key := keyringClaimKey + old.revision()
	claimed, err := s.rdb.SetNX(ctx, key, owner, ttl).Result()
	if err != nil || claimed {
		return claimed, unavailable("claim the signing keys", err)
	}
	// Ours already: the answer to an earlier claim was lost.
	claimant, err := s.rdb.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return claimant == owner, unavailable("claim the signing keys", err)
}

func getKeyring(ctx context.Context, c redis.Cmdable) (*Keyring, error) {
	record, err := c.Get(ctx, keyringKey).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, unavailable("read the signing keys", err)
	}
	ring, err := decodeKeyring(record)
	return ring, unavailable("read the signing keys", err)
}

// keyringRecord is the stored form.
type keyringRecord struct {
	Version  int          `json:"v"`
	Revision string       `json:"rev"`
	Keys     []SigningKey `json:"keys"`
}

// ErrKeyringDamaged: the record of the signing keys can be read but not used. Waiting does not help,
// though it matches ErrUnavailable like everything else that is not a verdict.
var ErrKeyringDamaged = errors.New("the Redis key " + keyringKey + " is damaged")

func encodeKeyring(r Keyring) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return json.Marshal(keyringRecord{Version: keyringVersion, Revision: r.Revision, Keys: r.Keys})
}

func decodeKeyring(record []byte) (*Keyring, error) {
	// The version first: the rest of a newer record may have any shape.
	var head struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(record, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyringDamaged, err)
	}
	if head.Version > keyringVersion {
		return nil, fmt.Errorf("%s has version %d: %w", keyringKey, head.Version, ErrNewerRecord)
	}
	if head.Version != keyringVersion {
		return nil, fmt.Errorf("%w: version %d", ErrKeyringDamaged, head.Version)
	}
	var body keyringRecord
	if err := json.Unmarshal(record, &body); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyringDamaged, err)
	}
	ring := &Keyring{Revision: body.Revision, Keys: body.Keys}
	if err := ring.check(); err != nil {
		return nil, err
	}
	return ring, nil
}

// check holds what every reader relies on: one key signs, one is published to sign next, and they can
// be told apart.
func (r *Keyring) check() error {
	if r.Revision == "" {
		return fmt.Errorf("%w: no revision", ErrKeyringDamaged)
	}
	states, ids := map[string]int{}, map[string]bool{}
	for _, k := range r.Keys {
		if k.ID == "" || k.Algorithm == "" || len(k.Public) == 0 || ids[k.ID] {
			return fmt.Errorf("%w: key %q", ErrKeyringDamaged, k.ID)
		}
		if k.State() == KeyRetired && k.RemoveAt.IsZero() {
			return fmt.Errorf("%w: key %q is retired for ever", ErrKeyringDamaged, k.ID)
		}
		ids[k.ID] = true
		states[k.State()]++
	}
	if states[KeyActive] != 1 || states[KeyNext] != 1 {
		return fmt.Errorf("%w: %d active and %d next", ErrKeyringDamaged, states[KeyActive], states[KeyNext])
	}
	return nil
}
