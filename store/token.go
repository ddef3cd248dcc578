package store

import (
	"context"
	"time"
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
	return unavailable("save token", s.putCredential(ctx, s.rdb, d, value, expires))
}

// EndToken ends a token. One that is not there is ended already.
func (s *Store) EndToken(ctx context.Context, d Digest) error {
	return unavailable("end token", s.delCredential(ctx, s.rdb, d).Err())
}
