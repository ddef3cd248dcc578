package dashboard

import (
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

// keyRow is a key as the list and its own page show it.
type keyRow struct {
	adminapi.Key
	Status keyStatus
	Near   bool   // it expires within a week
	Usable bool   // it is active: it has not expired, and is not revoked or disabled
	Owner  ref    // for operators
	New    bool   // it was created just now
	Days   *spark // its uses of the last 30 days, in a list
}

func rowOf(view adminapi.Key, now time.Time) keyRow {
	row := keyRow{Key: view, Owner: ownerOf(view.User, view.UserEmail)}
	row.Near = view.Revocation == nil && view.ExpiresAt != nil && view.ExpiresAt.Sub(now) < 7*24*time.Hour
	row.Usable = view.Revocation == nil
	switch {
	case row.Near:
		row.State = "expiring"
	case row.Usable:
		row.State = "active"
	case expired(view):
		row.State = "expired"
	default:
		row.State = "revoked"
	}
	row.Status = statusOf(row.State)
	return row
}

// through tells from which address, or through which client, a key was used.
func through(from string) string {
	if client, ok := strings.CutPrefix(from, "client:"); ok {
		return "through the client " + client
	}
	return "from " + from
}

// unusedFor is for how long a key is not used before the pages call it unused.
const unusedFor = 90 * 24 * time.Hour

// unused is whether a key that works was not used for long, nor created since.
func (k keyRow) unused(now time.Time) bool {
	last := k.CreatedAt
	if k.LastUsed != nil {
		last = k.LastUsed.At
	}
	return k.Usable && now.Sub(last) >= unusedFor
}
