package adminapi

import "time"

// Key is what may be known of an API key.
type Key struct {
	ID         string         `json:"id"`
	User       string         `json:"user,omitempty"`       // for operators, as the next two
	UserEmail  string         `json:"user_email,omitempty"` // empty: the user was deleted
	UserName   string         `json:"user_name,omitempty"`
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
