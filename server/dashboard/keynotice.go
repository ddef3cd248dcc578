package dashboard

import (
	"context"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
)

// noticesShown is how many keys a banner names.
const noticesShown = 5

// keyNotices are the banner above a user's list: the keys that they should look at.
type keyNotices struct {
	Leaked, Expiring noticed
	Unused           bool // there are keys that work and were not used for long
}

// noticed are keys that a banner is about.
type noticed struct {
	Keys []noticedKey // at most noticesShown
	More int          // than these
}

type noticedKey struct {
	Key ref
	At  time.Time // when it expires, or was reported
}

func (n noticed) Any() bool { return len(n.Keys) > 0 }

// noticesOf reads what a user should know.
func (d *Dashboard) noticesOf(ctx context.Context, userID string) (*keyNotices, error) {
	found, err := d.keys.Notices(ctx, userID)
	if err != nil {
		return nil, err
	}
	f := store.KeyFilter{UserID: userID, State: store.StateLive, UnusedSince: d.now().Add(-unusedFor)}
	unused, _, err := d.readKeys(ctx, f, 1)
	if err != nil {
		return nil, err
	}
	var subjects []string
	for _, n := range found {
		subjects = append(subjects, audit.KeyTarget(n.KeyID))
	}
	names, err := d.refs(ctx, subjects...)
	if err != nil {
		return nil, err
	}
	notices := &keyNotices{Unused: len(unused) > 0}
	for _, n := range found {
		about := &notices.Expiring
		if n.Kind == string(store.StateLeaked) {
			about = &notices.Leaked
		}
		if len(about.Keys) == noticesShown {
			about.More++
			continue
		}
		key := names.of(audit.KeyTarget(n.KeyID))
		key.Link = ownKeys.Base + n.KeyID
		about.Keys = append(about.Keys, noticedKey{key, n.At})
	}
	return notices, nil
}
