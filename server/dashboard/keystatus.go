package dashboard

import (
	"slices"

	"github.com/mintkeep/mintkeep/store"
)

// keyStatus is a state of a key as a page shows it: a word and an icon, which has the colour of its tone.
type keyStatus struct {
	Name       store.KeyState
	Word, Tone string
	Icon       string // the d of a path in a square of 16
}

const circle = "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z"

// keyStatuses are all of them, in the order in which a list sorts them.
var keyStatuses = []keyStatus{
	{store.StateLeaked, "Leaked", "bad", "M8 1.8L15 14H1zM8 6v4M8 11.8v.7"},
	{store.StateExpiring, "Expires soon", "warn", circle + "M8 4.5V8l2.5 1.5"},
	{store.StateActive, "Active", "good", circle + "M5 8.2l2.1 2.1L11 6.2"},
	{store.StateDisabled, "Disabled", "quiet", circle + "M6.3 5.5v5M9.7 5.5v5"},
	{store.StateRotated, "Rotated", "quiet", "M13.5 8a5.5 5.5 0 1 1-1.6-3.9M13.5 1.2v3.3h-3.3"},
	{store.StateExpired, "Expired", "quiet", "M4 1.5h8M4 14.5h8M5 1.5V4l6 8v2.5M11 1.5V4l-6 8v2.5"},
	{store.StateRevoked, "Revoked", "quiet", circle + "M5.7 5.7l4.6 4.6M10.3 5.7l-4.6 4.6"},
}

// statusOf is how a page shows the state of a key.
func statusOf(state string) keyStatus {
	return keyStatuses[slices.IndexFunc(keyStatuses, func(s keyStatus) bool { return string(s.Name) == state })]
}

// rank is the place of the key's state in their order.
func (k keyRow) rank() int { return slices.Index(keyStatuses, k.Status) }
