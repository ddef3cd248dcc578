package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// tokenCommand fetches a token.
type tokenCommand struct {
	clientFlags

	Scope         string   `placeholder:"SCOPES" help:"Scopes to request, separated by spaces. Default: the registered ones."`
	Resource      []string `sep:"none" placeholder:"URI" help:"Resource that the token is for; repeat for more."`
	Decode        bool     `xor:"printed" help:"Print the token's header and claims instead of the token."`
	AssertionOnly bool     `xor:"printed" help:"Print a new assertion instead of fetching a token with one. It is valid once, for a minute."`
	Verbose       bool     `short:"v" help:"Say on the standard error how the client authenticates."`
}

const tokenTimeout = 30 * time.Second

// Help describes the environment.
func (*tokenCommand) Help() string {
	return `Only the token is on the standard output. A client has a key or a secret. If the environment has both, --key-file
chooses the key; without it that is an error. The key signs a new assertion for each request, which is valid once:

    mintkeep client create --id billing --new-key billing.pem
    TOKEN=$(mintkeep token --id billing --key-file billing.pem)

Environment:

` + clientHelp
}

// Run prints a token.
func (c *tokenCommand) Run(ctx context.Context, p process) error {
	e := newEnvironment(p)
	client := newOAuthClient(e, c.clientFlags, tokenTimeout)
	if err := e.err(); err != nil {
		return err
	}
	if c.AssertionOnly && client.key == nil {
		return usagef("--assertion-only is for a client with a key: give --key-file")
	}
	if c.Verbose {
		fmt.Fprintf(p.stderr, "mintkeep: authenticates as %s\n", printable(client.String()))
	}
	if c.AssertionOnly {
		return c.printAssertion(ctx, p, client)
	}
	token, err := c.fetch(ctx, client)
	switch {
	case err != nil:
		return err
	case c.Decode:
		return decode(p, token)
	}
	_, err = fmt.Fprintln(p.stdout, token)
	return err
}

func (c *tokenCommand) printAssertion(ctx context.Context, p process, client *oauthClient) error {
	assertion, err := client.assertion(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, assertion)
	return err
}

// fetch requests a token with the client's credentials (RFC 6749 §4.4.2).
func (c *tokenCommand) fetch(ctx context.Context, client *oauthClient) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if scopes := strings.Fields(c.Scope); len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	if len(c.Resource) > 0 {
		form["resource"] = c.Resource // RFC 8707 §2
	}
	body, err := client.post(ctx, "/oauth/token", form)
	if err != nil {
		return "", err
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	// RFC 6749 §A.12: a token is of visible characters, and so no more than one word for a shell
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" || strings.ContainsFunc(answer.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("the answer is not a token: is MINTKEEP_URL the address of Mintkeep?")
	}
	return answer.Token, nil
}

// decode prints what a JWT says, and that it was not verified.
func decode(p process, token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("the token is opaque: ask the server about it, with mintkeep introspect")
	}
	var out bytes.Buffer
	for _, part := range parts[:2] {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			return errors.New("the token is no JWT: it is not base64url between its dots")
		}
		if err := json.Indent(&out, text, "", "  "); err != nil {
			return errors.New("the token is no JWT: it is not JSON between its dots")
		}
		out.WriteByte('\n')
	}
	fmt.Fprintln(p.stderr, "The signature was not checked.")
	_, err := out.WriteTo(p.stdout)
	return err
}
