package adminapi

import "time"

// Key is what may be known of an API key.
type Key struct {
	ID         string         `json:"id"`
	User       string         `json:"user,omitempty"`       // for operators, as the next
	UserEmail  string         `json:"user_email,omitempty"` // empty: the user was deleted
	Name       string         `json:"name"`
	Scope      string         `json:"scope"`
	Masked     string         `json:"masked"`
	LastFour   string         `json:"last_four"`
	State      string         `json:"state"`
	CreatedAt  time.Time      `json:"created_at"`
	ExpiresAt  *time.Time     `json:"expires_at"`
	LastUsed   *KeyUse        `json:"last_used"`
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
	ID        string     `json:"id"`
	Key       string     `json:"key"`
	Name      string     `json:"name"`
	Scope     string     `json:"scope"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// RotatedKey is the successor of a key.
type RotatedKey struct {
	CreatedKey
	Previous Previous `json:"previous"`
}
