package store

import (
	"context"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// ConfirmUnknown is [Store.ConfirmRevoked] for a caller who is not authenticated. Such callers share confirmations of
// their own, so that they delay no revocation by others.
func (s *Store) ConfirmUnknown(ctx context.Context, d Digest) error {
	return s.ConfirmRevoked(redisdb.Unauthenticated(ctx), d)
}
