package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/config"
)

// introspectCommand asks about a credential as a resource server does.
type introspectCommand struct {
	clientFlags
	output
}

// errInactive makes the exit code of a credential that is not active. It is no failure, and is not printed as one.
var errInactive = errors.New("the credential is not active")

// Help tells of the credential, of the exit code and of the environment.
func (*introspectCommand) Help() string {
	return `Reads the access token or the API key from MINTKEEP_TOKEN, the file of MINTKEEP_TOKEN_FILE, or the standard input; never
from the command line, which other users of the machine can see:

    mintkeep token | mintkeep introspect

The client must be registered for the scope mintkeep:introspect, or the token must be its own: the answer is "inactive"
otherwise.

Exits 0 if the credential is active, 3 if it is not, and 1 if that could not be found out.

Environment:

    MINTKEEP_TOKEN            the credential; MINTKEEP_TOKEN_FILE names a file
                              with it
` + clientHelp
}

// Run asks once.
func (c *introspectCommand) Run(ctx context.Context, p process, out printer) error {
	e := newEnvironment(p)
	client := newOAuthClient(e, c.clientFlags, apiTimeout)
	token := e.optionalSecret("MINTKEEP_TOKEN", `"$(mintkeep token)"`)
	if err := e.err(); err != nil {
		return err
	}
	if token == "" {
		var err error
		if token, err = readToken(p, out); err != nil {
			return err
		}
	}
	body, err := client.post(ctx, "/oauth/introspect", url.Values{"token": {token.Reveal()}})
	if err != nil {
		return err
	}
	return out.introspection(body)
}

// readToken reads the credential from the standard input, up to what the server accepts.
func readToken(p process, out printer) (config.Secret, error) {
	if isTerminal(p.stdin) {
		out.note("Paste the token or the API key, then press Enter and Ctrl-D.")
	}
	text, err := io.ReadAll(io.LimitReader(p.input, maxSecret))
	if err != nil {
		return "", err
	}
	token := config.Secret(strings.TrimSpace(string(text)))
	if token == "" {
		return "", usagef("there is no credential: set MINTKEEP_TOKEN, or pipe it to the standard input")
	}
	return token, nil
}

// introspected is an answer of RFC 7662 §2.2. A member of another form than is known is shown as JSON.
type introspected struct {
	Active    *bool           `json:"active"` // nil: the answer is not of an introspection
	TokenType string          `json:"token_type"`
	Subject   string          `json:"sub"`
	ClientID  string          `json:"client_id"`
	Scope     string          `json:"scope"`
	Audience  json.RawMessage `json:"aud"`
	Issuer    string          `json:"iss"`
	IssuedAt  int64           `json:"iat"`
	Expires   int64           `json:"exp"`
	ID        string          `json:"jti"`
}

// introspection shows the answer, and makes the exit code.
func (p printer) introspection(body json.RawMessage) error {
	answer, err := parsed[introspected](body)
	if err != nil {
		return err
	}
	if answer.Active == nil {
		return errors.New("the answer does not say whether the credential is active: is MINTKEEP_URL the address of Mintkeep?")
	}
	if p.json {
		err = p.pretty(body)
	} else {
		err = p.facts(answer.facts()...)
	}
	if err == nil && !*answer.Active {
		err = errInactive
	}
	return err
}

func (a introspected) facts() []fact {
	if !*a.Active {
		return []fact{{"state", "inactive"}}
	}
	expires := seconds(a.Expires)
	if expires == "" {
		expires = "never"
	}
	return []fact{
		{"state", "active"},
		{"type", a.TokenType},
		{"subject", a.Subject},
		{"client id", a.ClientID},
		{"scope", a.Scope},
		{"audience", a.audience()},
		{"issuer", a.Issuer},
		{"issued", seconds(a.IssuedAt)},
		{"expires", expires},
		{"token id", a.ID},
	}
}

// audience is one string or several (RFC 7519 §4.1.3).
func (a introspected) audience() string {
	var one string
	var several []string
	switch {
	case json.Unmarshal(a.Audience, &one) == nil:
		return one
	case json.Unmarshal(a.Audience, &several) == nil:
		return strings.Join(several, " ")
	}
	return string(a.Audience)
}

// seconds is a time in seconds since 1970; empty for zero.
func seconds(at int64) string {
	if at == 0 {
		return ""
	}
	return time.Unix(at, 0).UTC().Format(time.RFC3339)
}
