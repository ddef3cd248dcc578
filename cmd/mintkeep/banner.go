package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/store"
)

const (
	demoClient   = "demo"
	demoOperator = "demo@example.com"
)

// welcome registers the demo client and the demo operator, with new secrets at each start, and prints what a
// newcomer can paste. Only an embedded store on a loopback address gets them: elsewhere they would be a back door.
func welcome(ctx context.Context, cfg *config.Config, address net.Addr, s *store.Store, w io.Writer) error {
	const keep = "All data is in memory and is lost on exit. To keep it, set MINTKEEP_REDIS_URL."
	if !cfg.Loopback() {
		_, err := fmt.Fprintf(w, remoteBanner, cfg.Issuer, shownAdminToken(cfg), firstOperator, keep)
		return err
	}
	secret := credential.NewSecret(cfg.KeyPrefix)
	now := time.Now().UTC()
	err := s.CreateClient(ctx, &store.Client{
		ID: demoClient,
		Metadata: store.ClientMetadata{
			Name: "Demo", Scope: "read write", GrantTypes: []string{"client_credentials"},
			TokenFormat: store.JWT, CreatedAt: now,
		},
		Secrets: []store.Secret{{
			ID: store.NewSecretID(), Digest: store.DigestOf(secret), LastFour: credential.LastFour(secret), CreatedAt: now,
		}},
	})
	if err != nil {
		return fmt.Errorf("register the demo client: %w", err)
	}
	password, err := createDemoOperator(ctx, cfg, s)
	if err != nil {
		return fmt.Errorf("create the demo operator: %w", err)
	}
	curl, here := "curl -s", localURL(cfg, address)
	if cfg.TLS() {
		curl = "curl -sk" // curl rarely knows a certificate for localhost
	}
	curl += " -u " + demoClient + ":" + secret
	fetch := curl + " -d grant_type=client_credentials " + here + "/oauth/token"
	dashboard := here
	if cfg.SeparateAdmin() {
		dashboard = cfg.AdminURL
	}
	_, err = fmt.Fprintf(w, banner, here, cfg.Issuer, fetch, curl, fetch, here, dashboard, demoOperator, password, shownAdminToken(cfg), keep)
	return err
}

// shownAdminToken is the admin token if it was drawn here, and else where the operator has set it.
func shownAdminToken(cfg *config.Config) string {
	if cfg.AdminTokenDrawn() {
		return cfg.AdminToken.Reveal()
	}
	return "as set by MINTKEEP_ADMIN_TOKEN or MINTKEEP_ADMIN_TOKEN_FILE"
}

// localURL is the one name that the banner has for the server: the issuer if that is this server on localhost, else the
// address. The issuer may be configured to be another host. To a browser localhost and 127.0.0.1 are two places.
func localURL(cfg *config.Config, address net.Addr) string {
	here := url.URL{Scheme: "http", Host: address.String()}
	if cfg.TLS() {
		here.Scheme = "https"
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err == nil && issuer.Scheme == here.Scheme && issuer.Hostname() == "localhost" && issuer.Port() == here.Port() {
		return cfg.Issuer
	}
	return here.String()
}

// createDemoOperator creates a user who can sign in at the dashboard.
func createDemoOperator(ctx context.Context, cfg *config.Config, s *store.Store) (plain string, err error) {
	vault, err := seal.New(cfg.MasterKeys)
	if err != nil {
		return "", err
	}
	plain = strings.ToLower(rand.Text()[:16]) // 80 bits, for one run on one machine
	id := store.NewUserID()
	sealed, err := password.New(password.Options{Vault: vault}).Hash(ctx, id, plain)
	if err != nil {
		return "", err
	}
	return plain, s.CreateUser(ctx, &store.User{
		ID: id, Operator: store.NewGeneration(), Password: sealed,
		Metadata: store.UserMetadata{Email: demoOperator, Name: "Demo", CreatedAt: time.Now().UTC()},
	})
}

const banner = `Mintkeep at   %s
Issuer        %s

Fetch a token:
  %s

Fetch a token and introspect it:
  %s -d "token=$(%s | cut -d'"' -f4)" %s/oauth/introspect

Dashboard     %s
Sign in with  %s
Password      %s

Admin token   %s

%s
`

const remoteBanner = `Mintkeep at   %s

Admin token   %s

Create the first operator:
  %s

%s
`
