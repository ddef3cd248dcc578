package main

import (
	"context"
	"crypto/tls"
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
	c.flags = config.NewFlags("addr", "tls-cert")
	c.Settings = kong.Plugins{c.flags.Target()}
}

const healthcheckTimeout = 3 * time.Second

// Run asks once.
func (c *healthcheckCommand) Run(ctx context.Context, p process) error {
	base, err := config.LocalURL(config.Source{Flags: c.flags.Given(), Environ: p.environ})
	if err != nil {
		return usageError{err}
	}
	return askReady(ctx, base)
}

// askReady asks a server on this machine whether it is ready: nil, an *apiError in which it says why not, or that it
// does not answer.
func askReady(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return err
	}
	// The certificate is for the public name and not for this address. Nothing is
	// sent that a stranger on this machine could use, and no proxy is asked.
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	response, err := client.Do(request)
	if err != nil {
		return unreachable(base, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, maxSecret))
		_, err := answer(response.StatusCode, body)
		return fmt.Errorf("not ready: %w", err)
	}
	return nil
}
