package main

import "encoding/json"

// userView is what people are shown of a person.
type userView struct {
	ID            string `json:"id"`
	Email         string `json:"email"`
	Name          string `json:"name"`
	Role          string `json:"role"`
	Disabled      bool   `json:"disabled"`
	CreatedAt     string `json:"created_at"`
	PasswordSet   *bool  `json:"password_set"`
	InviteURL     string `json:"invite_url"`
	InviteExpires string `json:"invite_expires_at"`
}

var userTable = tableOf(func(u userView) []string {
	return []string{u.ID, u.Email, u.Name, u.Role, enabled(u.Disabled), u.password(), u.CreatedAt}
}, "USER ID", "EMAIL", "NAME", "ROLE", "STATE", "PASSWORD", "CREATED")

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
		return "" // a new link comes without its person
	}
	return enabled(u.Disabled)
}

// user shows one person, with the link to set a password if the answer has one.
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
		fact{"created", u.CreatedAt},
		fact{"invite link", u.InviteURL},
		fact{"link expires", u.InviteExpires},
	)
	if err != nil || u.InviteURL == "" {
		return err
	}
	p.note("Send the link to the person: it sets the password, is valid for 72 h, and is not shown again.")
	return nil
}
