package ginguard

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/guard"
)

// Require is [guard.Guard.Require] as a handler of gin: callers need a credential with these scopes, which are separated by
// spaces. It writes the refusal of all others and aborts, so that no handler behind it runs. Behind it, [From] has the
// credential. A group and a route may both have one: a caller needs what both require.
func Require(g *guard.Guard, scope string, options ...guard.Option) gin.HandlerFunc {
	protect := g.Require(scope, options...)
	return func(c *gin.Context) {
		allowed := false
		protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			allowed = true
			c.Request = r
		})).ServeHTTP(c.Writer, c.Request)
		if !allowed {
			c.Abort()
		}
	}
}

// From is the credential of a request that [Require] let through; false: there is none.
func From(c *gin.Context) (*guard.Credential, bool) {
	if c.Request == nil {
		return nil, false
	}
	return guard.From(c.Request.Context())
}
