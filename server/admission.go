package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"

	"github.com/mintkeep/mintkeep/server/oauth"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const adminRealm = `Bearer realm="mintkeep"`

// authorizeAdmin says who asks at /admin: the admin token, or a client whose access token has the scope
// mintkeep:admin (RFC 6750 §3).
func (s *Server) authorizeAdmin(r *http.Request) (actor string, err error) {
	token, err := oauth.BearerToken(r)
	if err != nil {
		return "", err
	}
	if token == "" {
		return "", &web.Error{
			Status: http.StatusUnauthorized, Code: "invalid_token", Challenge: adminRealm,
			Description: "Authorization: Bearer with the admin token, or an access token with the scope mintkeep:admin, is needed",
		}
	}
	if s.isAdminToken(token) {
		return "admin-token", nil
	}
	client, err := s.oauth.TokenClient(r.Context(), token, oauth.ScopeAdmin)
	switch {
	case err == nil:
		web.Note(r.Context(), "client_id", client.ID)
		return "client:" + client.ID, nil
	case errors.Is(err, oauth.ErrScope):
		web.AuditRefusal(r, s.options.Store, "", "admin.refused")
		return "", &web.Error{
			Status: http.StatusForbidden, Code: "insufficient_scope",
			Description: "The access token lacks the scope mintkeep:admin",
			Challenge:   adminRealm + `, error="insufficient_scope", scope="mintkeep:admin"`,
		}
	case errors.Is(err, store.ErrNotFound):
		return "", s.refuseAdmin(r)
	}
	return "", err
}

// isAdminToken compares digests, in constant time. Without a configured token there is none to match.
func (s *Server) isAdminToken(token string) bool {
	want := s.options.Config.AdminToken.Reveal()
	if want == "" {
		return false
	}
	got, wanted := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(got[:], wanted[:]) == 1
}

func (s *Server) refuseAdmin(r *http.Request) error {
	// No client has this name: a client's id has no space.
	over, retryAfter := s.options.Store.CountFailure(r.Context(), "admin token", web.Address(r))
	if over {
		return web.TooManyRequests(retryAfter)
	}
	web.AuditRefusal(r, s.options.Store, "", "admin.refused")
	return &web.Error{
		Status: http.StatusUnauthorized, Code: "invalid_token", Challenge: adminRealm + `, error="invalid_token"`,
		Description: "The credential is unknown, expired, revoked or not valid here",
	}
}
