package store

import (
	"context"
	"crypto/sha256"
	"strconv"
	"time"
)

// GuardJoined says whether the client has not polled the feed before on this day (UTC). Of all replicas that ask, one is
// told so.
func (s *Store) GuardJoined(ctx context.Context, clientID string) (first bool, err error) {
	day := strconv.FormatInt(dayOf(s.now()), 10)
	d := Digest(sha256.Sum256([]byte("guard joined\x00" + day + "\x00" + clientID)))
	first, err = s.rdb.SetNX(ctx, idempotencyKey(d), "", 24*time.Hour).Result()
	return first, unavailable("note that a guard has joined", err)
}
