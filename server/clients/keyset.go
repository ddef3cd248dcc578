package clients

import (
	"context"
	"errors"
	"strings"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// checkKeySet fetches the key set of a client that is registered with another URL than before.
func (g *Registry) checkKeySet(ctx context.Context, before, after string) error {
	if g.CheckKeys == nil || after == "" || after == before {
		return nil
	}
	err := g.CheckKeys(ctx, after)
	web.RenewBudget(ctx) // a fetch may take longer than the store time
	if err != nil {
		return wrongMember(jwksURIMember, errors.New(fitDescription(err.Error())))
	}
	return nil
}

// fitDescription is a text as an error_description may have it (RFC 6749 §5.2).
func fitDescription(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case notPrintableASCII(r):
			return '?'
		}
		return r
	}, text)
}

// WithoutFetch is a registry that registers the URL of a key set without fetching it.
func (g *Registry) WithoutFetch() *Registry {
	unchecked := *g
	unchecked.CheckKeys = nil
	return &unchecked
}

// RefreshKeys has every replica fetch the client's key set again, before the next request that needs it.
func (g *Registry) RefreshKeys(ctx context.Context, id string, by audit.Actor) error {
	c, err := g.Client(ctx, id)
	if err != nil {
		return err
	}
	if c.Metadata.JWKSURI == "" {
		return errNoKeySetURI
	}
	what := record(audit.ClientKeysRefreshed, id, nil).Granted(jwksURIMember, c.Metadata.JWKSURI)
	return noClient(g.Audit.Change(ctx, by, what, func(ctx context.Context) error {
		_, err := g.Store.UpdateClient(ctx, id, g.Audit.Cause(by, ""), func(m *store.ClientMetadata) (newGeneration bool, err error) {
			if m.JWKSURI == "" {
				return false, errNoKeySetURI
			}
			m.KeysRefreshed = max(m.KeysRefreshed+1, g.Now().UnixMilli()) // clocks differ
			return false, nil
		})
		return err
	}))
}

var errNoKeySetURI = web.Conflict("The client has no jwks_uri: there is nothing to fetch")
