package oauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// introspection is RFC 7662 §2.2 for an active token. An inactive one has nothing but active.
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope"`
	ClientID  string   `json:"client_id"`
	TokenType string   `json:"token_type"`
	Expires   int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Issuer    string   `json:"iss"`
	ID        string   `json:"jti"`
}

var inactive = struct {
	Active bool `json:"active"`
}{}

// Introspect answers POST /oauth/introspect (RFC 7662).
func (s *Server) Introspect(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	token := form.Get("token")
	presented, plausible := s.look(token)
	var record *store.TokenRecord
	caller, err := s.authenticateBy(r, form, s.alongside(presented, plausible, &record))
	if err != nil {
		return err
	}
	if token == "" {
		return web.InvalidRequest("token is missing")
	}
	claims, err := s.active(r.Context(), presented, record, caller)
	if err != nil {
		return err
	}
	// RFC 7662 §4: who is not entitled to know gets the answer for a token that is not there.
	if claims != nil && claims.ClientID != caller.ID && !HasScope(caller.Metadata.Scope, ScopeIntrospect) {
		claims = nil
	}
	s.metrics.Introspected(claims != nil)
	if claims == nil {
		return web.JSON(w, http.StatusOK, inactive)
	}
	return web.JSON(w, http.StatusOK, introspection{
		Active: true, Scope: claims.Scope, ClientID: claims.ClientID, TokenType: "bearer",
		Expires: claims.Expires, IssuedAt: claims.IssuedAt, Subject: claims.Subject,
		Audience: claims.Audience, Issuer: claims.Issuer, ID: claims.ID,
	})
}

// alongside reads the calling client and the token's record in one round trip. What cannot be a token
// of ours is not looked up.
func (s *Server) alongside(t shown, plausible bool, record **store.TokenRecord) func(context.Context, string) (*store.Client, error) {
	if !plausible {
		return s.store.Client
	}
	return func(ctx context.Context, id string) (*store.Client, error) {
		client, found, err := s.store.ClientAndToken(ctx, id, t.digest)
		*record = found
		return client, err
	}
}

// active returns what a token says if it is live: its record is there, it has not expired, and its
// client is enabled and in the generation that the token was issued under. Else nil. known is a client
// that was read already, which spares a round trip when the token is its own.
func (s *Server) active(ctx context.Context, t shown, record *store.TokenRecord, known *store.Client) (*claims, error) {
	if record == nil {
		return nil, nil
	}
	claims := s.issued(t, record)
	if claims == nil {
		return nil, nil
	}
	owner := known
	if owner == nil || owner.ID != claims.ClientID {
		var err error
		owner, err = s.store.Client(ctx, claims.ClientID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil, nil
		case err != nil:
			return nil, err
		}
	}
	if !owner.Enabled || !record.Generation.Matches(owner.Generation) {
		return nil, nil
	}
	return claims, nil
}
