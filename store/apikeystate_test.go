package store_test

import (
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// A key that several states fit has the first of them: leaked, rotated or revoked, expired, disabled, expiring, active.
func TestKeyState(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const week = 7 * 24 * time.Hour
	before, soon := now.Add(-time.Hour), now.Add(time.Hour)
	revoked := &store.Tombstone{At: before, By: "user:usr_x", Reason: "lost"}
	leaked := &store.Tombstone{At: before, By: "user:usr_x", Reason: store.LeakReason}
	off := &store.Disabling{At: before, By: "user:usr_x"}
	for name, tt := range map[string]struct {
		key  store.APIKey
		want store.KeyState
	}{
		"active and never expires":                   {store.APIKey{Active: true}, store.StateActive},
		"active for more than a week":                {store.APIKey{Active: true, ExpiresAt: now.Add(week + 1)}, store.StateActive},
		"active for a week":                          {store.APIKey{Active: true, ExpiresAt: now.Add(week)}, store.StateExpiring},
		"replaced, and the overlap is not over":      {store.APIKey{Active: true, ExpiresAt: soon, RotatedTo: "key_2", RotatedAt: before}, store.StateExpiring},
		"disabled":                                   {store.APIKey{Disabled: off}, store.StateDisabled},
		"disabled, and would expire soon":            {store.APIKey{Disabled: off, ExpiresAt: soon}, store.StateDisabled},
		"disabled, and has expired since":            {store.APIKey{Disabled: off, ExpiresAt: before}, store.StateExpired},
		"expires now":                                {store.APIKey{Active: true, ExpiresAt: now}, store.StateExpired},
		"replaced, and the overlap is over":          {store.APIKey{ExpiresAt: before, RotatedTo: "key_2", RotatedAt: before}, store.StateRotated},
		"replaced without an overlap":                {store.APIKey{RotatedTo: "key_2", RotatedAt: before, Tombstone: &store.Tombstone{At: before, Reason: "rotated"}}, store.StateRotated},
		"replaced, and revoked during the overlap":   {store.APIKey{ExpiresAt: soon, RotatedTo: "key_2", RotatedAt: before.Add(-1), Tombstone: revoked}, store.StateRevoked},
		"revoked, and would have expired since":      {store.APIKey{ExpiresAt: before.Add(time.Minute), Tombstone: revoked}, store.StateRevoked},
		"revoked while it was disabled":              {store.APIKey{Disabled: off, Tombstone: revoked}, store.StateRevoked},
		"reported":                                   {store.APIKey{Tombstone: leaked}, store.StateLeaked},
		"reported during the overlap":                {store.APIKey{ExpiresAt: soon, RotatedTo: "key_2", RotatedAt: before, Tombstone: leaked}, store.StateLeaked},
		"revoked, and its tombstone is not there":    {store.APIKey{}, store.StateRevoked},
		"the same of one that would have expired":    {store.APIKey{ExpiresAt: before}, store.StateExpired},
		"revoked by its owner for the reason rotate": {store.APIKey{Tombstone: &store.Tombstone{At: before, Reason: "rotated"}}, store.StateRevoked},
	} {
		if got := tt.key.State(now); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}
