package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/scope"
)

func adminDoor(v *bearer.Verifier) *bearer.Door {
	return &bearer.Door{
		Verifier: v, Challenge: `Bearer realm="mintkeep"`, Refused: "admin.refused",
		Needed: "Authorization: Bearer with the admin token, or with an access token or an operator's API key " +
			"that has the scope mintkeep:admin, is needed",
		Guessable: "admin token", // no client has this name: a client's id has no space
	}
}

// authorizeAdmin says who asks at /admin: the admin token, or whoever holds an access token or an API key with
// the scope mintkeep:admin (RFC 6750 §3).
func (s *Server) authorizeAdmin(r *http.Request) (keys.Maker, error) {
	presented, err := s.gate.Credential(r)
	if err != nil {
		return keys.Maker{}, err
	}
	if s.isAdminToken(presented) {
		return keys.Maker{Actor: "admin-token"}, nil
	}
	holder, err := s.gate.Admit(r, presented, scope.Admin)
	if err != nil {
		return keys.Maker{}, err
	}
	return keys.MakerOf(holder), nil
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
