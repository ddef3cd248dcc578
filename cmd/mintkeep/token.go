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

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// tokenCommand fetches a token with the library that most Go clients use.
type tokenCommand struct {
	Scope    string   `placeholder:"SCOPES" help:"Scopes to request, separated by spaces. Default: the registered ones."`
	Resource []string `sep:"none" placeholder:"URI" help:"Resource that the token is for; repeat for more."`
	Post     bool     `help:"Send the secret in the form (client_secret_post), not in the header."`
	Decode   bool     `help:"Print the token's header and claims instead of the token."`
}

const tokenTimeout = 30 * time.Second

// Help describes the environment.
func (*tokenCommand) Help() string {
	return `Environment:

` + clientHelp
}

// clientHelp describes the environment of the commands that authenticate as a client.
const clientHelp = `    MINTKEEP_URL            the server; default ` + defaultURL + `
    MINTKEEP_CLIENT_ID      the id of the client
    MINTKEEP_CLIENT_SECRET  its secret; MINTKEEP_CLIENT_SECRET_FILE names a file
                            with it` + caHelp

// Run prints a token.
func (c *tokenCommand) Run(ctx context.Context, p process) error {
	e := newEnvironment(p)
	request := clientcredentials.Config{
		TokenURL:     e.url() + "/oauth/token",
		ClientID:     e.text("MINTKEEP_CLIENT_ID", "billing"),
		ClientSecret: e.secret("MINTKEEP_CLIENT_SECRET", `"$(cat client-secret)"`).Reveal(),
		Scopes:       strings.Fields(c.Scope),
		AuthStyle:    oauth2.AuthStyleInHeader,
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, e.httpClient(tokenTimeout))
	if err := e.err(); err != nil {
		return err
	}
	if c.Post {
		request.AuthStyle = oauth2.AuthStyleInParams
	}
	if len(c.Resource) > 0 {
		request.EndpointParams = url.Values{"resource": c.Resource} // RFC 8707 §2
	}
	token, err := request.Token(ctx)
	if err != nil {
		return tokenError(strings.TrimSuffix(request.TokenURL, "/oauth/token"), err)
	}
	if c.Decode {
		return decode(p, token.AccessToken)
	}
	_, err = fmt.Fprintln(p.stdout, token.AccessToken)
	return err
}

// tokenError reports the server's error. The library's own message would have the
// whole body.
func tokenError(base string, err error) error {
	var refusal *oauth2.RetrieveError
	if errors.As(err, &refusal) {
		return &apiError{Status: refusal.Response.StatusCode, Code: refusal.ErrorCode, Description: refusal.ErrorDescription}
	}
	var urlError *url.Error
	if errors.As(err, &urlError) {
		return unreachable(base, err)
	}
	return errors.New("the answer is not a token: is MINTKEEP_URL the address of Mintkeep?")
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
