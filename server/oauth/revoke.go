package oauth

import (
	"net/http"
)

// Revoke answers POST /oauth/revoke (RFC 7009). A token that is unknown, expired or revoked already is
// a success (§2.2): what the client wants is so. token_type_hint needs no look: there is one kind.
func (s *Server) Revoke(w http.ResponseWriter, r *http.Request) error {
	asked, err := s.inspect(r)
	if err != nil {
		return err
	}
	if asked.record != nil {
		if claims := s.issued(asked.token, asked.record); claims != nil && claims.ClientID != asked.caller.ID {
			return errForeignToken
		}
		if err := s.store.EndToken(r.Context(), asked.token.digest); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
