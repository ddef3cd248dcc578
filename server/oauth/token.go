package oauth

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const clientCredentials = "client_credentials"

// tokenResponse is RFC 6749 §5.1, without a refresh token (§4.4.3), in the documented order.
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// Token answers POST /oauth/token (RFC 6749 §4.4).
func (s *Server) Token(w http.ResponseWriter, r *http.Request) error {
	err := s.token(w, r)
	if err != nil {
		s.metrics.TokenRefused(web.Code(err))
		s.store.Count(store.TokensRefused + web.Code(err))
	}
	return err
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r, "resource")
	if err != nil {
		return err
	}
	client, err := s.authenticate(r, form)
	if err != nil {
		return err
	}
	if err := s.limit(r.Context(), client); err != nil {
		return err
	}
	switch form.Get("grant_type") {
	case clientCredentials:
	case "":
		return web.InvalidRequest("grant_type is missing")
	default:
		return errUnsupportedGrant
	}
	if !slices.Contains(client.Metadata.GrantTypes, clientCredentials) {
		return errUnauthorizedClient
	}
	audience, err := s.grantAudience(client, form["resource"])
	if err != nil {
		return err
	}
	granted, err := grantScope(client.Metadata.Scope, form.Get("scope"))
	if err != nil {
		return err
	}
	return s.issue(w, r, client, audience, granted)
}

// limit counts the call of a client that is registered with a rate, whatever comes of it. Only here is a third
// round trip, and only for such a client.
func (s *Server) limit(ctx context.Context, client *store.Client) error {
	rate := client.Metadata.RateLimit
	if rate == (store.Rate{}) {
		return nil
	}
	over, retryAfter, err := s.store.CountCall(ctx, client.ID, rate)
	if over {
		refused := web.TooManyRequests(retryAfter)
		refused.Description = "The client's rate limit of " + rate.String() + " is used up; try again later"
		return refused
	}
	return err
}

// issue lets go-oauth2's manager do the grant that was decided, and answers with the token.
func (s *Server) issue(w http.ResponseWriter, r *http.Request, client *store.Client, audience []string, scope string) error {
	ctx := r.Context()
	if err := s.generation(ctx, client); err != nil {
		return err
	}
	now, ttl := s.now(), s.lifetime(client)
	g := &grant{client: client, claims: bearer.Claims{
		Issuer: s.config.Issuer, Subject: client.ID, ClientID: client.ID,
		Audience: audience, Scope: scope,
		IssuedAt: now.Unix(), Expires: now.Unix() + int64(ttl/time.Second),
	}}
	issued, err := s.manager.GenerateAccessToken(withGrant(ctx, g), oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{
		ClientID: client.ID, Scope: scope, AccessTokenExp: ttl, Request: r,
	})
	if err != nil {
		return err
	}
	s.metrics.TokenIssued(client.Metadata.TokenFormat)
	s.store.Count(store.TokensIssued)
	return web.JSON(w, http.StatusOK, tokenResponse{
		AccessToken: issued.GetAccess(), TokenType: "bearer", ExpiresIn: int64(ttl / time.Second), Scope: scope,
	})
}

// generation draws the client's generation if an end took the last one and could not draw the next.
func (s *Server) generation(ctx context.Context, client *store.Client) error {
	if client.Generation != (store.Generation{}) {
		return nil
	}
	var err error
	client.Generation, err = s.store.StartGeneration(ctx, client.ID)
	return err
}

// lifetime is how long a token of the client lives, in whole seconds.
func (s *Server) lifetime(client *store.Client) time.Duration {
	if ttl := client.Metadata.TokenTTL; ttl > 0 {
		return min(ttl, s.config.TokenTTLMax)
	}
	return s.config.TokenTTL
}

// grantAudience is the aud of a token: the resources that were asked for (RFC 8707 §2), which must be
// registered, or the client's default.
func (s *Server) grantAudience(client *store.Client, resources []string) ([]string, error) {
	registered := client.Metadata.Audience
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
