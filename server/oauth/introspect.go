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
	asked, err := s.inspect(r)
	if err != nil {
		return err
	}
	caller := asked.caller
	claims, err := s.active(r.Context(), asked.token, asked.record, caller)
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

// inspection is a token that a client asks about: who asks, what was shown, and the record under its
// digest, or nil.
type inspection struct {
	caller *store.Client
	token  shown
	record *store.TokenRecord
}

// inspect authenticates the client of a request about a token and reads the token's record in the same
// round trip. What cannot be a token of ours is not looked up.
func (s *Server) inspect(r *http.Request) (asked inspection, err error) {
	form, err := web.Form(r)
	if err != nil {
		return asked, err
	}
	read := s.store.Client
	token, plausible := s.look(form.Get("token"))
	if plausible {
		read = func(ctx context.Context, id string) (c *store.Client, err error) {
			c, asked.record, err = s.store.ClientAndToken(ctx, id, token.digest)
			return c, err
		}
	}
	asked.token = token
	if asked.caller, err = s.authenticateBy(r, form, read); err != nil {
		return asked, err
	}
	if !form.Has("token") {
		return asked, web.InvalidRequest("token is missing")
	}
	return asked, nil
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
