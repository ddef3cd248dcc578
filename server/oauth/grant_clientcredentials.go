package oauth

import (
	"context"
	"net/url"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/store"
)

// clientCredentials is the grant of a client for itself (RFC 6749 §4.4).
type clientCredentials struct{}

func (clientCredentials) name() string { return "client_credentials" }

func (clientCredentials) decide(_ context.Context, s *Server, c *store.Client, form url.Values) (*grant, error) {
	resources, err := requestedResources(form)
	if err != nil {
		return nil, err
	}
	audience, err := s.grantAudience(c, resources)
	if err != nil {
		return nil, err
	}
	granted, err := grantScope(c.Metadata.Scope, form.Get("scope"))
	if err != nil {
		return nil, err
	}
	return &grant{claims: bearer.Claims{Subject: c.ID, Audience: audience, Scope: granted}}, nil
}
