package server

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/api"
	"github.com/mintkeep/mintkeep/server/oauth"
	"github.com/mintkeep/mintkeep/server/web"
)

// routes is the whole HTTP surface, with pageRoutes.
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
	always := func(path string, h web.Handler) {
		g := s.kit.Always(h)
		r.GET(path, g)
		r.HEAD(path, g)
	}
	on := func(method, path string, body web.Body, h web.Handler) { r.Handle(method, path, s.kit.Handle(body, h)) }

	on("POST", oauth.TokenPath, web.FormBody, s.oauth.Token)
	on("POST", oauth.IntrospectPath, web.FormBody, s.oauth.Introspect)
	on("POST", oauth.RevokePath, web.FormBody, s.oauth.Revoke)
	always(oauth.MetadataPath, s.oauth.Metadata)
	always(oauth.JWKSPath, s.oauth.JWKS)

	always(api.MetadataPath, s.api.Metadata)
	get(api.MePath, s.api.Me)
	get(api.KeysPath, s.api.ListKeys)
	on("POST", api.KeysPath, web.JSONBody, s.api.CreateKey)
	get(api.KeysPath+"/:id", s.api.ShowKey)
	on("DELETE", api.KeysPath+"/:id", web.NoBody, s.api.RevokeKey)
	on("POST", api.KeysPath+"/:id/rotate", web.MaybeJSON, s.api.RotateKey)

	on("POST", "/admin/clients", web.JSONBody, s.admin.CreateClient)
	get("/admin/clients", s.admin.ListClients)
	get("/admin/clients/:id", s.admin.ShowClient)
	on("PATCH", "/admin/clients/:id", web.MergePatch, s.admin.PatchClient)
	on("DELETE", "/admin/clients/:id", web.NoBody, s.admin.DeleteClient)
	get("/admin/clients/:id/secrets", s.admin.ListSecrets)
	on("POST", "/admin/clients/:id/secrets", web.MaybeJSON, s.admin.RotateSecret)
	get("/admin/clients/:id/secrets/:secret_id", s.admin.ShowSecret)
	on("DELETE", "/admin/clients/:id/secrets/:secret_id", web.NoBody, s.admin.RevokeSecret)
	on("POST", "/admin/clients/:id/revoke-tokens", web.NoBody, s.admin.RevokeTokens)
	on("POST", "/admin/users", web.JSONBody, s.admin.CreateUser)
	get("/admin/users", s.admin.ListUsers)
	get("/admin/users/:id", s.admin.ShowUser)
	on("PATCH", "/admin/users/:id", web.MergePatch, s.admin.PatchUser)
	on("DELETE", "/admin/users/:id", web.NoBody, s.admin.DeleteUser)
	on("POST", "/admin/users/:id/invite", web.NoBody, s.admin.InviteUser)
	on("POST", "/admin/users/:id/keys", web.JSONBody, s.admin.CreateKey)
	get("/admin/keys", s.admin.ListKeys)
	get("/admin/keys/:id", s.admin.ShowKey)
	on("DELETE", "/admin/keys/:id", web.NoBody, s.admin.RevokeKey)
	on("POST", "/admin/keys/report", web.JSONBody, s.admin.ReportLeaks)
	get("/admin/stats", s.admin.Stats)
	get("/admin/signing-keys", s.admin.SigningKeys)
	on("POST", "/admin/signing-keys/rotate", web.MaybeJSON, s.admin.RotateSigningKey)
	get("/admin/audit", s.admin.Audit)

	always("/healthz", s.healthz)
	always("/readyz", s.readyz)
	always("/openapi.yaml", openAPI)
	s.pageRoutes(r)

	r.NoRoute(s.kit.Always(func(http.ResponseWriter, *http.Request) error {
		return web.NotFound("Page")
	}))
	r.NoMethod(s.kit.Always(wrongMethod))
	return r
}

// pageRoutes are the pages that people see.
func (s *Server) pageRoutes(r *gin.Engine) {
	page := func(method, path string, body web.Body, h web.Handler) {
		r.Handle(method, path, s.kit.Page(body, h, s.pages.Refuse))
	}
	see := func(path string, h web.Handler) {
		page("GET", path, web.NoBody, h)
		page("HEAD", path, web.NoBody, h)
	}
	see("/", s.pages.Root)
	static := s.kit.AlwaysPage(s.pages.Static, s.pages.Refuse)
	r.GET("/static/:name", static)
	r.HEAD("/static/:name", static)
	see("/login", s.pages.LoginPage)
	page("POST", "/login", web.FormBody, s.pages.Login)
	page("POST", "/logout", web.FormBody, s.pages.Logout)
	see("/invite/:code", s.pages.InvitePage)
	page("POST", "/invite/:code", web.FormBody, s.pages.Redeem)
	see("/settings", s.pages.Settings)
	see("/settings/keys/new", s.pages.NewKeyPage)
	page("POST", "/settings/keys", web.FormBody, s.pages.CreateKey)
	see("/settings/keys/:id", s.pages.KeyPage)
	page("POST", "/settings/keys/:id/rename", web.FormBody, s.pages.RenameKey)
	page("POST", "/settings/keys/:id/rotate", web.FormBody, s.pages.RotateKey)
	page("POST", "/settings/keys/:id/revoke", web.FormBody, s.pages.RevokeKey)
	see("/settings/profile", s.pages.Profile)
	page("POST", "/settings/profile", web.FormBody, s.pages.SaveName)
	page("POST", "/settings/password", web.FormBody, s.pages.ChangePassword)
	page("POST", "/settings/sessions/end", web.FormBody, s.pages.RevokeSession)

	see("/docs", s.pages.Docs)
	see("/operator", s.pages.Operator)
	see("/operator/clients", s.pages.Clients)
	see("/operator/clients/new", s.pages.NewClientPage)
	page("POST", "/operator/clients", web.FormBody, s.pages.RegisterClient)
	see("/operator/clients/:id", s.pages.Client)
	page("POST", "/operator/clients/:id", web.FormBody, s.pages.ChangeClient)
	page("POST", "/operator/clients/:id/secrets", web.FormBody, s.pages.RotateSecret)
	page("POST", "/operator/clients/:id/secrets/:secret_id/end", web.FormBody, s.pages.RevokeSecret)
	page("POST", "/operator/clients/:id/disable", web.FormBody, s.pages.SwitchClient(false))
	page("POST", "/operator/clients/:id/enable", web.FormBody, s.pages.SwitchClient(true))
	page("POST", "/operator/clients/:id/revoke-tokens", web.FormBody, s.pages.RevokeTokens)
	page("POST", "/operator/clients/:id/delete", web.FormBody, s.pages.DeleteClient)
	see("/operator/users", s.pages.People)
	page("POST", "/operator/users", web.FormBody, s.pages.AddPerson)
	see("/operator/users/:id", s.pages.Person)
	page("POST", "/operator/users/:id/invite", web.FormBody, s.pages.InvitePerson)
	page("POST", "/operator/users/:id/disable", web.FormBody, s.pages.PatchPerson("disabled", "true", "disabled"))
	page("POST", "/operator/users/:id/enable", web.FormBody, s.pages.PatchPerson("disabled", "false", "enabled"))
	page("POST", "/operator/users/:id/promote", web.FormBody, s.pages.PatchPerson("role", `"operator"`, "role-changed"))
	page("POST", "/operator/users/:id/demote", web.FormBody, s.pages.PatchPerson("role", `"developer"`, "role-changed"))
	page("POST", "/operator/users/:id/delete", web.FormBody, s.pages.DeletePerson)
	see("/operator/keys", s.pages.OperatorKeys)
	see("/operator/keys/:id", s.pages.OperatorKey)
	page("POST", "/operator/keys/:id/revoke", web.FormBody, s.pages.OperatorRevoke)
	see("/operator/audit", s.pages.Audit)
	see("/operator/audit.jsonl", s.pages.DownloadAudit)
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
