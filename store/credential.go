package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// Credential is the record by which an access token or an API key is valid: while it is there, under the digest of the
// credential, and names the generation that its owner still has. Both kinds lie side by side, so that one look-up finds
// either.
type Credential struct {
	Generation Generation // of the client or the user that it belongs to
	Claims     []byte     // JSON, of an opaque token; a JWT carries its own, which the digest vouches for
	Key        *KeyRecord // of an API key; nil for an access token
}

// The first byte of a record tells its kind and version. A token's record is 17 bytes and its claims; a
// key's has two generations and its JSON.
const (
	tokenRecord = recordVersion
	keyRecord   = 'k'
)

// Credential reads the record under a digest. ErrNotFound if there is none: never issued, revoked, or
// expired.
func (s *Store) Credential(ctx context.Context, d Digest) (*Credential, error) {
	cmd := s.credentials.get(ctx, d)
	if err := s.db.Do(ctx, "read credential", cmd); err != nil {
		return nil, err
	}
	return s.decoded.credential(cmd)
}

// ClientAndCredential reads a client and the record under a digest in one round trip. Either may be nil when
// it is not there; the error is for what could not be read.
func (s *Store) ClientAndCredential(ctx context.Context, clientID string, d Digest) (*Client, *Credential, error) {
	clientCmd := redis.NewMapStringStringCmd(ctx, "hgetall", clientKey(clientID))
	recordCmd := s.credentials.get(ctx, d)
	if err := s.db.Do(ctx, "read client and credential", clientCmd, recordCmd); err != nil {
		return nil, nil, err
	}
	c, err := s.decoded.client(clientID, clientCmd.Val())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, nil, err
	}
	record, err := s.decoded.credential(recordCmd)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, nil, err
	}
	return c, record, nil
}

// credentialKey has the digest as it is: 32 bytes where hex would be 64, once for each active credential.
func credentialKey(d Digest) string { return "mk:t:" + string(d[:]) }

// credentialField is where the embedded store keeps a credential: as a field, which has its own expiry, of
// one of 256 hashes. miniredis never forgets the name of a key, and looks at all keys to find the expired
// ones, so that a key for each credential would be a leak and a stall.
func credentialField(d Digest) (key, field string) {
	return "mk:t:" + hex.EncodeToString(d[:1]), string(d[:])
}

// credentials makes the commands by which credentials are read and written.
type credentials struct{ embedded bool }

// watchedKey is the key to watch while a credential is changed.
func (c credentials) watchedKey(d Digest) string {
	if c.embedded {
		key, _ := credentialField(d)
		return key
	}
	return credentialKey(d)
}

func (c credentials) get(ctx context.Context, d Digest) *redis.StringCmd {
	if c.embedded {
		key, field := credentialField(d)
		return redis.NewStringCmd(ctx, "hget", key, field)
	}
	return redis.NewStringCmd(ctx, "get", credentialKey(d))
}

// put writes a record that expires by itself; a zero time: never.
func (c credentials) put(ctx context.Context, d Digest, value []byte, expires, now time.Time) redis.Cmder {
	switch {
	case c.embedded && expires.IsZero():
		key, field := credentialField(d)
		return redis.NewIntCmd(ctx, "hsetex", key, "fields", 1, field, value)
	case c.embedded:
		key, field := credentialField(d)
		return redis.NewIntCmd(ctx, "hsetex", key, "pxat", expires.UnixMilli(), "fields", 1, field, value)
	case expires.IsZero():
		return redis.NewStatusCmd(ctx, "set", credentialKey(d), value)
	}
	left := max(expires.Sub(now).Milliseconds(), 1) // 0 is an error
	return redis.NewStatusCmd(ctx, "set", credentialKey(d), value, "px", left)
}

// putKey writes the record of an API key.
func (c credentials) putKey(ctx context.Context, d Digest, key *Credential, now time.Time) redis.Cmder {
	return c.put(ctx, d, encodeKeyRecord(key), key.Key.Expires(), now)
}

// deletion deletes a record; nothing, if it is not there.
func (c credentials) deletion(d Digest) rollback.Deletion {
	if c.embedded {
		return rollback.OfFields(credentialField(d))
	}
	return rollback.OfKey(credentialKey(d))
}

// step revokes a credential; record is nil if it is not known.
func (c credentials) step(cause Cause, d Digest, record *Credential) step {
	r := cause.revocation(TokenRevoked)
	if record != nil && record.Key != nil {
		r = cause.keyRevocation(record.Key.ID, record.Key.UserID, d)
	}
	r.Digest = d
	return step{Revocation: r, deletions: []rollback.Deletion{c.deletion(d)}}
}

// credential reads what Redis has answered. The map and the slice of a key must not be changed.
func (d *decoded) credential(cmd *redis.StringCmd) (*Credential, error) {
	return credentialOf(cmd, d.keys.decodeBody)
}

// decodeCredential is a credential that the caller may change.
func decodeCredential(cmd *redis.StringCmd) (*Credential, error) {
	return credentialOf(cmd, decodeKeyRecord)
}

func credentialOf(cmd *redis.StringCmd, key keyDecoder) (*Credential, error) {
	value, err := cmd.Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, ErrNotFound
	case err != nil:
		return nil, unavailable("read credential", err)
	}
	return parseCredential(value, key)
}

// keyDecoder decodes the JSON of a key's record.
type keyDecoder func(body string) (KeyRecord, error)

func decodeKeyRecord(body string) (k KeyRecord, err error) {
	err = decodeBody(body, &k)
	return k, err
}

func parseCredential(value string, key keyDecoder) (*Credential, error) {
	c := &Credential{}
	head := 1 + len(c.Generation)
	switch {
	case len(value) > 0 && value[0] == tokenRecord && len(value) >= head:
		copy(c.Generation[:], value[1:])
		c.Claims = []byte(value[head:])
		return c, nil
	case len(value) > head && value[0] == keyRecord && value[1] == recordVersion:
		err := c.parseKey(value[2:], key)
		return c, err
	case len(value) == 0 || value[0] == tokenRecord || value[0] == keyRecord && len(value) < 2:
		return nil, unavailable("read credential", fmt.Errorf("%w: %d bytes", redisdb.ErrDamaged, len(value)))
	}
	return nil, ErrNewerRecord
}

// parseKey reads what encodeKeyRecord wrote behind the kind and the version.
func (c *Credential) parseKey(value string, decode keyDecoder) error {
	n := len(c.Generation)
	if len(value) < 2*n {
		return unavailable("read credential", fmt.Errorf("%w: %d bytes", redisdb.ErrDamaged, len(value)))
	}
	k, err := decode(value[2*n:])
	if err != nil {
		return err
	}
	copy(c.Generation[:], value)
	copy(k.Operator[:], value[n:])
	c.Key = &k
	return nil
}

func encodeKeyRecord(c *Credential) []byte {
	value := append([]byte{keyRecord, recordVersion}, c.Generation[:]...)
	value = append(value, c.Key.Operator[:]...)
	body, err := json.Marshal(c.Key)
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(value, body...)
}

// SaveToken makes an access token valid until expires. used is the assertion by which its client has authenticated, which
// is used in the same round trip: see [Store.UseOnce] for the errors; nil: none. After an error no one may have the token.
func (s *Store) SaveToken(ctx context.Context, d Digest, c Credential, expires time.Time, used *ReplayRecord) error {
	now := s.now()
	if !expires.After(now) { // expired before it was written
		if used != nil {
			return s.UseOnce(ctx, used)
		}
		return nil
	}
	value := make([]byte, 0, 1+len(c.Generation)+len(c.Claims))
	value = append(value, tokenRecord)
	value = append(value, c.Generation[:]...)
	value = append(value, c.Claims...)
	put := s.credentials.put(ctx, d, value, expires, now)
	if used != nil {
		return s.saveTokenOnce(ctx, d, put, used)
	}
	return s.db.Do(ctx, "save token", put)
}

// RevokeToken revokes a token. One that is not there is revoked already.
func (s *Store) RevokeToken(ctx context.Context, d Digest, cause Cause) error {
	_, err := s.revoke(ctx, "revoke token", s.credentials.step(cause, d, nil))
	return err
}
