package server

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/oauth"
	"github.com/mintkeep/mintkeep/server/web"
)

// routes is the whole HTTP surface.
func (s *Server) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.RedirectTrailingSlash = false // a redirected POST would send its credentials again
	r.HandleMethodNotAllowed = true

	get := func(path string, h web.Handler) {
		g := s.kit.Handle(web.NoBody, h)
		r.GET(path, g)
		r.HEAD(path, g)
	}
	on := func(method, path string, body web.Body, h web.Handler) { r.Handle(method, path, s.kit.Handle(body, h)) }

	on("POST", oauth.TokenPath, web.FormBody, s.oauth.Token)
	on("POST", oauth.IntrospectPath, web.FormBody, s.oauth.Introspect)
	on("POST", oauth.RevokePath, web.FormBody, s.oauth.Revoke)
	get(oauth.MetadataPath, s.oauth.Metadata)
	get(oauth.JWKSPath, s.oauth.JWKS)

	on("POST", "/admin/clients", web.JSONBody, s.admin.CreateClient)
	get("/admin/clients", s.admin.ListClients)
	get("/admin/clients/:id", s.admin.ShowClient)
	on("PATCH", "/admin/clients/:id", web.MergePatch, s.admin.PatchClient)
	on("DELETE", "/admin/clients/:id", web.NoBody, s.admin.DeleteClient)
	get("/admin/clients/:id/secrets", s.admin.ListSecrets)
	on("POST", "/admin/clients/:id/secrets", web.MaybeJSON, s.admin.RotateSecret)
	get("/admin/clients/:id/secrets/:secret_id", s.admin.ShowSecret)
	on("DELETE", "/admin/clients/:id/secrets/:secret_id", web.NoBody, s.admin.EndSecret)
	on("POST", "/admin/clients/:id/revoke-tokens", web.NoBody, s.admin.RevokeTokens)
	get("/admin/signing-keys", s.admin.SigningKeys)
	on("POST", "/admin/signing-keys/rotate", web.MaybeJSON, s.admin.RotateSigningKey)
	get("/admin/audit", s.admin.Audit)

	get("/healthz", s.healthz)
	get("/readyz", s.readyz)
	get("/openapi.yaml", openAPI)

	r.NoRoute(s.kit.Handle(web.NoBody, func(http.ResponseWriter, *http.Request) error {
		return web.NotFound("Page")
	}))
	r.NoMethod(s.kit.Handle(web.NoBody, wrongMethod))
	return r
}

// wrongMethod answers what the router knows by another method; it has set Allow. OPTIONS is a question
// that this answers (RFC 9110 §9.3.7).
func wrongMethod(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodOptions {
		return web.NoContent(w)
	}
	return &web.Error{
		Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
		Description: "This route does not take this method; Allow names those that it takes",
	}
}

// OpenAPI is the description of all the routes, written by hand and held to them by the tests.
//
//go:embed openapi.yaml
var OpenAPI []byte

func openAPI(w http.ResponseWriter, _ *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "application/yaml")
	h.Set("Cache-Control", "public, max-age=300")
	h.Del("Pragma")
	_, _ = w.Write(OpenAPI)
	return nil
}
