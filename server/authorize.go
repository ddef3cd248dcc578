package server

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/admin"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
)

// adminResource is /admin as a protected resource.
func adminResource(v *bearer.Verifier, log *audit.Log) *bearer.ProtectedResource {
	return &bearer.ProtectedResource{
		Verifier: v, Audit: log, Challenge: `Bearer realm="mintkeep"`, Rejection: audit.AdminRejected,
		Needed: "Authorization: Bearer with the admin token, or with an access token or an operator's API key " +
			"that has the scope mintkeep:admin, is needed",
		FailureBucket: "admin token", // no client has this name: a client's id has no space
	}
}

// adminOnly guards a handler for operators. A change that is only to be checked (dry_run) is rejected: the handler would make it.
func (s *Server) adminOnly(h admin.Handler) web.Handler {
	return s.checkable(func(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.URL.Query().Has("dry_run") {
			return web.InvalidRequest("dry_run is not supported here")
		}
		return h(w, r, by)
	})
}

// checkable is adminOnly for a handler that knows dry_run.
func (s *Server) checkable(h admin.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		by, err := s.authorizeAdmin(r)
		if err != nil {
			return err
		}
		web.Note(r.Context(), "actor", by.Name)
		if by.Owner, by.File, err = web.ReadDeclaration(r); err != nil {
			return err
		}
		return h(w, r, by)
	}
}

// authorizeAdmin says who asks at /admin: an admin token, or the principal of an access token or an API key with the
// scope mintkeep:admin (RFC 6750 §3).
func (s *Server) authorizeAdmin(r *http.Request) (audit.Actor, error) {
	presented, err := s.adminResource.Credential(r)
	if err != nil {
		return audit.Actor{}, err
	}
	if by, ok := s.adminTokens.actorOf(r.Context(), presented); ok {
		return by, nil
	}
	who, err := s.adminResource.Admit(r, presented, scope.Admin)
	if err != nil {
		return audit.Actor{}, err
	}
	return who.Actor(r.Context()), nil
}
