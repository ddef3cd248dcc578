package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/oauth"
)

// clientFlags are the flags of the commands that authenticate as a client.
type clientFlags struct {
	ID         string  `name:"id" placeholder:"ID" help:"The client's id. Default: MINTKEEP_CLIENT_ID."`
	KeyFile    *string `placeholder:"PATH" help:"Authenticate with the private key in this file (private_key_jwt), named by the kid of the JWK, else by its thumbprint. Default: MINTKEEP_CLIENT_KEY_FILE."`
	SigningAlg string  `placeholder:"ALG" help:"Algorithm of the signature: ${signing_algs}. Default: the one of the JWK, or of the type of the key; PS256 for RSA."`
	Post       bool    `help:"Send the client's secret in the form (client_secret_post), not in the header."`
}

const (
	clientID     = "MINTKEEP_CLIENT_ID"
	clientSecret = "MINTKEEP_CLIENT_SECRET"
	keyFile      = "MINTKEEP_CLIENT_KEY_FILE"
)

// clientHelp describes the environment of the commands that authenticate as a client.
const clientHelp = `    MINTKEEP_URL              the server; default ` + defaultURL + `
    MINTKEEP_CLIENT_ID        the id of the client
    MINTKEEP_CLIENT_KEY_FILE  a file with its private key, which only its owner can
                              read: PEM (PKCS 8, SEC 1, PKCS 1) or a JWK
    MINTKEEP_CLIENT_SECRET    its secret, if it has no key;
                              MINTKEEP_CLIENT_SECRET_FILE names a file with it
    MINTKEEP_CA_FILE          a file of PEM certificates of certificate authorities
                              that are trusted besides those of the system`

// An identity is how a command authenticates: as which client, and by its key or its secret.
type identity struct {
	client string
	key    *clientKey // nil: by the secret
	secret config.Secret
	inForm bool   // the secret goes into the form (client_secret_post)
	source string // what named the key or the secret
}

// identify finds the identity. A flag wins over the environment. A key and a secret in the environment are an error: neither is
// more likely to be meant.
func (f clientFlags) identify(e *environment) identity {
	i := identity{client: f.ID, inForm: f.Post}
	if i.client == "" {
		if i.client = e.src.Get(clientID); i.client == "" {
			e.mistake(clientID, "is required, or --id", "billing")
		}
	}
	path, secret := e.src.Get(keyFile), e.set(clientSecret, clientSecret+"_FILE")
	switch {
	case f.KeyFile != nil:
		i.source, path = "--key-file", *f.KeyFile
	case path != "" && secret != "":
		e.mistake(keyFile, "and "+secret+" are both set: unset one, or choose the key with --key-file", "")
		return i
	case path != "":
		i.source = keyFile
	case secret != "":
		i.source, i.secret = secret, e.secret(clientSecret, `"$(cat client-secret)"`)
	default:
		e.mistake(clientSecret, "is required, or "+clientSecret+"_FILE, or "+keyFile+", or --key-file", `"$(cat client-secret)"`)
	}
	if i.source == "--key-file" || i.source == keyFile {
		i.readKey(e, path, f)
	} else if f.SigningAlg != "" {
		e.mistake("--signing-alg", "is for a client with a key: give --key-file", "")
	}
	return i
}

// readKey reads the key that i.source names.
func (i *identity) readKey(e *environment, path string, f clientFlags) {
	if path == "" {
		e.mistake(i.source, "needs the path of a file", "")
		return
	}
	if f.Post {
		e.mistake("--post", "is for a client with a secret, and "+i.source+" names a key", "")
	}
	key, err := readClientKey(path, f.SigningAlg)
	if err != nil {
		e.mistake(i.source, err.Error(), "")
		return
	}
	i.key = key
}

// String says which identity it is, without the secret.
func (i identity) String() string {
	if i.key == nil {
		return fmt.Sprintf("client %s by the secret of %s", i.client, i.source)
	}
	return fmt.Sprintf("client %s by the key of %s: %s, %s, kid %s", i.client, i.source, i.key.path, i.key.algorithm, i.key.id)
}

// An oauthClient calls the OAuth endpoints of a server.
type oauthClient struct {
	identity

	base   string
	http   *http.Client
	now    func() time.Time
	issuer string // as the server's metadata has it; empty: not asked for yet
}

// newOAuthClient finds the server and the identity in flags and environment.
func newOAuthClient(e *environment, f clientFlags, timeout time.Duration) *oauthClient {
	return &oauthClient{base: e.url(), http: e.httpClient(timeout), identity: f.identify(e), now: e.p.now}
}

const (
	tries    = 3               // of a request that is answered with 503
	longWait = 5 * time.Second // of what Retry-After asks for
)

// post sends a form and returns the body of a successful answer. After a 503 that says when to try again, it does so with a
// new assertion: the server may have recorded that the first was used (RFC 7523 §3).
func (c *oauthClient) post(ctx context.Context, path string, form url.Values) (json.RawMessage, error) {
	for try := 1; ; try++ {
		body, err := c.postOnce(ctx, path, form)
		var rejected *apiError
		if try == tries || !errors.As(err, &rejected) || rejected.Status != http.StatusServiceUnavailable || rejected.retryAfter == nil {
			return body, c.explain(err)
		}
		select {
		case <-time.After(min(*rejected.retryAfter, longWait)):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (c *oauthClient) postOnce(ctx context.Context, path string, parameters url.Values) (json.RawMessage, error) {
	form := url.Values{}
	for name, values := range parameters {
		form[name] = values
	}
	switch {
	case c.key != nil:
		assertion, err := c.assertion(ctx)
		if err != nil {
			return nil, err
		}
		form.Set("client_assertion_type", oauth.AssertionType)
		form.Set("client_assertion", assertion)
	case c.inForm:
		form.Set("client_id", c.client)
		form.Set("client_secret", c.secret.Reveal())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if c.key == nil && !c.inForm {
		request.SetBasicAuth(url.QueryEscape(c.client), url.QueryEscape(c.secret.Reveal())) // RFC 6749 §2.3.1
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("User-Agent", "mintkeep/"+buildVersion())
	return send(c.http, c.base, request)
}

// assertion is a new one each time.
func (c *oauthClient) assertion(ctx context.Context) (string, error) {
	if c.issuer == "" {
		var err error
		if c.issuer, err = issuerOf(ctx, c.http, c.base); err != nil {
			return "", err
		}
	}
	return c.key.assertion(c.client, c.issuer, c.now())
}

// clockAllowance is what the server allows a clock to be ahead.
const clockAllowance = 30 * time.Second

// explain adds to a rejected credential what the server does not say: who knows the reason, or that the clock of this machine
// is wrong.
func (c *oauthClient) explain(err error) error {
	var rejected *apiError
	if !errors.As(err, &rejected) || rejected.Status != http.StatusUnauthorized {
		return err
	}
	reason := err
	if rejected.Code == "invalid_client" {
		reason = fmt.Errorf("%w; an operator finds the reason with: mintkeep audit --refusals --since 1h", err)
	}
	if c.key == nil || rejected.date.IsZero() {
		return reason
	}
	switch ahead := c.now().Sub(rejected.date).Round(time.Second); {
	case ahead > clockAllowance:
		return fmt.Errorf("%w; the clock of this machine is %v ahead of the server's", err, ahead)
	case -ahead > clockAllowance:
		return fmt.Errorf("%w; the clock of this machine is %v behind the server's", err, -ahead)
	}
	return reason
}
