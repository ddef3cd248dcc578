package store

import (
	"context"
	"fmt"
	"time"
)

// unusedSince narrows a listing to keys that were neither created nor used since then. after is where it goes on, or begins:
// ids sort by their creation.
func (s *Store) unusedSince(l *listing[APIKey], since time.Time, after string) string {
	wants, lastUses := l.wants, map[string]Use{}
	l.read = func(ctx context.Context, ids []string) ([]*APIKey, error) {
		keys, err := s.keysOf(ctx, ids)
		if err != nil {
			return nil, err
		}
		there := present(keys)
		uses, err := s.KeyUses(ctx, there)
		for i, use := range uses {
			lastUses[there[i].ID] = use
		}
		return keys, err
	}
	l.wants = func(k *APIKey) bool {
		return k.Unreadable == nil && k.CreatedAt.Before(since) && lastUses[k.ID].At.Before(since) && wants(k)
	}
	if after == "" && l.query == "" {
		return indexMarks[byID:byID+1] + fmt.Sprintf("%s%011x", keyIDPrefix, since.UnixMilli())
	}
	return after
}
