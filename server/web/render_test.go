package web

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

// nowhere is a http.ResponseWriter that forgets.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header       { return n.header }
func (nowhere) WriteHeader(int)             {}
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkRender is the writing of an answer such as a token's.
func BenchmarkRender(b *testing.B) {
	w := nowhere{http.Header{}}
	answer := struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"`
		Scope       string `json:"scope"`
	}{strings.Repeat("a", 420), "bearer", 3600, "read write"}
	b.ReportAllocs()
	for b.Loop() {
		if err := JSON(w, http.StatusOK, answer); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHandle is what surrounds a handler: gin's routing, the headers, the body, the turn, the budget.
func BenchmarkHandle(b *testing.B) {
	a := &Adapter{Logger: slog.New(slog.DiscardHandler)}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.POST("/r", a.Handle(FormBody, func(http.ResponseWriter, *http.Request) error { return nil }))
	b.ReportAllocs()
	asked := httptest.NewRequest(http.MethodPost, "/r", strings.NewReader("grant_type=client_credentials"))
	asked.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for b.Loop() {
		r := *asked
		r.Body = io.NopCloser(strings.NewReader("grant_type=client_credentials"))
		engine.ServeHTTP(nowhere{http.Header{}}, &r)
	}
}
