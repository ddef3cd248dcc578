package server_test

import (
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A page that a user looks at cannot use up the failures that the user's address has.
func TestCrossSite(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	c := s.Register(t, servertest.M{"scope": "read"})
	wrong := servertest.Client{ID: c.ID, Secret: "wrong"}.Basic()
	paths := map[string]string{"/oauth/token": grant, "/oauth/introspect": "token=x", "/oauth/revoke": "token=x"}
	for path, form := range paths {
		for _, site := range []string{"cross-site", "same-site"} {
			header := servertest.Header("Sec-Fetch-Site", site)
			for range 12 {
				wantRefusal(t, s.Post(t, path, form, wrong, header).Want(t, 403, "access_denied"), 403)
			}
			s.Post(t, path, form, c.Basic(), header).Want(t, 403, "access_denied")
		}
	}
	for path, form := range paths {
		for _, site := range []string{"same-origin", "none", ""} {
			s.Post(t, path, form, c.Basic(), servertest.Header("Sec-Fetch-Site", site)).Want(t, 200, "")
		}
	}
	s.Post(t, "/oauth/token", grant, wrong).Want(t, 401, "invalid_client")
	s.Get(t, "/.well-known/jwks.json", servertest.Header("Sec-Fetch-Site", "cross-site")).Want(t, 200, "") // a web app may verify
}
