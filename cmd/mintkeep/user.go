package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// userCommand is the operator's work with users.
type userCommand struct {
	Create  userCreate  `cmd:"" help:"Create a user. The link to set a password is shown once."`
	List    userList    `cmd:"" help:"List users."`
	Show    userShow    `cmd:"" help:"Show one user."`
	Update  userUpdate  `cmd:"" help:"Update only the given fields."`
	Disable userDisable `cmd:"" help:"Disable a user: no sign-in, and their API keys are rejected."`
	Enable  userEnable  `cmd:"" help:"Enable a disabled user. Their API keys work again."`
	Delete  userDelete  `cmd:"" help:"Delete a user, which revokes their API keys at once and permanently."`
	Invite  userInvite  `cmd:"" help:"Create a password-reset link; the previous link, the password and the sessions are revoked."`

	output
}

// Help tells of the environment.
func (*userCommand) Help() string { return adminHelp }

// userTarget is the user that a command is about.
type userTarget struct {
	User string `arg:"" help:"The user's id or email address."`
}

// Validate keeps an empty id from becoming the path of the whole list.
func (t userTarget) Validate() error {
	if t.User == "" {
		return errors.New("the user's id or email address is missing")
	}
	return nil
}

// path is the user's, or that of a thing of the user's.
func (t userTarget) path(ctx context.Context, admin *api, more ...string) (string, error) {
	id, err := t.id(ctx, admin)
	if err != nil {
		return "", err
	}
	return resource("/admin/users", append([]string{id}, more...)...), nil
}

// id asks the server for the id behind an email address.
func (t userTarget) id(ctx context.Context, admin *api) (string, error) {
	if !strings.Contains(t.User, "@") {
		return t.User, nil
	}
	return admin.userByEmail(ctx, t.User)
}

// userByEmail looks for the very address: the server's search matches beginnings,
// and those of names too.
func (a *api) userByEmail(ctx context.Context, email string) (id string, err error) {
	for list, err := range a.pages(ctx, "/admin/users", url.Values{"q": {email}}) {
		if err != nil {
			return "", err
		}
		for _, item := range list.Items {
			u, err := parsed[userView](item)
			if err != nil {
				return "", err
			}
			if u.ID != "" && strings.EqualFold(u.Email, email) {
				return u.ID, nil
			}
		}
	}
	return "", fmt.Errorf("no user has the email address %s", printable(email))
}

type userCreate struct {
	Email string `required:"" placeholder:"EMAIL" help:"Email address, by which the user signs in."`
	Name  string `placeholder:"NAME" help:"Display name."`
	Role  string `placeholder:"ROLE" help:"developer or operator. Default: developer."`
}

// Run creates the user.
func (c *userCreate) Run(ctx context.Context, admin *api, out printer) error {
	members := map[string]any{}
	for name, value := range map[string]string{"email": c.Email, "name": c.Name, "role": c.Role} {
		if value != "" {
			members[name] = value
		}
	}
	created, err := admin.post(ctx, "/admin/users", members)
	if err != nil {
		return err
	}
	return out.user(created)
}

type userList struct {
	Query string `short:"q" name:"query" placeholder:"WORD" help:"Filter by the beginning of a word of the id, the email address or the name."`
	wide
	paging
}

// Run lists users.
func (c *userList) Run(ctx context.Context, admin *api, out printer) error {
	return c.list(ctx, admin, out, "/admin/users", filters(map[string]string{"q": c.Query}), userTable(c.Wide))
}

type userShow struct{ userTarget }

// Run shows the user.
func (c *userShow) Run(ctx context.Context, admin *api, out printer) error {
	path, err := c.path(ctx, admin)
	if err != nil {
		return err
	}
	user, err := admin.get(ctx, path, nil)
	if err != nil {
		return err
	}
	return out.user(user)
}

type userUpdate struct {
	userTarget
	waiting
	Email *string `placeholder:"EMAIL" help:"Email address, by which the user signs in."`
	Name  *string `placeholder:"NAME" help:"Display name."`
	Role  *string `placeholder:"ROLE" help:"developer or operator."`
}

// Validate wants a change.
func (c *userUpdate) Validate() error {
	if len(c.members()) == 0 {
		return errors.New("nothing to change: give --email, --name or --role")
	}
	return c.userTarget.Validate()
}

func (c *userUpdate) members() map[string]any {
	members := map[string]any{}
	for name, value := range map[string]*string{"email": c.Email, "name": c.Name, "role": c.Role} {
		if value != nil {
			members[name] = *value
		}
	}
	return members
}

// Run sends what was given as a merge patch.
func (c *userUpdate) Run(ctx context.Context, p process, admin *api, out printer) error {
	return c.after(ctx, p, admin, out, func(out printer) error { return c.change(ctx, admin, out, c.members()) })
}

type userDisable struct {
	userTarget
	waiting
}

// Run disables the user.
func (c *userDisable) Run(ctx context.Context, p process, admin *api, out printer) error {
	return c.after(ctx, p, admin, out, func(out printer) error {
		return c.change(ctx, admin, out, map[string]any{"disabled": true})
	})
}

type userEnable struct{ userTarget }

// Run enables the user.
func (c *userEnable) Run(ctx context.Context, admin *api, out printer) error {
	return c.change(ctx, admin, out, map[string]any{"disabled": false})
}

func (t userTarget) change(ctx context.Context, admin *api, out printer, members map[string]any) error {
	path, err := t.path(ctx, admin)
	if err != nil {
		return err
	}
	user, err := admin.patch(ctx, path, members)
	if err != nil {
		return err
	}
	return out.user(user)
}

type userDelete struct {
	userTarget
	waiting
}

// Run deletes the user.
func (c *userDelete) Run(ctx context.Context, p process, admin *api, out printer) error {
	path, err := c.path(ctx, admin)
	if err != nil {
		return err
	}
	if err := admin.delete(ctx, path, nil); err != nil {
		return err
	}
	return c.after(ctx, p, admin, out, func(out printer) error {
		return out.done("Deleted user %s and revoked their API keys", c.User)
	})
}

type userInvite struct {
	userTarget
	KeepPassword bool `help:"Keep the password and the sessions valid until the link is used."`
}

// Run creates a new link.
func (c *userInvite) Run(ctx context.Context, admin *api, out printer) error {
	path, err := c.path(ctx, admin, "invite")
	if err != nil {
		return err
	}
	var body map[string]any // none: a server of version 0.1.0 takes no body
	if c.KeepPassword {
		body = map[string]any{"keep_password": true}
	}
	invited, err := admin.post(ctx, path, body)
	if err != nil {
		return err
	}
	return out.user(invited)
}
