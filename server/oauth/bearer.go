package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// BearerToken takes the one credential of the Authorization header (RFC 6750 §2.1), or says that there is
// none, or that the header is not one.
func BearerToken(r *http.Request) (token string, err error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return "", web.InvalidRequest("The Authorization header stands more than once")
	}
	if len(headers) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	return strings.Trim(token, " "), nil
}

// TokenClient says whose live access token this is, if it may serve at a door of Mintkeep's own: its aud
// must have the issuer, its scope the one that the door asks for, and the client must still be registered
// for that. The error is store.ErrNotFound for a token that is not live here, and ErrScope for one that
// is, but not for this door.
func (s *Server) TokenClient(ctx context.Context, token, scope string) (*store.Client, error) {
	t, plausible := s.look(token)
	if !plausible {
		return nil, store.ErrNotFound
	}
	client, record, err := s.ownerAndRecord(ctx, t)
	if err != nil {
		return nil, err
	}
	claims, err := s.active(ctx, t, record, client)
	switch {
	case err != nil:
		return nil, err
	case claims == nil || client == nil || claims.ClientID != client.ID:
		return nil, store.ErrNotFound
	case !slices.Contains(claims.Audience, s.config.Issuer):
		return nil, store.ErrNotFound
	case !HasScope(claims.Scope, scope) || !HasScope(client.Metadata.Scope, scope):
		return nil, ErrScope
	}
	return client, nil
}

// ErrScope says that a token is live, and not for what it was shown for.
var ErrScope = errors.New("the token lacks the scope")

// ownerAndRecord reads a token's record and the client that it says it is of: one round trip for a JWT,
// which says so itself, two for an opaque token.
func (s *Server) ownerAndRecord(ctx context.Context, t shown) (*store.Client, *store.TokenRecord, error) {
	if t.claims != nil {
		return s.store.ClientAndToken(ctx, t.claims.ClientID, t.digest)
	}
	record, err := s.store.Token(ctx, t.digest)
	if err != nil {
		return nil, nil, err
	}
	claims := s.issued(t, record)
	if claims == nil {
		return nil, nil, store.ErrNotFound
	}
	client, err := s.store.Client(ctx, claims.ClientID)
	return client, record, err
}
