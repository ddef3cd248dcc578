package server

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/api"
	"github.com/mintkeep/mintkeep/server/oauth"
	"github.com/mintkeep/mintkeep/server/web"
)

// routes is the whole HTTP surface. Where not every caller may enter, the line says who may.
func (s *Server) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := router{gin.New(), s.adapter}
	r.RedirectTrailingSlash = false // a redirected POST would send its credentials again
	r.HandleMethodNotAllowed = true
	r.UseEscapedPath = true // a route's own segments are matched as they were sent; a parameter is decoded, once

	s.oauthRoutes(r)
	s.apiRoutes(r)
	s.adminRoutes(r)
	s.pageRoutes(pageRouter{r.Engine, s})
	r.always("/healthz", s.healthz)
	r.always("/readyz", s.readyz)
	r.always("/openapi.yaml", openAPI)

	r.NoRoute(s.adapter.Always(func(http.ResponseWriter, *http.Request) error {
		return web.NotFound("Page")
	}))
	r.NoMethod(s.adapter.Always(wrongMethod))
	return r.Engine
}

// router adds routes that answer in JSON.
type router struct {
	*gin.Engine
	adapter *web.Adapter
}

func (r router) on(method, path string, body web.Body, h web.Handler) {
	r.Handle(method, path, r.adapter.Handle(body, h))
}

func (r router) get(path string, h web.Handler) { r.both(path, r.adapter.Handle(web.NoBody, h)) }

// always is get without admission control.
func (r router) always(path string, h web.Handler) { r.both(path, r.adapter.Always(h)) }

func (r router) both(path string, h gin.HandlerFunc) {
	r.GET(path, h)
	r.HEAD(path, h)
}

func (s *Server) oauthRoutes(r router) {
	// These authenticate the client themselves (RFC 6749 §2.3).
	r.on("POST", oauth.TokenPath, web.FormBody, oauth.NotCrossSite(s.oauth.Token))
	r.on("POST", oauth.IntrospectPath, web.FormBody, oauth.NotCrossSite(s.oauth.Introspect))
	r.on("POST", oauth.RevokePath, web.FormBody, oauth.NotCrossSite(s.oauth.Revoke))
	if s.options.Store.Feed() != nil {
		r.POST(oauth.ChangesPath, r.adapter.Waiting(web.JSONBody, oauth.NotCrossSite(s.oauth.Changes)))
	}
	r.on("POST", oauth.ConfirmPath, web.JSONBody, oauth.NotCrossSite(s.oauth.Confirm))
	if s.options.Config.MetadataCompat {
		r.always(oauth.AuthorizePath, s.oauth.Authorize)
		r.POST(oauth.AuthorizePath, r.adapter.Always(s.oauth.Authorize))
	}
	r.always(oauth.MetadataPath, s.oauth.Metadata)
	r.always(oauth.OpenIDMetadataPath, s.oauth.Metadata)
	r.always(oauth.JWKSPath, s.oauth.JWKS)
}

func (s *Server) apiRoutes(r router) {
	anyone, owner := s.api.Anyone, s.api.KeyOwner
	r.always(api.MetadataPath, s.api.Metadata)
	r.get(api.MePath, anyone(s.api.Me))
	r.get(api.KeysPath, owner(s.api.ListKeys))
	r.on("POST", api.KeysPath, web.JSONBody, owner(s.api.CreateKey))
	r.get(api.KeysPath+"/:id", owner(s.api.ShowKey))
	r.on("DELETE", api.KeysPath+"/:id", web.NoBody, owner(s.api.RevokeKey))
	r.on("POST", api.KeysPath+"/:id/rotate", web.MaybeJSON, owner(s.api.RotateKey))
}

func (s *Server) adminRoutes(r router) {
	admin := s.adminOnly
	r.on("POST", "/admin/clients", web.JSONBody, admin(s.admin.CreateClient))
	r.get("/admin/clients", admin(s.admin.ListClients))
	r.get("/admin/clients/:id", admin(s.admin.ShowClient))
	r.on("PATCH", "/admin/clients/:id", web.MergePatch, admin(s.admin.PatchClient))
	r.on("DELETE", "/admin/clients/:id", web.NoBody, admin(s.admin.DeleteClient))
	r.get("/admin/clients/:id/secrets", admin(s.admin.ListSecrets))
	r.on("POST", "/admin/clients/:id/secrets", web.MaybeJSON, admin(s.admin.RotateSecret))
	r.get("/admin/clients/:id/secrets/:secret_id", admin(s.admin.ShowSecret))
	r.on("DELETE", "/admin/clients/:id/secrets/:secret_id", web.NoBody, admin(s.admin.RevokeSecret))
	r.on("POST", "/admin/clients/:id/revoke-tokens", web.NoBody, admin(s.admin.RevokeTokens))
	r.on("POST", "/admin/clients/:id/refresh-keys", web.NoBody, admin(s.admin.RefreshKeys))
	r.on("POST", "/admin/users", web.JSONBody, admin(s.admin.CreateUser))
	r.get("/admin/users", admin(s.admin.ListUsers))
	r.get("/admin/users/:id", admin(s.admin.ShowUser))
	r.on("PATCH", "/admin/users/:id", web.MergePatch, admin(s.admin.PatchUser))
	r.on("DELETE", "/admin/users/:id", web.NoBody, admin(s.admin.DeleteUser))
	r.on("POST", "/admin/users/:id/invite", web.MaybeJSON, admin(s.admin.InviteUser))
	r.on("POST", "/admin/users/:id/keys", web.JSONBody, admin(s.admin.CreateKey))
	r.get("/admin/keys", admin(s.admin.ListKeys))
	r.get("/admin/keys/:id", admin(s.admin.ShowKey))
	r.on("DELETE", "/admin/keys/:id", web.NoBody, admin(s.admin.RevokeKey))
	r.on("POST", "/admin/keys/:id/rotate", web.MaybeJSON, admin(s.admin.RotateKey))
	r.on("POST", "/admin/keys/report", web.JSONBody, admin(s.admin.ReportLeaks))
	r.get("/admin/stats", admin(s.admin.Stats))
	r.get("/admin/signing-keys", admin(s.admin.ListSigningKeys))
	r.on("POST", "/admin/signing-keys/rotate", web.MaybeJSON, admin(s.admin.RotateSigningKey))
	r.get("/admin/guards", admin(s.admin.ListGuards))
	r.on("POST", "/admin/guards/probe", web.NoBody, admin(s.admin.ProbeGuards))
	r.get("/admin/guards/probe/:id", admin(s.admin.ShowProbe))
	r.get("/admin/audit", admin(s.admin.ListEvents))
}

// pageRouter adds routes that answer with a page.
type pageRouter struct {
	*gin.Engine
	s *Server
}

func (r pageRouter) page(method, path string, body web.Body, h web.Handler) {
	r.Handle(method, path, r.s.adapter.Page(body, h, r.s.pages.Refuse))
}

func (r pageRouter) see(path string, h web.Handler) {
	r.page("GET", path, web.NoBody, h)
	r.page("HEAD", path, web.NoBody, h)
}

// confirm is for a dangerous change: GET asks, with a form that is a POST to the same path.
func (r pageRouter) confirm(path string, h web.Handler) {
	r.see(path, h)
	r.page("POST", path, web.FormBody, h)
}

// pageRoutes are the pages of the dashboard.
func (s *Server) pageRoutes(r pageRouter) {
	static := s.adapter.AlwaysPage(s.pages.Static, s.pages.Refuse)
	r.GET("/static/:name", static)
	r.HEAD("/static/:name", static)

	// Every caller sees these.
	r.see("/docs", s.pages.Docs)
	r.see("/login", s.pages.LoginPage)
	r.page("POST", "/login", web.FormBody, s.pages.Login)
	r.see("/invite/:code", s.pages.InvitePage)
	r.page("POST", "/invite/:code", web.FormBody, s.pages.Redeem)

	user := s.pages.SignedIn
	r.see("/", user(s.pages.Root))
	r.page("POST", "/logout", web.FormBody, user(s.pages.Logout))
	r.see("/settings", user(s.pages.Settings))
	r.see("/settings/keys/new", user(s.pages.NewKeyPage))
	r.page("POST", "/settings/keys", web.FormBody, user(s.pages.CreateKey))
	r.confirm("/settings/keys/revoke", user(s.pages.RevokeKeys))
	r.confirm("/settings/keys/revoke-all", user(s.pages.RevokeAllKeys))
	r.see("/settings/keys/:id", user(s.pages.KeyPage))
	r.page("POST", "/settings/keys/:id/rename", web.FormBody, user(s.pages.RenameKey))
	r.page("POST", "/settings/keys/:id/rotate", web.FormBody, user(s.pages.RotateKey))
	r.confirm("/settings/keys/:id/revoke", user(s.pages.RevokeKey))
	r.see("/settings/profile", user(s.pages.Profile))
	r.page("POST", "/settings/profile", web.FormBody, user(s.pages.SaveName))
	r.page("POST", "/settings/password", web.FormBody, user(s.pages.ChangePassword))
	r.page("POST", "/settings/sessions/end", web.FormBody, user(s.pages.RevokeSession))
	r.confirm("/settings/sessions/revoke-all", user(s.pages.RevokeSessions))
	s.operatorRoutes(r)
}

// operatorRoutes are the pages for operators.
func (s *Server) operatorRoutes(r pageRouter) {
	operator := s.pages.OperatorOnly
	r.see("/operator", operator(s.pages.Overview))
	r.see("/operator/clients", operator(s.pages.Clients))
	r.see("/operator/clients/new", operator(s.pages.NewClientPage))
	r.page("POST", "/operator/clients", web.FormBody, operator(s.pages.RegisterClient))
	r.see("/operator/clients/:id", operator(s.pages.ClientPage))
	r.page("POST", "/operator/clients/:id", web.FormBody, operator(s.pages.ChangeClient))
	r.page("POST", "/operator/clients/:id/secrets", web.FormBody, operator(s.pages.RotateSecret))
	r.confirm("/operator/clients/:id/secrets/:secret_id/revoke", operator(s.pages.RevokeSecret))
	r.see("/operator/clients/:id/keys", operator(s.pages.ClientKeysPage))
	r.page("POST", "/operator/clients/:id/keys", web.FormBody, operator(s.pages.SaveClientKeys))
	r.confirm("/operator/clients/:id/keys/:thumbprint/remove", operator(s.pages.RemoveClientKey))
	r.page("POST", "/operator/clients/:id/refresh-keys", web.FormBody, operator(s.pages.RefreshClientKeys))
	r.confirm("/operator/clients/:id/disable", operator(s.pages.DisableClient))
	r.page("POST", "/operator/clients/:id/enable", web.FormBody, operator(s.pages.EnableClient))
	r.confirm("/operator/clients/:id/revoke-tokens", operator(s.pages.RevokeTokens))
	r.confirm("/operator/clients/:id/delete", operator(s.pages.DeleteClient))
	r.confirm("/operator/signing-keys/rotate", operator(s.pages.RotateSigningKeys))
	r.see("/operator/users", operator(s.pages.Users))
	r.page("POST", "/operator/users", web.FormBody, operator(s.pages.CreateUser))
	r.see("/operator/users/:id", operator(s.pages.UserPage))
	r.page("POST", "/operator/users/:id/invite", web.FormBody, operator(s.pages.InviteUser))
	r.confirm("/operator/users/:id/disable", operator(s.pages.DisableUser))
	r.page("POST", "/operator/users/:id/enable", web.FormBody, operator(s.pages.EnableUser))
	r.confirm("/operator/users/:id/promote", operator(s.pages.PromoteUser))
	r.confirm("/operator/users/:id/demote", operator(s.pages.DemoteUser))
	r.confirm("/operator/users/:id/delete", operator(s.pages.DeleteUser))
	r.see("/operator/keys", operator(s.pages.OperatorKeys))
	r.confirm("/operator/keys/revoke", operator(s.pages.OperatorRevokeKeys))
	r.see("/operator/keys/:id", operator(s.pages.OperatorKey))
	r.confirm("/operator/keys/:id/revoke", operator(s.pages.OperatorRevoke))
	r.see("/operator/guards", operator(s.pages.Guards))
	r.see("/operator/audit", operator(s.pages.Audit))
	r.see("/operator/audit.jsonl", operator(s.pages.DownloadAudit))
}

// wrongMethod answers what the router knows by another method; it has set Allow. OPTIONS is a question
// that this answers (RFC 9110 §9.3.7).
func wrongMethod(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodOptions {
		return web.NoContent(w)
	}
	return &web.Error{
		Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
		Description: "Method not allowed; see the Allow header",
	}
}

// OpenAPI is the description of all the routes, written manually and held to them by the tests.
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
