package server_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func TestTokenErrors(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	c := e.basic(t)
	introspects := e.introspector(t) // C3: without the grant

	for row, form := range map[string]string{
		"unknown grant type":                 "grant_type=foo",
		"password grant":                     "grant_type=password&username=u&password=p",
		"refresh_token grant":                "grant_type=refresh_token&refresh_token=x",
		"authorization_code grant":           "grant_type=authorization_code&code=x&redirect_uri=https%3A%2F%2Fa.example",
		"token-exchange grant":               "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=x",
		"client_credentials in another case": "grant_type=Client_Credentials",
	} {
		t.Run(row, func(t *testing.T) { refused(t, e.send(t, form, c.Basic()), 400, "unsupported_grant_type") })
	}
	t.Run("no grant type", func(t *testing.T) {
		refused(t, e.send(t, "scope=read", c.Basic()), 400, "invalid_request")
		refused(t, e.send(t, "", c.Basic()), 400, "invalid_request")
	})
	t.Run("a client that is not registered for the grant", func(t *testing.T) {
		refused(t, e.send(t, grantCC, introspects.Basic()), 400, "unauthorized_client")
	})
	t.Run("authentication comes before the grant", func(t *testing.T) {
		wrong := servertest.Client{ID: introspects.ID, Secret: "wrong"}
		for _, form := range []string{grantCC, "grant_type=foo", "", grantCC + "&scope=no", grantCC + "&resource=no"} {
			refused(t, e.send(t, form, wrong.Basic()), 401, "invalid_client")
		}
	})
	t.Run("every error has the documented shape", func(t *testing.T) {
		refused(t, e.Post(t, "/oauth/nothing", grantCC), 404, "not_found")
		refused(t, e.Post(t, "/oauth/token/", grantCC), 404, "not_found")
		for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
			refused(t, e.Get(t, path), 405, "method_not_allowed")
			refused(t, e.Post(t, path, strings.Repeat("a", 64<<10+1), c.Basic()), 413, "invalid_request")
			refused(t, e.Post(t, path, `{}`, servertest.Header("Content-Type", "application/json")), 415, "invalid_request")
			refused(t, e.Post(t, path, grantCC+"&token=x"), 401, "invalid_client")
			refused(t, e.Post(t, path, "a=1&a=2", c.Basic()), 400, "invalid_request")
		}
	})
	t.Run("429 has it too", func(t *testing.T) {
		wrong := servertest.Client{ID: e.basic(t).ID, Secret: "wrong"}
		for range 10 {
			refused(t, e.send(t, grantCC, wrong.Basic()), 401, "invalid_client")
		}
		answer := e.send(t, grantCC, wrong.Basic())
		refused(t, answer, 429, "too_many_requests")
		if answer.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
}

func TestTokenStoreFaults(t *testing.T) {
	r := storetest.Redis(t)
	e := newTokenEndpoint(t, r.Backend(t))
	c := e.basic(t)
	token := e.Token(t, c)
	paths := map[string]string{
		"/oauth/token": grantCC, "/oauth/introspect": "token=" + token, "/oauth/revoke": "token=" + token,
	}
	unavailable := func(t *testing.T) {
		t.Helper()
		for path, form := range paths {
			answer := e.Post(t, path, form, c.Basic())
			refused(t, answer, 503, "temporarily_unavailable")
			if answer.Header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", path)
			}
			for _, leak := range []string{r.Addr(), "mk:", ".go", "redis", "dial", "refused", c.ID} {
				if strings.Contains(strings.ToLower(answer.Body), strings.ToLower(leak)) {
					t.Errorf("%s: the body tells %q: %s", path, leak, answer.Body)
				}
			}
		}
	}
	t.Run("a damaged record is 503 and its error is not shown", func(t *testing.T) {
		was, err := r.Do("HGET", "mk:c:"+c.ID, "meta")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Do("HSET", "mk:c:"+c.ID, "meta", "damaged"); err != nil {
			t.Fatal(err)
		}
		unavailable(t)
		if _, err := r.Do("HSET", "mk:c:"+c.ID, "meta", was); err != nil {
			t.Fatal(err)
		}
		e.Token(t, c)
	})
	t.Run("without Redis 503", func(t *testing.T) {
		r.Kill()
		unavailable(t)
		refused(t, e.send(t, grantCC), 401, "invalid_client") // which needs no Redis
	})
}

// No request makes a handler panic, so this tests the adapter around all of them.
func TestTokenPanic(t *testing.T) {
	t.Run("the caller gets 500 and the log the cause", func(t *testing.T) {
		log := &servertest.Log{}
		adapter := &web.Adapter{Logger: slog.New(slog.NewJSONHandler(log, nil))}
		gin.SetMode(gin.ReleaseMode)
		engine := gin.New()
		engine.POST("/oauth/token", adapter.Handle(web.FormBody, func(http.ResponseWriter, *http.Request) error {
			panic("10.0.0.7:6379 mk:c:billing")
		}))
		r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader("client_secret=canary-body"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, name := range []string{"Authorization", "Cookie", "DPoP"} {
			r.Header.Set(name, "canary-header")
		}
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, r)

		answer := servertest.Response{Status: w.Code, Header: w.Result().Header, Body: w.Body.String()}
		refused(t, answer, 500, "server_error")
		if !strings.Contains(answer.Body, answer.Header.Get("X-Request-Id")) || strings.Contains(answer.Body, "10.0.0.7") {
			t.Errorf("want the request id and nothing more: %s", answer.Body)
		}
		if strings.Contains(log.String(), "canary") || !strings.Contains(log.String(), "10.0.0.7") {
			t.Errorf("want the cause, and no header or body, in the log: %s", log)
		}
	})
}
