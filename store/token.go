package store

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// SaveToken makes an access token live until expires. It may be repeated.
func (s *Store) SaveToken(ctx context.Context, d Digest, c Credential, expires time.Time) error {
	if !expires.After(s.now()) {
		return nil // dead before it was written
	}
	value := make([]byte, 0, 1+len(c.Generation)+len(c.Claims))
	value = append(value, tokenRecord)
	value = append(value, c.Generation[:]...)
	value = append(value, c.Claims...)
	return s.ask(ctx, "save token", s.saveCmd(ctx, d, value, expires))
}

// saveCmd is putCredential as a command.
func (s *Store) saveCmd(ctx context.Context, d Digest, value []byte, expires time.Time) redis.Cmder {
	if s.embedded {
		key, field := credentialField(d)
		return redis.NewIntCmd(ctx, "hsetex", key, "pxat", expires.UnixMilli(), "fields", 1, field, value)
	}
	left := max(expires.Sub(s.now()).Milliseconds(), 1)
	return redis.NewStatusCmd(ctx, "set", credentialKey(d), value, "px", left)
}

// RevokeToken ends a token. One that is not there is ended already.
func (s *Store) RevokeToken(ctx context.Context, d Digest, cause Cause) error {
	_, err := s.end(ctx, "end token", s.credentialEnding(d))
	return err
}
