package server

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/api"
	"github.com/mintkeep/mintkeep/server/dashboard"
	"github.com/mintkeep/mintkeep/server/declare"
	"github.com/mintkeep/mintkeep/server/oauth"
	"github.com/mintkeep/mintkeep/server/web"
)

// publicRoutes are what the public listener serves. Where not every caller may enter, the line says who may.
func (s *Server) publicRoutes(on *site) {
	r := newRouter(on)
	s.oauthRoutes(r)
	s.apiRoutes(r)
	s.userRoutes(pageRouter{r})
	if !s.options.Config.SeparateAdmin() {
		s.adminRoutes(r)
		s.operatorRoutes(pageRouter{r})
	}
	s.commonRoutes(r)
}

// privateRoutes are what the listener for operators serves.
func (s *Server) privateRoutes(on *site) {
	r := newRouter(on)
	s.adminRoutes(r)
	s.operatorRoutes(pageRouter{r})
	s.commonRoutes(r)
}

// commonRoutes are on both listeners.
func (s *Server) commonRoutes(r router) {
	s.signInRoutes(pageRouter{r})
	r.always("/healthz", s.healthz)
	r.always("/readyz", s.readyz)
	r.always("/openapi.yaml", openAPI)
	r.always(declare.SchemaPath, applySchema)
}

// router adds routes that answer in JSON.
type router struct {
	*gin.Engine
	adapter *web.Adapter
	pages   *dashboard.Dashboard
}

func newRouter(on *site) router {
	r := router{on.engine, on.adapter, on.pages}
	r.RedirectTrailingSlash = false // a redirected POST would send its credentials again
	r.HandleMethodNotAllowed = true
	r.UseEscapedPath = true // a route's own segments are matched as they were sent; a parameter is decoded, once
	r.NoRoute(on.adapter.Always(func(http.ResponseWriter, *http.Request) error {
		return web.NotFound("Page")
	}))
	r.NoMethod(on.adapter.Always(wrongMethod))
	return r
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
	r.on("PATCH", api.KeysPath+"/:id", web.MergePatch, owner(s.api.PatchKey))
	r.on("DELETE", api.KeysPath+"/:id", web.NoBody, owner(s.api.RevokeKey))
	r.on("POST", api.KeysPath+"/revoke", web.JSONBody, owner(s.api.RevokeKeys))
	r.on("POST", api.KeysPath+"/:id/rotate", web.MaybeJSON, owner(s.api.RotateKey))
}

func (s *Server) adminRoutes(r router) {
	admin := s.adminOnly
	r.on("POST", "/admin/clients", web.JSONBody, s.checkable(s.admin.CreateClient))
	r.get("/admin/clients", admin(s.admin.ListClients))
	r.get("/admin/clients/:id", admin(s.admin.ShowClient))
	r.on("PUT", "/admin/clients/:id", web.JSONBody, s.checkable(s.admin.ReplaceClient))
	r.on("PATCH", "/admin/clients/:id", web.MergePatch, s.checkable(s.admin.PatchClient))
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
	r.on("PATCH", "/admin/keys/:id", web.MergePatch, admin(s.admin.PatchKey))
	r.on("DELETE", "/admin/keys/:id", web.NoBody, admin(s.admin.RevokeKey))
	r.on("POST", "/admin/keys/:id/rotate", web.MaybeJSON, admin(s.admin.RotateKey))
	r.on("POST", "/admin/keys/revoke", web.JSONBody, admin(s.admin.RevokeKeys))
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
type pageRouter struct{ router }

func (r pageRouter) page(method, path string, body web.Body, h web.Handler) {
	r.Handle(method, path, r.adapter.Page(body, h, r.pages.Refuse))
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

// signInRoutes are what every page needs.
func (*Server) signInRoutes(r pageRouter) {
	r.both("/static/:name", r.adapter.AlwaysPage(r.pages.Static, r.pages.Refuse))
	r.see("/login", r.pages.LoginPage)
	r.page("POST", "/login", web.FormBody, r.pages.Login)
	r.see("/", r.pages.SignedIn(r.pages.Root))
	r.page("POST", "/logout", web.FormBody, r.pages.SignedIn(r.pages.Logout))
}

// userRoutes are the pages for every user, and those for all callers.
func (*Server) userRoutes(r pageRouter) {
	r.see("/docs", r.pages.Docs)
	r.see("/invite/:code", r.pages.InvitePage)
	r.page("POST", "/invite/:code", web.FormBody, r.pages.Redeem)

	user := r.pages.SignedIn
	r.see("/settings", user(r.pages.Settings))
	r.see("/settings/keys/new", user(r.pages.NewKeyPage))
	r.page("POST", "/settings/keys", web.FormBody, user(r.pages.CreateKey))
	r.confirm("/settings/keys/revoke", user(r.pages.RevokeKeys))
	r.confirm("/settings/keys/revoke-all", user(r.pages.RevokeAllKeys))
	r.see("/settings/keys/:id", user(r.pages.KeyPage))
	r.confirm("/settings/keys/:id/edit", user(r.pages.EditKey))
	r.page("POST", "/settings/keys/:id/rotate", web.FormBody, user(r.pages.RotateKey))
	r.confirm("/settings/keys/:id/disable", user(r.pages.DisableKey))
	r.confirm("/settings/keys/:id/enable", user(r.pages.EnableKey))
	r.confirm("/settings/keys/:id/revoke", user(r.pages.RevokeKey))
	r.see("/settings/profile", user(r.pages.Profile))
	r.page("POST", "/settings/profile", web.FormBody, user(r.pages.SaveName))
	r.page("POST", "/settings/password", web.FormBody, user(r.pages.ChangePassword))
	r.page("POST", "/settings/sessions/end", web.FormBody, user(r.pages.RevokeSession))
	r.confirm("/settings/sessions/revoke-all", user(r.pages.RevokeSessions))
}

// operatorRoutes are the pages for operators.
func (*Server) operatorRoutes(r pageRouter) {
	operator := r.pages.OperatorOnly
	r.see("/operator", operator(r.pages.Overview))
	r.see("/operator/clients", operator(r.pages.Clients))
	r.see("/operator/register-client", operator(r.pages.NewClientPage))
	r.page("POST", "/operator/clients", web.FormBody, operator(r.pages.RegisterClient))
	r.see("/operator/clients/:id", operator(r.pages.ClientPage))
	r.page("POST", "/operator/clients/:id", web.FormBody, operator(r.pages.ChangeClient))
	r.page("POST", "/operator/clients/:id/secrets", web.FormBody, operator(r.pages.RotateSecret))
	r.confirm("/operator/clients/:id/secrets/:secret_id/revoke", operator(r.pages.RevokeSecret))
	r.see("/operator/clients/:id/keys", operator(r.pages.ClientKeysPage))
	r.page("POST", "/operator/clients/:id/keys", web.FormBody, operator(r.pages.SaveClientKeys))
	r.confirm("/operator/clients/:id/keys/:thumbprint/remove", operator(r.pages.RemoveClientKey))
	r.page("POST", "/operator/clients/:id/refresh-keys", web.FormBody, operator(r.pages.RefreshClientKeys))
	r.confirm("/operator/clients/:id/disable", operator(r.pages.DisableClient))
	r.page("POST", "/operator/clients/:id/enable", web.FormBody, operator(r.pages.EnableClient))
	r.confirm("/operator/clients/:id/revoke-tokens", operator(r.pages.RevokeTokens))
	r.confirm("/operator/clients/:id/delete", operator(r.pages.DeleteClient))
	r.confirm("/operator/signing-keys/rotate", operator(r.pages.RotateSigningKeys))
	r.see("/operator/users", operator(r.pages.Users))
	r.page("POST", "/operator/users", web.FormBody, operator(r.pages.CreateUser))
	r.see("/operator/users/:id", operator(r.pages.UserPage))
	r.page("POST", "/operator/users/:id/invite", web.FormBody, operator(r.pages.InviteUser))
	r.confirm("/operator/users/:id/disable", operator(r.pages.DisableUser))
	r.page("POST", "/operator/users/:id/enable", web.FormBody, operator(r.pages.EnableUser))
	r.confirm("/operator/users/:id/promote", operator(r.pages.PromoteUser))
	r.confirm("/operator/users/:id/demote", operator(r.pages.DemoteUser))
	r.confirm("/operator/users/:id/delete", operator(r.pages.DeleteUser))
	r.see("/operator/keys", operator(r.pages.OperatorKeys))
	r.confirm("/operator/keys/revoke", operator(r.pages.OperatorRevokeKeys))
	r.see("/operator/keys/:id", operator(r.pages.OperatorKey))
	r.confirm("/operator/keys/:id/disable", operator(r.pages.OperatorDisable))
	r.confirm("/operator/keys/:id/enable", operator(r.pages.OperatorEnable))
	r.confirm("/operator/keys/:id/revoke", operator(r.pages.OperatorRevoke))
	r.see("/operator/guards", operator(r.pages.Guards))
	r.see("/operator/audit", operator(r.pages.Audit))
	r.see("/operator/audit.jsonl", operator(r.pages.DownloadAudit))
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
	return document(w, "application/yaml", OpenAPI)
}

// declarations is the JSON Schema of what "mintkeep apply" reads.
var declarations = declare.Schema()

func applySchema(w http.ResponseWriter, _ *http.Request) error {
	return document(w, "application/schema+json", declarations)
}

// document writes what is the same for all callers until the next version.
func document(w http.ResponseWriter, contentType string, text []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "public, max-age=300")
	h.Del("Pragma")
	_, _ = w.Write(text)
	return nil
}
