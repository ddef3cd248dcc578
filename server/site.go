package server

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/dashboard"
	"github.com/mintkeep/mintkeep/server/web"
)

// site is what one listener serves. There are two if operators have a listener of their own, MINTKEEP_ADMIN_ADDR: each with
// its origin, its sign-in and its admission control.
type site struct {
	adapter *web.Adapter
	pages   *dashboard.Dashboard
	engine  *gin.Engine
}

// newSite is an empty site at an origin, which has the pages.
func (s *Server) newSite(origin string, pages *dashboard.Dashboard) *site {
	gin.SetMode(gin.ReleaseMode)
	return &site{
		adapter: &web.Adapter{
			Logger:         s.options.Logger,
			Count:          s.options.Metrics.Request,
			Tracer:         s.options.Tracer,
			StoreBudget:    s.options.StoreBudget,
			TrustedProxies: s.options.Config.TrustedProxies,
			HSTS:           strings.HasPrefix(origin, "https://"),
		},
		pages:  pages,
		engine: gin.New(),
	}
}

func (t *site) ServeHTTP(w http.ResponseWriter, r *http.Request) { t.engine.ServeHTTP(w, r) }

// addSites builds what each listener serves.
func (s *Server) addSites(pages dashboard.Options) error {
	cfg := s.options.Config
	public, err := dashboard.New(pages)
	if err != nil {
		return err
	}
	s.public = s.newSite(cfg.Issuer, public)
	s.publicRoutes(s.public)
	s.sites = []*site{s.public}
	if !cfg.SeparateAdmin() {
		return nil
	}
	pages.ForOperators = true
	private, err := dashboard.New(pages)
	if err != nil {
		return err
	}
	s.private = s.newSite(cfg.AdminURL, private)
	s.privateRoutes(s.private)
	s.sites = append(s.sites, s.private)
	return nil
}
