package ginguard_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/ginguard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

const orders = "https://orders.example.com"

// service is a gin service with a guarded group, in which a route requires more than the group.
type service struct {
	m      *guardtest.Server
	g      *guard.Guard
	h      *gin.Engine
	ran    []string       // the handlers that ran
	events map[string]int // of the guard, by kind
}

// countedWriter counts how often a status is written.
type countedWriter struct {
	*httptest.ResponseRecorder
	headers int
}

func (w *countedWriter) WriteHeader(status int) {
	w.headers++
	w.ResponseRecorder.WriteHeader(status)
}

func newService(t *testing.T, change ...func(*guard.Config)) *service {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	s := &service{m: guardtest.NewServer(t), events: map[string]int{}}
	c := guard.Config{Audiences: []string{orders}, PublicURL: orders, Observe: func(e guard.Event) {
		if e.Kind == guard.Refused {
			s.events[e.Reason]++
		}
	}}
	for _, f := range change {
		f(&c)
	}
	g := s.m.Guard(c)
	s.g = g
	s.m.Settle(g)
	handler := func(name string) gin.HandlerFunc {
		return func(c *gin.Context) {
			s.ran = append(s.ran, name)
			if who, ok := ginguard.From(c); ok {
				c.JSON(http.StatusOK, gin.H{"sub": who.Subject})
				return
			}
			c.JSON(http.StatusOK, gin.H{"sub": nil})
		}
	}
	s.h = gin.New()
	s.h.GET("/open", handler("open"))
	group := s.h.Group("/orders", ginguard.Require(g, "read"), func(*gin.Context) { s.ran = append(s.ran, "middleware") })
	group.GET("", handler("list"))
	group.DELETE("/:id", ginguard.Require(g, "write", guard.Strict), handler("remove"))
	return s
}

func (s *service) do(method, path, credential string) *countedWriter {
	s.ran = nil
	r := httptest.NewRequest(method, path, nil)
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	w := &countedWriter{ResponseRecorder: httptest.NewRecorder()}
	s.h.ServeHTTP(w, r)
	return w
}

func TestRequire(t *testing.T) {
	s := newService(t)
	reader, writer := s.m.Token("billing", orders, "read"), s.m.Token("stock", orders, "read", "write")
	for name, c := range map[string]struct {
		method, path, credential string
		status                   int
		ran                      string
		body, challenge          string
	}{
		"an open route":               {"GET", "/open", "", 200, "open", `{"sub":null}`, ""},
		"a good credential":           {"GET", "/orders", reader, 200, "middleware list", `{"sub":"billing"}`, ""},
		"no credential":               {"GET", "/orders", "", 401, "", `"error":"invalid_token"`, `resource_metadata="`},
		"junk":                        {"GET", "/orders", "junk", 401, "", `"error":"invalid_token"`, `error="invalid_token"`},
		"what group and route need":   {"DELETE", "/orders/7", writer, 200, "middleware remove", `{"sub":"stock"}`, ""},
		"what the group alone needs":  {"DELETE", "/orders/7", reader, 403, "middleware", `"error":"insufficient_scope"`, `scope="write"`},
		"nothing, at a nested route":  {"DELETE", "/orders/7", "", 401, "", `"error":"invalid_token"`, `Bearer realm=`},
		"a route that does not exist": {"GET", "/none", "", 404, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.do(c.method, c.path, c.credential)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
				t.Errorf("got %d %s, want %d with %s", w.Code, w.Body, c.status, c.body)
			}
			if got := strings.Join(s.ran, " "); got != c.ran {
				t.Errorf("the handlers that ran are %q, want %q", got, c.ran)
			}
			if got := w.Header().Get("WWW-Authenticate"); !strings.Contains(got, c.challenge) || c.challenge == "" && got != "" {
				t.Errorf("the challenge is %q, want %s in it", got, c.challenge)
			}
			if w.headers != 1 || strings.Count(w.Body.String(), "{") > 1 {
				t.Errorf("the status was written %d times, the body is %s", w.headers, w.Body)
			}
		})
	}
}

// A group and a route check once each: the caller that the group rejects is counted once, and the second check of a known
// credential asks only because the route is strict.
func TestGroupAndRouteCheckOnceEach(t *testing.T) {
	s := newService(t)
	writer := s.m.Token("stock", orders, "read", "write")
	if w := s.do(http.MethodDelete, "/orders/7", writer); w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if n := s.m.Asked(writer); n != 2 {
		t.Errorf("asked %d times", n)
	}
	s.do(http.MethodDelete, "/orders/7", "")
	s.do(http.MethodDelete, "/orders/7", "junk")
	if s.events["missing"] != 1 || s.events["checksum"] != 1 {
		t.Errorf("the refusals are %v", s.events)
	}
}

// A refusal is written as Config.Refuse does.
func TestRefuse(t *testing.T) {
	s := newService(t, func(c *guard.Config) {
		c.Refuse = func(w http.ResponseWriter, _ *http.Request, r *guard.Refusal) { w.WriteHeader(r.Status + 20) }
	})
	if w := s.do(http.MethodGet, "/orders", ""); w.Code != 421 || w.Body.Len() > 0 || len(s.ran) > 0 {
		t.Errorf("got %d %s, and %q ran", w.Code, w.Body, s.ran)
	}
}

// A handler that no Require protects has no credential, and does not panic.
func TestFromWithoutRequire(t *testing.T) {
	for name, c := range map[string]*gin.Context{
		"no request":    {},
		"no credential": {Request: httptest.NewRequest(http.MethodGet, "/", nil)},
	} {
		if who, ok := ginguard.From(c); ok || who != nil {
			t.Errorf("%s: got %v", name, who)
		}
	}
}
