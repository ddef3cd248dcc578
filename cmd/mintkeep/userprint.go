package main

import (
	"encoding/json"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

// userView is any answer about one user: created or invited, with a link, or shown.
type userView struct {
	adminapi.CreatedUser
	PasswordSet *bool `json:"password_set"` // nil: the answer does not say
}

// userTable shows the ids only if it is wide: commands take the email as well.
func userTable(wide bool) table {
	return tableOf(func(u userView) []string {
		return inFront(wide, u.ID, u.Email, u.Name, u.Role, enabled(u.Disabled), u.password(), stamp(&u.CreatedAt))
	}, inFront(wide, "USER ID", "EMAIL", "NAME", "ROLE", "STATE", "PASSWORD", "CREATED")...)
}

func (u userView) password() string {
	switch {
	case u.PasswordSet == nil:
		return ""
	case *u.PasswordSet:
		return "set"
	}
	return "not set"
}

func (u userView) state() string {
	if u.ID == "" {
		return "" // a new link comes without its user
	}
	return enabled(u.Disabled)
}

// user shows one user, with the link to set a password if the answer has one.
func (p printer) user(body json.RawMessage) error {
	if p.json {
		return p.pretty(body)
	}
	u, err := parsed[userView](body)
	if err != nil {
		return err
	}
	err = p.facts(
		fact{"user id", u.ID},
		fact{"email", u.Email},
		fact{"name", u.Name},
		fact{"role", u.Role},
		fact{"state", u.state()},
		fact{"password", u.password()},
		fact{"created", stamp(&u.CreatedAt)},
		fact{"invite link", u.URL},
		fact{"link expires", stamp(&u.ExpiresAt)},
	)
	if err != nil || u.URL == "" {
		return err
	}
	p.note("Send the link to the user: it sets the password, is valid for 72 h, and is not shown again.")
	return nil
}
