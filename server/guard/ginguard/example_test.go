package ginguard_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/ginguard"
)

func routes(g *guard.Guard) *gin.Engine {
	r := gin.New()
	orders := r.Group("/orders", ginguard.Require(g, "read"))
	orders.GET("", func(c *gin.Context) {
		who, _ := ginguard.From(c)
		c.JSON(http.StatusOK, gin.H{"orders of": who.Subject})
	})
	orders.DELETE("/:id", ginguard.Require(g, "write", guard.Strict), func(c *gin.Context) { c.Status(http.StatusNoContent) })
	return r
}

// What docs/guard.md shows for gin.
func TestRoutesOfThePage(t *testing.T) {
	s := newService(t)
	s.h = routes(s.g)
	reader, writer := s.m.Token("billing", orders, "read"), s.m.Token("stock", orders, "read", "write")
	if w := s.do(http.MethodGet, "/orders", reader); w.Code != http.StatusOK || w.Body.String() != `{"orders of":"billing"}` {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	for token, want := range map[string]int{reader: http.StatusForbidden, writer: http.StatusNoContent, "": http.StatusUnauthorized} {
		if w := s.do(http.MethodDelete, "/orders/7", token); w.Code != want {
			t.Errorf("got %d, want %d", w.Code, want)
		}
	}
}
