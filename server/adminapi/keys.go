package adminapi

import "time"

// Key is what may be known of an API key.
type Key struct {
	ID        string `json:"id"`
	User      string `json:"user,omitempty"`       // for operators, as the next
	UserEmail string `json:"user_email,omitempty"` // empty: the user was deleted
	KeyMembers
	Masked     string         `json:"masked"`
	LastFour   string         `json:"last_four"`
	State      string         `json:"state"`
	CreatedAt  time.Time      `json:"created_at"`
	ExpiresAt  *time.Time     `json:"expires_at"` // null also for one that was revoked: it would have expired then
	LastUsed   *KeyUse        `json:"last_used"`
	DisabledAt *time.Time     `json:"disabled_at,omitempty"` // of a disabled key, as the next
	DisabledBy string         `json:"disabled_by,omitempty"`
	Revocation *KeyRevocation `json:"ended"`
	RotatedTo  *string        `json:"rotated_to"`

	LastWeek *KeyCounts `json:"uses_7d,omitempty"`     // in a listing of the busiest keys
	Days     []KeyDay   `json:"uses_by_day,omitempty"` // of a key that is shown by itself: 30, the oldest first
}

// KeyCounts is how often a key was used, and how often a use of it was rejected.
type KeyCounts struct {
	Uses     int64 `json:"uses"`
	Rejected int64 `json:"rejected"`
}

// KeyDay is the uses of a key on a day (UTC).
type KeyDay struct {
	Date string `json:"date"`
	KeyCounts
}

// KeyMembers are what a caller may say of an API key, but for its expiry.
type KeyMembers struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Scope       string            `json:"scope"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	RateLimit   string            `json:"rate_limit,omitempty"`
	Disabled    bool              `json:"disabled"`
}

// KeyPage is a page of the caller's own keys, and which of all their keys the caller should look at.
type KeyPage struct {
	Page[Key]
	Notices []KeyNotice `json:"notices"`
}

// KeyNotice is a key that expires soon, or was reported as leaked.
type KeyNotice struct {
	KeyID string    `json:"key_id"`
	Kind  string    `json:"kind"` // expiring or leaked
	At    time.Time `json:"at"`   // when it expires, or was reported
}

// RevokedKeys is the answer to the revocation of several keys.
type RevokedKeys struct {
	Revoked int          `json:"revoked"` // how many could be used until now, or again
	Keys    []RevokedKey `json:"keys"`    // as they were asked for
}

// RevokedKey is one of them, and its state before.
type RevokedKey struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// KeyUse is when a key was last used, and from which address or through which client.
type KeyUse struct {
	At   time.Time `json:"at"`
	From string    `json:"from"`
}

// KeyRevocation is how a key became inactive: it was revoked or rotated, or it expired.
type KeyRevocation struct {
	At     *time.Time `json:"at"`
	By     string     `json:"by"`
	Reason string     `json:"reason"`
}

// CreatedKey is the one answer that has the key in it.
type CreatedKey struct {
	ID  string `json:"id"`
	Key string `json:"key"`
	KeyMembers
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// RotatedKey is the successor of a key.
type RotatedKey struct {
	CreatedKey
	Previous Previous `json:"previous"`
}
