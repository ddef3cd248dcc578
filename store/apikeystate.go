package store

import "time"

// KeyState is what became of a key, as people read it, or which keys a listing wants.
type KeyState string

// The states of keys. Each key has exactly one.
const (
	StateActive   KeyState = "active"
	StateExpiring KeyState = "expiring" // active, and expires within a week
	StateDisabled KeyState = "disabled"
	StateExpired  KeyState = "expired"
	StateRevoked  KeyState = "revoked"
	StateRotated  KeyState = "rotated" // another key has replaced it, and the overlap is over
	StateLeaked   KeyState = "leaked"  // revoked because it was reported
)

// What a listing may want besides one state. Each key is in exactly one of the last two.
const (
	AnyState   KeyState = ""
	StateLive  KeyState = "live"  // active, expiring or disabled: what may be used, now or again
	StateEnded KeyState = "ended" // the others
)

// KeyStates are the states of keys, in the order in which a key usually comes to them.
func KeyStates() []KeyState {
	return []KeyState{StateActive, StateExpiring, StateDisabled, StateExpired, StateRevoked, StateRotated, StateLeaked}
}

// ExpiresSoon is how long before its expiry an active key is shown as expiring.
const ExpiresSoon = 7 * 24 * time.Hour

// State is the one state of a key that several may fit: the first of these that does. A revocation is final, so it comes
// before the rest, and a leak is the reason for one. An expiry is final too, so it comes before the disabling.
func (k *APIKey) State(now time.Time) KeyState {
	expired := !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)
	switch {
	case k.Tombstone != nil && k.Tombstone.Reason == LeakReason:
		return StateLeaked
	case k.Tombstone != nil && k.RotatedTo != "" && k.Tombstone.At.Equal(k.RotatedAt):
		return StateRotated
	case k.Tombstone != nil:
		return StateRevoked
	case expired && k.RotatedTo != "":
		return StateRotated
	case expired:
		return StateExpired
	case k.Disabled != nil:
		return StateDisabled
	case !k.Active: // its tombstone could not be written
		return StateRevoked
	case !k.ExpiresAt.IsZero() && k.ExpiresAt.Sub(now) <= ExpiresSoon:
		return StateExpiring
	}
	return StateActive
}

// has is whether a key of this state is wanted.
func (wanted KeyState) has(state KeyState) bool {
	switch state {
	case StateActive, StateExpiring, StateDisabled:
		return wanted == state || wanted == StateLive || wanted == AnyState
	}
	return wanted == state || wanted == StateEnded || wanted == AnyState
}
