package oauth

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Revoke answers POST /oauth/revoke (RFC 7009). A token that is unknown, expired or revoked already is
// a success (§2.2): what the client wants is so. token_type_hint needs no look: there is one kind.
func (s *Server) Revoke(w http.ResponseWriter, r *http.Request) error {
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
	if record != nil {
		if claims := s.issued(presented, record); claims != nil && claims.ClientID != caller.ID {
			return errForeignToken
		}
		if err := s.store.EndToken(r.Context(), presented.digest); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
