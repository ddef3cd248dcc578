package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/alecthomas/kong"

	"github.com/mintkeep/mintkeep/config"
)

// healthcheckCommand asks the server that the same settings run on this machine.
// It is for containers without a shell.
type healthcheckCommand struct {
	Settings kong.Plugins `embed:""`
	flags    *config.Flags
}

func (c *healthcheckCommand) init() {
	c.flags = config.NewFlags("addr", "issuer", "tls-cert")
	c.Settings = kong.Plugins{c.flags.Target()}
}

const healthcheckTimeout = 3 * time.Second

// Run asks once.
func (c *healthcheckCommand) Run(ctx context.Context, p process) error {
	local, err := localServer(config.Source{Flags: c.flags.Given(), Environ: p.environ})
	if err != nil {
		return usageError{err}
	}
	return local.ready(ctx)
}

// local is the server that some settings run on this machine.
type local struct {
	base   string // its origin here
	issuer string // empty: the settings name none
}

func localServer(src config.Source) (local, error) {
	base, err := config.LocalURL(src)
	if err != nil {
		return local{}, err
	}
	issuer, err := config.LocalIssuer(src)
	return local{base, issuer}, err
}

// otherServer is the error that another server has the address.
type otherServer struct {
	local
	issuer string // of the other; empty: it is no authorization server
}

func (e *otherServer) Error() string {
	if e.issuer == "" {
		return fmt.Sprintf("another server answers at %s: it has no metadata of an authorization server", e.base)
	}
	return fmt.Sprintf("another server answers at %s: its issuer is %s, and MINTKEEP_ISSUER is %s", e.base, printable(e.issuer), e.local.issuer)
}

// ready asks whether the server is ready: nil, an *apiError in which it says why not, an *otherServer, or that none
// answers.
func (l local) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	status, body, err := l.get(ctx, "/readyz")
	if err != nil {
		return err
	}
	if err := l.identify(ctx); err != nil {
		return err
	}
	if status != http.StatusOK {
		_, err := answer(status, body)
		return fmt.Errorf("not ready: %w", err)
	}
	return nil
}

// identify compares the issuer in the metadata (RFC 8414) with the configured one. A server that is too busy to tell is
// not another.
func (l local) identify(ctx context.Context) error {
	if l.issuer == "" {
		return nil
	}
	status, body, err := l.get(ctx, "/.well-known/oauth-authorization-server")
	if err != nil || status >= http.StatusInternalServerError {
		return nil //nolint:nilerr // readyz has answered
	}
	var metadata struct {
		Issuer string `json:"issuer"`
	}
	if status == http.StatusOK {
		_ = json.Unmarshal(body, &metadata) // what is not JSON has no issuer
	}
	if metadata.Issuer == l.issuer {
		return nil
	}
	return &otherServer{l, metadata.Issuer}
}

func (l local) get(ctx context.Context, path string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base+path, nil)
	if err != nil {
		return 0, nil, err
	}
	// The certificate is for the public name and not for this address. Nothing is
	// sent that a stranger on this machine could use, and no proxy is asked.
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
		DisableKeepAlives: true,
	}}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, unreachable(l.base, err)
	}
	defer response.Body.Close()
	body, _ = io.ReadAll(io.LimitReader(response.Body, maxLocal))
	return response.StatusCode, body, nil
}

// maxLocal bounds what is read of an answer.
const maxLocal = 64 << 10
