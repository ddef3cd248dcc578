package dashboard

import (
	"strings"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/store"
)

// keyRow is a key as the list and its own page show it.
type keyRow struct {
	adminapi.Key
	Status keyStatus
	Usable bool   // it works, or is disabled and may work again
	Owner  ref    // for operators
	New    bool   // it was created just now
	Days   *spark // its uses of the last 30 days, in a list
}

func rowOf(view adminapi.Key) keyRow {
	return keyRow{Key: view, Status: statusOf(view.State), Usable: view.Revocation == nil, Owner: ownerOf(view.User, view.UserEmail)}
}

// Near is whether the key expires within a week.
func (k keyRow) Near() bool { return k.State == string(store.StateExpiring) }

// through tells from which address, or through which client, a key was used.
func through(from string) string {
	if client, ok := strings.CutPrefix(from, "client:"); ok {
		return "through the client " + client
	}
	return "from " + from
}
