package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// feedAccess is what the feed needs beside the rest. An entry with the id 0-0 is never added.
var feedAccess = redisdb.Access{
	Commands: []string{
		"xdel " + feedKey + " 0-0", "xadd " + feedKey + " 0-0 t x", "xread count 1 streams " + feedKey + " 0-0",
		"xrange " + feedKey + " 0-0 0-0", "hgetall " + beatsKey,
	},
	Keys:   []string{feedKey, beatsKey},
	Absent: absentKey,
}

// CheckFeed says beforehand whether Redis allows what the feed needs: nil, [redisdb.ErrRights] with the line to add, or
// ErrUnavailable if it could not be asked.
func (s *Store) CheckFeed(ctx context.Context) error {
	if s.feed == nil || s.db.IsEmbedded() {
		return nil
	}
	err := s.db.CheckRights(ctx, feedAccess)
	if errors.Is(err, redisdb.ErrRights) {
		return fmt.Errorf("the feed, by which guards learn of revocations, needs rights that Redis denies: run %w, or set MINTKEEP_FEED=off", err)
	}
	return err
}
