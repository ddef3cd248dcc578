package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// A disabled key keeps its record, with its generations put aside. A record without generations matches no owner, so that no
// version of Mintkeep accepts the key, and the record still names it: a report of a leak finds it, and so does the log of what is
// rejected. Disabling and enabling are one step each, on one Redis key:
//
//	active     ──  WATCH; SET the record without generations  ──▶  disabled
//	disabled   ──  WATCH; SET it with them, and another "on"  ──▶  active
//	either     ──  DEL, by a revocation                       ──▶  gone
//
// Each of them writes the record, also if the key is in that state already. So a change that was acknowledged fails the EXEC of
// each earlier one that has read the record before, however late that arrives. What a generation has revoked stays revoked: the generations come back as
// they were. And an expiry that passes meanwhile takes the record away.
//
// If Redis loses a disabling, the replay puts the generations aside again, unless the key has another "on" by then.

// enabledMember is KeyRecord.Enabled as the redo log names the condition of a disabling.
const enabledMember = "on"

// ErrNotRestorable says that a disabled key cannot be enabled: a replica of an earlier version has written its record, and
// dropped what it does not know.
var ErrNotRestorable = errors.New("the generations of the disabled key are lost")

// IsDisabled is whether it is the record of an API key that is disabled.
func (c *Credential) IsDisabled() bool { return c.Key != nil && c.Generation == Generation{} }

// disable puts the generations of a key aside.
func (c *Credential) disable() {
	if c.IsDisabled() {
		return
	}
	c.Key.Held = slices.Concat(c.Generation[:], c.Key.Operator[:])
	c.Generation, c.Key.Operator = Generation{}, Generation{}
}

// enable gives a disabled key its generations back. An enabled one stays so.
func (c *Credential) enable() error {
	if !c.IsDisabled() {
		return nil
	}
	n := len(c.Generation)
	if len(c.Key.Held) != 2*n {
		return &planError{ErrNotRestorable}
	}
	copy(c.Generation[:], c.Key.Held[:n])
	copy(c.Key.Operator[:], c.Key.Held[n:])
	c.Key.Held = nil
	return nil
}

// disabling is the restriction by which a key is disabled that was enabled by this value, and not since.
func disabling(enabled string) rollback.Restriction {
	return func(value string) (string, bool) {
		c, err := parseCredential(value, decodeKeyRecord)
		switch {
		case err != nil: // which is not valid either, but for a version that can read it
			return "", true
		case c.Key == nil || c.IsDisabled() || c.Key.Enabled != enabled:
			return "", false
		}
		c.disable()
		return string(encodeKeyRecord(c)), true
	}
}

// DisableKey disables a key: it is rejected until it is enabled. One that is disabled already stays so. ErrNotFound if it was
// revoked or has expired. A Redis that is out of memory takes no disabling; revoke the key then.
func (s *Store) DisableKey(ctx context.Context, k *APIKey, cause Cause) error {
	before := false // it was disabled already
	err := s.changeKey(ctx, "disable key", k.Digest, func(c *Credential) (made keyChange, err error) {
		before = c.IsDisabled()
		st := step{Revocation: cause.keyRevocation(k.ID, k.UserID, k.Digest)}
		st.Expires = c.Key.Expires()
		record := rollback.OfValue(s.credentials.watchedKey(k.Digest), disabling(c.Key.Enabled)).While(enabledMember, c.Key.Enabled)
		st.deletions = []rollback.Deletion{record}
		c.disable()
		return keyChange{steps: []step{st}}, nil
	})
	if redisdb.Failed(err) {
		return err
	}
	described, e := s.redescribeKey(ctx, k.ID, func(d *APIKey) error {
		if !before || d.Disabled == nil {
			d.Disabled = &Disabling{At: cause.At, By: cause.Actor.Name}
		}
		return nil
	})
	k.Active, k.Disabled = false, &Disabling{}
	if e == nil {
		k.Disabled = described.Disabled
	}
	return redisdb.MostSevere(err, e)
}

// EnableKey makes a disabled key valid again, under the generations that it had: if those of its owner are others by now, it
// is rejected all the same. One that is enabled stays so, even if a disabling of unknown outcome is applied later. ErrConflict if
// it was disabled since k was read, and ErrNotFound if it was revoked or has expired.
func (s *Store) EnableKey(ctx context.Context, k *APIKey, cause Cause) error {
	err := s.changeKey(ctx, "enable key", k.Digest, func(c *Credential) (made keyChange, err error) {
		if c.IsDisabled() && k.Disabled == nil { // who read it as enabled has neither checked nor recorded that it is enabled
			return made, &planError{ErrConflict}
		}
		if err := c.enable(); err != nil {
			return made, err
		}
		c.Key.Enabled = randomValue()
		// Guards keep a rejection too.
		return keyChange{steps: []step{{Revocation: cause.keyRevocation(k.ID, k.UserID, k.Digest)}}, enabled: c.Key.Enabled}, nil
	})
	if redisdb.Failed(err) {
		return err
	}
	was := k.Disabled
	k.Active, k.Disabled = true, nil
	_, e := s.redescribeKey(ctx, k.ID, func(d *APIKey) error {
		if d.Disabled != nil && was != nil && d.Disabled.At.Equal(was.At) { // else it was disabled once more since
			d.Disabled = nil
		}
		return nil
	})
	return redisdb.MostSevere(err, e)
}

// take shows a key as its record has it, which decides. Without a record it is neither active nor disabled.
func (k *APIKey) take(c *Credential, now time.Time) {
	was := k.Disabled
	k.Active, k.Disabled = false, nil
	if c == nil || c.Key == nil {
		return
	}
	if k.Unreadable == nil {
		k.setMembers(c.Key)
	}
	switch {
	case c.Key.expired(now):
	case !c.IsDisabled():
		k.Active = true
	case was != nil:
		k.Disabled = was
	default:
		k.Disabled = &Disabling{}
	}
}
