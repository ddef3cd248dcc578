package adminapi

import "time"

// User is a user as operators see them.
type User struct {
	ID          string    `json:"id"`
	Email       string    `json:"email"`
	Name        string    `json:"name"`
	Role        string    `json:"role"`
	Disabled    bool      `json:"disabled"`
	ManagedBy   string    `json:"managed_by,omitempty"` // the owner of the declaration that the user is in
	CreatedAt   time.Time `json:"created_at"`
	PasswordSet bool      `json:"password_set"`
	KeyScopes   string    `json:"key_scopes"` // that the user may give to a key; the server's own order

	KeyScopeDescriptions map[string]string `json:"key_scope_descriptions,omitempty"` // of those that MINTKEEP_KEY_SCOPES describes
}

// Invite is a link by which a user sets a password, shown this once.
type Invite struct {
	URL       string    `json:"invite_url"`
	ExpiresAt time.Time `json:"invite_expires_at"`
}

// CreatedUser is a user who has just been created, and their link.
type CreatedUser struct {
	User
	Invite
}
