package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// userCommand is the operator's work with people.
type userCommand struct {
	Create  userCreate  `cmd:"" help:"Add a person. The link to set a password is shown once."`
	List    userList    `cmd:"" help:"List people."`
	Show    userShow    `cmd:"" help:"Show one person."`
	Update  userUpdate  `cmd:"" help:"Change what is given, and nothing else."`
	Disable userDisable `cmd:"" help:"Stop a person: no sign-in, and the API keys are suspended."`
	Enable  userEnable  `cmd:"" help:"Let a disabled person in again. The API keys work again."`
	Delete  userDelete  `cmd:"" help:"Delete a person, which ends the API keys at once and for good."`
	Invite  userInvite  `cmd:"" help:"Make a new link to set a password. It revokes the old link, the password and the sessions."`

	output
}

// Help tells of the environment.
func (*userCommand) Help() string { return adminHelp }

// person is whom a command is about.
type person struct {
	User string `arg:"" help:"The person's id or email address."`
}

// Validate keeps an empty id from becoming the path of the whole list.
func (w person) Validate() error {
	if w.User == "" {
		return errors.New("the person's id or email address is missing")
	}
	return nil
}

// path is the person's, or that of a thing of the person's.
func (w person) path(ctx context.Context, admin *api, more ...string) (string, error) {
	id, err := w.id(ctx, admin)
	if err != nil {
		return "", err
	}
	return resource("/admin/users", append([]string{id}, more...)...), nil
}

// id asks the server for the id behind an email address.
func (w person) id(ctx context.Context, admin *api) (string, error) {
	if !strings.Contains(w.User, "@") {
		return w.User, nil
	}
	return admin.userByEmail(ctx, w.User)
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
	return "", fmt.Errorf("nobody has the email address %s", printable(email))
}

type userCreate struct {
	Email string `required:"" placeholder:"EMAIL" help:"Email address, which is the name to sign in with."`
	Name  string `placeholder:"NAME" help:"Name for people."`
	Role  string `placeholder:"ROLE" help:"developer or operator. Default: developer."`
}

// Run adds the person.
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
	Query string `short:"q" name:"query" placeholder:"PREFIX" help:"Only people whose id, email address or name begins so."`
	paging
}

// Run lists people.
func (c *userList) Run(ctx context.Context, admin *api, out printer) error {
	return c.list(ctx, admin, out, "/admin/users", filters(map[string]string{"q": c.Query}), userTable)
}

type userShow struct{ person }

// Run shows the person.
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
	person
	Email *string `placeholder:"EMAIL" help:"Email address, which is the name to sign in with."`
	Name  *string `placeholder:"NAME" help:"Name for people."`
	Role  *string `placeholder:"ROLE" help:"developer or operator."`
}

// Validate wants a change.
func (c *userUpdate) Validate() error {
	if len(c.members()) == 0 {
		return errors.New("nothing to change: give --email, --name or --role")
	}
	return c.person.Validate()
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
func (c *userUpdate) Run(ctx context.Context, admin *api, out printer) error {
	return c.change(ctx, admin, out, c.members())
}

type userDisable struct{ person }

// Run disables the person.
func (c *userDisable) Run(ctx context.Context, admin *api, out printer) error {
	return c.change(ctx, admin, out, map[string]any{"disabled": true})
}

type userEnable struct{ person }

// Run enables the person.
func (c *userEnable) Run(ctx context.Context, admin *api, out printer) error {
	return c.change(ctx, admin, out, map[string]any{"disabled": false})
}

func (w person) change(ctx context.Context, admin *api, out printer, members map[string]any) error {
	path, err := w.path(ctx, admin)
	if err != nil {
		return err
	}
	user, err := admin.patch(ctx, path, members)
	if err != nil {
		return err
	}
	return out.user(user)
}

type userDelete struct{ person }

// Run deletes the person.
func (c *userDelete) Run(ctx context.Context, admin *api, out printer) error {
	path, err := c.path(ctx, admin)
	if err != nil {
		return err
	}
	if err := admin.delete(ctx, path, nil); err != nil {
		return err
	}
	return out.done("%s is deleted, and the API keys have ended", c.User)
}

type userInvite struct {
	person
	KeepPassword bool `help:"Leave the password and the sessions valid until the link is used."`
}

// Run makes a new link.
func (c *userInvite) Run(ctx context.Context, admin *api, out printer) error {
	path, err := c.path(ctx, admin, "invite")
	if err != nil {
		return err
	}
	var body map[string]any // none: a server of the version before takes no body
	if c.KeepPassword {
		body = map[string]any{"keep_password": true}
	}
	invited, err := admin.post(ctx, path, body)
	if err != nil {
		return err
	}
	return out.user(invited)
}
