package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/mintkeep/mintkeep/config"
)

// clientCommand is the operator's work with clients. Each command is one or two
// calls; what may be registered is for the server to say.
type clientCommand struct {
	Create       clientCreate       `cmd:"" help:"Register a client, with a secret that is shown once, or with keys."`
	List         clientList         `cmd:"" help:"List clients."`
	Show         clientShow         `cmd:"" help:"Show one client."`
	Update       clientUpdate       `cmd:"" help:"Update only the given fields."`
	Rotate       clientRotate       `cmd:"" help:"Create a second secret. The current one expires after the overlap."`
	Secrets      clientSecrets      `cmd:"" help:"List a client's secrets, and when each was created, was last used and expires."`
	RevokeSecret clientRevokeSecret `cmd:"" help:"Revoke one secret at once."`
	RefreshKeys  clientRefreshKeys  `cmd:"" help:"Fetch the keys of a client with a --jwks-uri again, on every replica."`
	RevokeTokens clientRevokeTokens `cmd:"" help:"Revoke every token issued to a client until now."`
	Disable      clientDisable      `cmd:"" help:"Disable a client: revokes its tokens, keeps its secrets."`
	Enable       clientEnable       `cmd:"" help:"Enable a disabled client. Previously issued tokens stay revoked."`
	Delete       clientDelete       `cmd:"" help:"Delete a client, which revokes its tokens at once."`

	EndSecret clientRevokeSecret `cmd:"" hidden:"" help:"The name of revoke-secret in version 0.1.0."`

	output
}

// Help tells of the environment.
func (*clientCommand) Help() string { return adminHelp }

type clientList struct {
	Query string `short:"q" name:"query" placeholder:"WORD" help:"Filter by the beginning of a word of the id or the name."`
	paging
}

// Run lists clients.
func (c *clientList) Run(ctx context.Context, admin *api, out printer) error {
	return c.list(ctx, admin, out, "/admin/clients", filters(map[string]string{"q": c.Query}), clientTable)
}

// target is the client that a command is about.
type target struct {
	ID string `arg:"" help:"The client's id."`
}

// Validate keeps an empty id, an unset variable in a script, from becoming the
// path of the whole list.
func (t target) Validate() error {
	if t.ID == "" {
		return errors.New("the client's id is missing")
	}
	return nil
}

// path is the client's, or that of a thing of the client's.
func (t target) path(more ...string) string {
	return resource("/admin/clients", append([]string{t.ID}, more...)...)
}

type clientCreate struct {
	ID         string  `name:"id" placeholder:"ID" help:"Client id of your choice. Default: a random one."`
	SecretFile string  `placeholder:"PATH" help:"Import the secret in this file; - is the standard input. Default: the server creates one, unless the client has keys."`
	NewKey     *string `xor:"keys" placeholder:"PATH" help:"Create an ES256 key here, write the private half to this new file, and register the public half. No secret is created."`
	metadata
	keyCheck
}

// keyCheck is whether the server fetches a key set before it registers its URL.
type keyCheck struct {
	Unchecked bool `help:"Register the URL of --jwks-uri without fetching it first: it may not answer yet."`
}

// path is that of a request to register.
func (k keyCheck) path(path string) string {
	if k.Unchecked {
		return path + "?check=false"
	}
	return path
}

// Validate checks what a new key can be.
func (c *clientCreate) Validate() error {
	switch {
	case c.NewKey == nil:
	case *c.NewKey == "" || *c.NewKey == "-":
		return errors.New("--new-key needs the path of a new file")
	case c.SigningAlg != nil && *c.SigningAlg != "ES256":
		return errors.New("--new-key creates a key for ES256: use --jwks-file for another algorithm")
	case c.AuthMethod != nil && strings.HasPrefix(*c.AuthMethod, "client_secret_"):
		return errors.New("--new-key creates a key for private_key_jwt, and --auth-method names a method with a secret")
	}
	return c.metadata.Validate()
}

// Run registers the client.
func (c *clientCreate) Run(ctx context.Context, p process, admin *api, out printer) error {
	members, err := c.request(p)
	if err != nil {
		return err
	}
	if c.ID != "" {
		members["client_id"] = c.ID
	}
	if c.SecretFile != "" {
		secret, err := importedSecret(p, c.SecretFile)
		if err != nil {
			return usagef("--secret-file: %w", err)
		}
		members["client_secret"] = secret.Reveal()
	}
	if c.NewKey != nil {
		return c.withNewKey(ctx, admin, out, members)
	}
	created, err := admin.post(ctx, c.path("/admin/clients"), members)
	if err != nil {
		return err
	}
	return out.client(created)
}

// importedSecret reads a secret from a file or the standard input, never from
// the command line, which other users of the machine can see.
func importedSecret(p process, path string) (config.Secret, error) {
	if path == "-" {
		text, err := io.ReadAll(io.LimitReader(p.input, maxSecret))
		return config.Secret(strings.TrimRight(string(text), "\r\n")), err
	}
	secret, _, err := config.ReadSecret(path)
	return secret, err
}

// maxSecret is more than the server accepts, so that it says so.
const maxSecret = 64 << 10

type clientShow struct{ target }

// Run shows the client.
func (c *clientShow) Run(ctx context.Context, admin *api, out printer) error {
	client, err := admin.get(ctx, c.path(), nil)
	if err != nil {
		return err
	}
	return out.client(client)
}

type clientDisable struct {
	target
	waiting
}

// Run disables the client.
func (c *clientDisable) Run(ctx context.Context, p process, admin *api, out printer) error {
	return c.after(ctx, p, admin, out, func(out printer) error {
		return change(ctx, admin, out, c.path(), map[string]any{"disabled": true})
	})
}

type clientEnable struct{ target }

// Run enables the client.
func (c *clientEnable) Run(ctx context.Context, admin *api, out printer) error {
	return change(ctx, admin, out, c.path(), map[string]any{"disabled": false})
}

func change(ctx context.Context, admin *api, out printer, path string, members map[string]any) error {
	client, err := admin.patch(ctx, path, members)
	if err != nil {
		return err
	}
	return out.client(client)
}

type clientDelete struct {
	target
	waiting
}

// Run deletes the client.
func (c *clientDelete) Run(ctx context.Context, p process, admin *api, out printer) error {
	if err := admin.delete(ctx, c.path(), nil); err != nil {
		return err
	}
	return c.after(ctx, p, admin, out, func(out printer) error { return out.done("Deleted client %s and revoked its tokens", c.ID) })
}

type clientRevokeTokens struct {
	target
	waiting
}

// Run revokes the client's tokens.
func (c *clientRevokeTokens) Run(ctx context.Context, p process, admin *api, out printer) error {
	if _, err := admin.post(ctx, c.path("revoke-tokens"), nil); err != nil {
		return err
	}
	return c.after(ctx, p, admin, out, func(out printer) error {
		return out.done("Revoked every token issued to client %s until now", c.ID)
	})
}

type clientRefreshKeys struct{ target }

// Run makes each replica fetch the client's keys again.
func (c *clientRefreshKeys) Run(ctx context.Context, admin *api, out printer) error {
	if _, err := admin.post(ctx, c.path("refresh-keys"), nil); err != nil {
		return err
	}
	return out.done("Every replica fetches the keys of client %s again, within 30 seconds", c.ID)
}
