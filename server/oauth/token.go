package oauth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// tokenResponse is RFC 6749 §5.1, without a refresh token (§4.4.3), in the documented order.
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// Token answers POST /oauth/token (RFC 6749 §4.4).
func (s *Server) Token(w http.ResponseWriter, r *http.Request) error {
	clientID, err := s.token(w, r)
	if err != nil {
		code, reason := web.Code(err), ""
		if failed := (*failedAuthentication)(nil); errors.As(err, &failed) {
			clientID, reason = failed.clientID, failed.reason
		}
		s.metrics.TokenRefused(code)
		s.store.CountRejected(clientID, code, reason)
	}
	return err
}

// token returns the id of the client, if that was authenticated.
func (s *Server) token(w http.ResponseWriter, r *http.Request) (clientID string, err error) {
	form, err := web.Form(r, "resource", "audience")
	if err != nil {
		return "", err
	}
	client, err := s.authenticate(r, form)
	if err != nil {
		return "", err
	}
	if err := s.limit(r.Context(), client); err != nil {
		return client.ID, err
	}
	g, err := s.decide(r.Context(), client.Client, form)
	if err != nil {
		s.unlimit(r.Context(), client)
		return client.ID, err
	}
	g.used = client.used // only now: a rejected request uses nothing
	err = s.issue(w, r, g)
	if errors.Is(err, store.ErrReplayed) {
		s.unlimit(r.Context(), client)
	}
	return client.ID, s.used(r, client, err)
}

// limit counts the call of a client that is registered with a rate limit, granted or not. This is a third round trip,
// for such a client alone.
func (s *Server) limit(ctx context.Context, client caller) error {
	rate := client.Metadata.RateLimit
	if rate == (store.Rate{}) {
		return nil
	}
	over, retryAfter, err := s.store.CountCall(ctx, client.ID, rate)
	if over {
		s.unlimit(ctx, client)
		rejected := web.TooManyRequests(retryAfter)
		rejected.Description = "The client's rate limit of " + rate.String() + " is exceeded; try again later"
		return rejected
	}
	return err
}

// unlimit takes back the count of a call that has used no assertion, although it has presented one: it may be a replay, which
// is not the client's call.
func (s *Server) unlimit(ctx context.Context, client caller) {
	if rate := client.Metadata.RateLimit; rate != (store.Rate{}) && client.used != nil {
		s.store.UncountCall(ctx, client.ID, rate)
	}
}

// issue has go-oauth2's manager do the decided grant, and answers with the token.
func (s *Server) issue(w http.ResponseWriter, r *http.Request, g *grant) error {
	ctx := r.Context()
	if err := s.generation(ctx, g.client); err != nil {
		return err
	}
	now, ttl := s.now(), s.lifetime(g.client)
	g.claims.Issuer, g.claims.ClientID = s.config.Issuer, g.client.ID
	g.claims.IssuedAt, g.claims.Expires = now.Unix(), now.Unix()+int64(ttl/time.Second)
	issued, err := s.manager.GenerateAccessToken(withGrant(ctx, g), oauth2.GrantType(g.by.name()), &oauth2.TokenGenerateRequest{
		ClientID: g.client.ID, Scope: g.claims.Scope, AccessTokenExp: ttl, Request: r,
	})
	if err != nil {
		return err
	}
	s.metrics.TokenIssued(g.client.Metadata.TokenFormat)
	s.store.CountIssued(g.client.ID)
	return web.JSON(w, http.StatusOK, tokenResponse{
		AccessToken: issued.GetAccess(), TokenType: "bearer", ExpiresIn: int64(ttl / time.Second), Scope: g.claims.Scope,
	})
}

// generation draws the client's generation if a revocation deleted the last one and could not draw the next.
func (s *Server) generation(ctx context.Context, client *store.Client) error {
	if client.Generation != (store.Generation{}) {
		return nil
	}
	var err error
	client.Generation, err = s.store.StartGeneration(ctx, client)
	if errors.Is(err, store.ErrNotFound) { // deleted or disabled since it was authenticated
		return errInvalidClient
	}
	return err
}

// lifetime is that of a token of the client, in whole seconds.
func (s *Server) lifetime(client *store.Client) time.Duration {
	if ttl := client.Metadata.TokenTTL; ttl > 0 {
		return min(ttl, s.config.TokenTTLMax)
	}
	return s.config.TokenTTL
}
