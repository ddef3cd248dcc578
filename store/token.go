package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// TokenRecord makes an access token live: while it is there, under the digest of the token, and names
// the generation that the client still has, the token is valid. Its claims stand in the token itself if
// that is a JWT, whose bytes the digest vouches for; the record then has none, and is 17 bytes.
type TokenRecord struct {
	Generation Generation
	Claims     []byte // JSON, of an opaque token; empty for a JWT
}

// SaveToken makes a token live until expires. It may be repeated.
func (s *Store) SaveToken(ctx context.Context, d Digest, r TokenRecord, expires time.Time) error {
	ttl := expires.Sub(s.now())
	if ttl <= 0 {
		return nil // dead before it was written
	}
	value := make([]byte, 0, 1+len(r.Generation)+len(r.Claims))
	value = append(value, recordVersion)
	value = append(value, r.Generation[:]...)
	value = append(value, r.Claims...)
	if s.embedded {
		key, field := tokenField(d)
		return unavailable("save token", s.rdb.Do(ctx, "HSETEX", key, "PXAT", expires.UnixMilli(), "FIELDS", 1, field, value).Err())
	}
	return unavailable("save token", s.rdb.Set(ctx, tokenKey(d), value, ttl).Err())
}

// Token reads a token's record. ErrNotFound if there is none: never issued, ended, or expired.
func (s *Store) Token(ctx context.Context, d Digest) (*TokenRecord, error) {
	return decodeToken(s.getToken(ctx, s.rdb, d))
}

// ClientAndToken reads a client and a token's record in one round trip. Either may be nil when it is
// not there; the error is for what could not be read.
func (s *Store) ClientAndToken(ctx context.Context, clientID string, d Digest) (*Client, *TokenRecord, error) {
	p := s.rdb.Pipeline()
	clientCmd := p.HGetAll(ctx, clientKey(clientID))
	tokenCmd := s.getToken(ctx, p, d)
	if _, err := p.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, nil, unavailable("read client and token", err)
	}
	c, err := decodeClient(clientID, clientCmd.Val())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, nil, err
	}
	record, err := decodeToken(tokenCmd)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, nil, err
	}
	return c, record, nil
}

// EndToken ends a token. One that is not there is ended already.
func (s *Store) EndToken(ctx context.Context, d Digest) error {
	if s.embedded {
		key, field := tokenField(d)
		return unavailable("end token", s.rdb.HDel(ctx, key, field).Err())
	}
	return unavailable("end token", s.rdb.Del(ctx, tokenKey(d)).Err())
}

// tokenKey has the digest as it is: 32 bytes where hex would be 64, once for each live token.
func tokenKey(d Digest) string { return "mk:t:" + string(d[:]) }

// tokenField is where the embedded store keeps a token: as a field, which has its own expiry, of one of
// 256 hashes. miniredis never forgets the name of a key, and looks at all keys to find the expired
// ones, so that a key for each token would be a leak and a stall.
func tokenField(d Digest) (key, field string) {
	return "mk:t:" + hex.EncodeToString(d[:1]), string(d[:])
}

func (s *Store) getToken(ctx context.Context, c redis.Cmdable, d Digest) *redis.StringCmd {
	if s.embedded {
		key, field := tokenField(d)
		return c.HGet(ctx, key, field)
	}
	return c.Get(ctx, tokenKey(d))
}

func decodeToken(cmd *redis.StringCmd) (*TokenRecord, error) {
	value, err := cmd.Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, ErrNotFound
	case err != nil:
		return nil, unavailable("read token", err)
	}
	return parseTokenRecord(value)
}

func parseTokenRecord(value []byte) (*TokenRecord, error) {
	r := &TokenRecord{}
	if len(value) > 0 && value[0] != recordVersion {
		return nil, ErrNewerRecord
	}
	if len(value) < 1+len(r.Generation) {
		return nil, unavailable("read token", fmt.Errorf("%w: %d bytes", errDamaged, len(value)))
	}
	copy(r.Generation[:], value[1:])
	r.Claims = value[1+len(r.Generation):]
	return r, nil
}
