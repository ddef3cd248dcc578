package oauth

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// grantType is one grant of the token endpoint (RFC 6749 §1.3). Each has a file of its own, grant_*.go, and a place in
// grantTypes.
type grantType interface {
	// name is the value of grant_type, in a request, in the metadata (RFC 8414 §2) and in a registration (RFC 7591 §2).
	name() string
	// decide says what the authenticated client is granted, or why nothing is. It sets all claims that the grant knows:
	// the subject, the audience, the scope. It may read the store.
	decide(ctx context.Context, s *Server, c *store.Client, form url.Values) (*grant, error)
}

// grantTypes are the grants that Mintkeep offers. A client that is registered for none in particular has the first.
var grantTypes = []grantType{clientCredentials{}}

// grant is one decided grant on its way through go-oauth2's manager, which gives our three parts only a
// context. The client in it is authenticated.
type grant struct {
	by     grantType
	client *store.Client
	claims bearer.Claims
	// record is filled by the generator and written by the token store.
	record store.Credential
	// used is the record that the client's assertion was used, which the token store writes too; nil: none.
	used *store.ReplayRecord
}

var errUnsupportedGrant = &web.Error{
	Status: http.StatusBadRequest, Code: "unsupported_grant_type",
	Description: offeredGrants(Offers().GrantTypes),
}

func offeredGrants(names []string) string {
	if len(names) == 1 {
		return "The only supported grant_type is " + names[0]
	}
	return "grant_type must be " + clients.Either(names)
}

// decide has the request's grant decided (RFC 6749 §4.4.2).
func (s *Server) decide(ctx context.Context, c *store.Client, form url.Values) (*grant, error) {
	name := form.Get("grant_type")
	if name == "" {
		return nil, web.InvalidRequest("grant_type is missing")
	}
	for _, by := range grantTypes {
		if by.name() != name {
			continue
		}
		if !slices.Contains(c.Metadata.GrantTypes, name) {
			return nil, errUnauthorizedClient
		}
		g, err := by.decide(ctx, s, c, form)
		if g != nil {
			g.by, g.client = by, c
		}
		return g, err
	}
	return nil, errUnsupportedGrant
}

// requestedResources are what the token is to be for (RFC 8707 §2). Some clients call the parameter audience; a request
// that has both must name the same in both.
func requestedResources(form url.Values) ([]string, error) {
	resources, audiences := form["resource"], form["audience"]
	switch {
	case len(audiences) == 0:
		return resources, nil
	case len(resources) > 0 && !slices.Equal(setOf(resources), setOf(audiences)):
		return nil, errDifferentTargets
	}
	return audiences, nil
}

func setOf(values []string) []string { return slices.Compact(slices.Sorted(slices.Values(values))) }

// grantAudience is the aud of a token: the resources of the request (RFC 8707 §2), which must be registered, or the
// client's default.
func (s *Server) grantAudience(c *store.Client, resources []string) ([]string, error) {
	registered := c.Metadata.Audience
	if len(registered) == 0 {
		registered = []string{s.config.Audience}
	}
	if len(resources) == 0 {
		return registered[:1], nil
	}
	granted := make([]string, 0, len(resources))
	for _, resource := range resources {
		if !slices.Contains(registered, resource) {
			return nil, errInvalidTarget
		}
		if !slices.Contains(granted, resource) {
			granted = append(granted, resource)
		}
	}
	return granted, nil
}
